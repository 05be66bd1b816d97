"""What happens after a commit and must never hold one up: observers are told, durations are learned."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from provisioning_core.engine._views import event_of
from provisioning_core.errors import ProvisioningError
from provisioning_core.model import EventRecord
from provisioning_core.ports import Observer, Store

_log = logging.getLogger("provisioning_core.engine")


@dataclass(frozen=True, slots=True)
class _Durations:
    plan: str
    seconds: Mapping[str, float]


class Notifier:
    """One thread of its own."""

    def __init__(self, store: Store, observers: Sequence[Observer]) -> None:
        self._store = store
        self._observers = tuple(observers)
        self._events: SimpleQueue[tuple[EventRecord, ...] | _Durations | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="provisioning-notifier", daemon=True)
        self._thread.start()

    def notify(self, events: Sequence[EventRecord]) -> None:
        """These were committed."""
        if self._observers and events:
            self._events.put(tuple(events))

    def learn(self, plan: str, seconds: Mapping[str, float]) -> None:
        """A run succeeded, and its steps took so long."""
        if seconds:
            self._events.put(_Durations(plan, seconds))

    def close(self, timeout: float = 5.0) -> None:
        """Tell what is left, within ``timeout`` seconds."""
        self._events.put(None)
        self._thread.join(timeout)

    def _serve(self) -> None:
        while (errand := self._events.get()) is not None:
            if isinstance(errand, _Durations):
                self._learn(errand)
            else:
                self._tell(errand)

    def _tell(self, events: Sequence[EventRecord]) -> None:
        views = [event_of(event) for event in events]
        for observer in self._observers:
            try:
                observer.notify(views)
            except Exception:  # noqa: BLE001  an observer can never break a run
                _log.exception("an observer failed; the run is not affected")

    def _learn(self, learned: _Durations) -> None:
        try:
            self._store.add_durations(learned.plan, learned.seconds)
        except ProvisioningError as error:
            _log.info("durations of plan %r were not learned: %s", learned.plan, error.message)
