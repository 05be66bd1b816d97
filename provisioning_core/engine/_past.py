"""How long a plan's steps took in the past, as runs that are started now weigh them."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from provisioning_core.ports import Clock, Store

_KEPT_FOR = 5.0
"""Seconds: weights need not be newer, and a run that is started then costs one query less."""


class PastDurations:
    """Asked by many threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, Mapping[str, float]]] = {}

    def of(self, plan: str) -> Mapping[str, float]:
        """Mean seconds by step, as they were a moment ago."""
        now = self._clock.monotonic()
        with self._lock:
            asked_at, found = self._known.get(plan, (float("-inf"), {}))
        if now - asked_at < _KEPT_FOR:
            return found
        found = self._store.durations(plan)
        with self._lock:
            self._known[plan] = (now, found)
        return found
