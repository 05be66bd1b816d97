"""Which queues a commit notes: for each endpoint and run, from the first to the last event that is wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provisioning_core.model import EventRecord
from provisioning_core.outbox import Endpoint


@dataclass(frozen=True, slots=True)
class Note:
    """Tell this endpoint of this run's events from ``first`` to ``last``."""

    endpoint_id: str
    run_id: str
    first: int
    last: int


class Subscriptions:
    """Who wants what, remembered by type of event and plan."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = tuple(endpoint for endpoint in endpoints if endpoint.enabled)
        self._takers: dict[tuple[str, str], tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._endpoints)

    def notes(self, plan: str, events: Sequence[EventRecord]) -> list[Note]:
        """The queues for these events of one run, by endpoint."""
        wanted: dict[str, tuple[int, int]] = {}
        for event in events:
            for taker in self._takers_of(event.type, plan):
                first, _ = wanted.get(taker, (event.seq, 0))
                wanted[taker] = (first, event.seq)
        return [Note(taker, events[0].run_id, first, last) for taker, (first, last) in sorted(wanted.items())]

    def _takers_of(self, event_type: str, plan: str) -> tuple[str, ...]:
        key = (event_type, plan)
        found = self._takers.get(key)
        if found is None:
            found = tuple(endpoint.id for endpoint in self._endpoints if endpoint.wants(event_type, plan))
            self._takers[key] = found
        return found
