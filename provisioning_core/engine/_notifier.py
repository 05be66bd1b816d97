"""What happens after a commit and must never hold one up: observers are told, durations are learned."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from provisioning_core.engine._audience import Audience
from provisioning_core.errors import ProvisioningError
from provisioning_core.model import EventRecord, RunRecord
from provisioning_core.ports import Store

_log = logging.getLogger("provisioning_core.engine")

_LEARN_EVERY = 1.0
"""Seconds between two times that durations are written: many runs that end together cost one commit, not one each."""


@dataclass(frozen=True, slots=True)
class _Told:
    run: RunRecord
    events: Sequence[EventRecord]


@dataclass(frozen=True, slots=True)
class _Durations:
    plan: str
    seconds: Mapping[str, float]


class Notifier:
    """One thread of its own."""

    def __init__(self, store: Store, audience: Audience) -> None:
        self._store = store
        self._audience = audience
        self._learned: dict[str, list[Mapping[str, float]]] = {}
        self._learned_at = 0.0
        self._events: SimpleQueue[_Told | _Durations | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="provisioning-notifier", daemon=True)
        self._thread.start()

    @property
    def backlog(self) -> int:
        """What was not told yet."""
        return self._events.qsize()

    def notify(self, run: RunRecord, events: Sequence[EventRecord]) -> None:
        """These were committed, and the run is so now."""
        if events and self._audience.listens:
            self._events.put(_Told(run, tuple(events)))

    def learn(self, plan: str, seconds: Mapping[str, float]) -> None:
        """A run succeeded, and its steps took so long."""
        if seconds:
            self._events.put(_Durations(plan, seconds))

    def close(self, timeout: float = 5.0) -> None:
        """Tell what is left, within ``timeout`` seconds."""
        self._events.put(None)
        self._thread.join(timeout)

    def _serve(self) -> None:
        while True:
            try:
                errand = self._events.get(timeout=self._until_learning())
            except Empty:
                self._write_down()
                continue
            if errand is None:
                break
            if isinstance(errand, _Durations):
                self._learned.setdefault(errand.plan, []).append(errand.seconds)
            else:
                self._audience.tell(errand.run, errand.events)
        self._write_down()

    def _until_learning(self) -> float | None:
        """Seconds until what was learned is written down; None when there is nothing."""
        return max(0.0, self._learned_at + _LEARN_EVERY - time.monotonic()) if self._learned else None

    def _write_down(self) -> None:
        """The runs of a plan that succeeded since the last time count as one, with their means."""
        learned, self._learned, self._learned_at = self._learned, {}, time.monotonic()
        for plan, runs in learned.items():
            seconds = {step: [run[step] for run in runs if step in run] for step in set().union(*runs)}
            self._learn(_Durations(plan, {step: sum(each) / len(each) for step, each in seconds.items()}))

    def _learn(self, learned: _Durations) -> None:
        try:
            self._store.add_durations(learned.plan, learned.seconds)
        except ProvisioningError as error:
            _log.info("durations of plan %r were not learned: %s", learned.plan, error.message)
