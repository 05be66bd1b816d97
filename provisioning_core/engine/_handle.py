"""A run's handle, and waiting for a run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from provisioning_core.model import RunView

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


class Waiters:
    """Wakes those who wait for a run of this process at its next commit; runs worked on elsewhere are asked for again and again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[str, list[threading.Event]] = {}

    def wake(self, run_id: str) -> None:
        """Something of the run was committed."""
        with self._lock:
            events = self._events.get(run_id, ())
            for event in events:
                event.set()

    @contextmanager
    def watching(self, run_id: str) -> Iterator[threading.Event]:
        """An event that is set at each commit of the run."""
        event = threading.Event()
        with self._lock:
            self._events.setdefault(run_id, []).append(event)
        try:
            yield event
        finally:
            with self._lock:
                self._events[run_id].remove(event)
                if not self._events[run_id]:
                    del self._events[run_id]


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
