"""A run's handle, and waiting for a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from provisioning_core.model import RunRecord, RunView

if TYPE_CHECKING:
    from provisioning_core.engine._engine import Engine


class Run:
    """One run of an engine."""

    def __init__(self, engine: Engine, run_id: str, subject: str) -> None:
        self._engine = engine
        self.id = run_id
        self.subject = subject

    def view(self) -> RunView:
        """The run as it is recorded now."""
        return self._engine.status(run_id=self.id)

    def wait(self, timeout: float | None = None) -> RunView:
        """The view when the run rests: ended, FAILED, WAITING or PAUSED. Raises TimeoutError after ``timeout`` seconds."""
        return self._engine.wait(run_id=self.id, timeout=timeout)

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, subject={self.subject!r})"


class Bell(Protocol):
    """What is rung at a commit: an Event, or whatever is set like one. Must neither block nor raise."""

    def set(self) -> None: ...


class Waiters:
    """Wakes those who wait for a run of this process at its next commit; runs worked on elsewhere are asked for again and again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bells: dict[str, list[Bell]] = {}
        self._resting: dict[str, list[Bell]] = {}

    def wake(self, run: RunRecord) -> None:
        """Something of the run was committed."""
        with self._lock:
            for bell in self._bells.get(run.id, ()):
                bell.set()
            if not run.status.moves or run.attention is not None:
                for bell in self._resting.get(run.id, ()):
                    bell.set()

    @contextmanager
    def watching(self, run_id: str, *, for_rest: bool = False) -> Iterator[threading.Event]:
        """An event that is set at each commit of the run, or ``for_rest`` only at those behind which it may rest."""
        event = threading.Event()
        self._add(self._resting if for_rest else self._bells, run_id, event)
        try:
            yield event
        finally:
            self._remove(self._resting if for_rest else self._bells, run_id, event)

    def add(self, run_id: str, bell: Bell) -> None:
        """Ring the bell at each commit of the run, until it is removed."""
        self._add(self._bells, run_id, bell)

    def remove(self, run_id: str, bell: Bell) -> None:
        """Ring it no more."""
        self._remove(self._bells, run_id, bell)

    def _add(self, bells: dict[str, list[Bell]], run_id: str, bell: Bell) -> None:
        with self._lock:
            bells.setdefault(run_id, []).append(bell)

    def _remove(self, bells: dict[str, list[Bell]], run_id: str, bell: Bell) -> None:
        with self._lock:
            bells[run_id].remove(bell)
            if not bells[run_id]:
                del bells[run_id]


class Deadline:
    """A point in time that may be never."""

    def __init__(self, timeout: float | None) -> None:
        self._at = None if timeout is None else time.monotonic() + timeout

    @property
    def is_over(self) -> bool:
        return self._at is not None and time.monotonic() >= self._at

    def within(self, seconds: float) -> float:
        """So many seconds, or less if the deadline is nearer."""
        return seconds if self._at is None else max(0.0, min(seconds, self._at - time.monotonic()))
