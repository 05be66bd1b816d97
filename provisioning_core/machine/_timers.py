"""Points in time at which a step must be looked at again."""

from __future__ import annotations

import heapq
from enum import IntEnum


class Timer(IntEnum):
    """What for."""

    DEADLINE = 1
    """The live attempt's time is up."""
    AGAIN = 2
    """The next attempt may begin."""
    GATE = 3
    """A gate opens by itself, or has waited long enough."""


class Timers:
    """A heap; who sets a timer checks, when it goes off, that it still means something."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Timer]] = []

    @property
    def next_at(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def set(self, at: float, i: int, token: int, kind: Timer) -> None:
        heapq.heappush(self._heap, (at, i, token, kind))

    def due(self, at: float) -> list[tuple[int, int, Timer]]:
        """Those that have gone off, earliest first."""
        found = []
        while self._heap and self._heap[0][0] <= at:
            _, i, token, kind = heapq.heappop(self._heap)
            found.append((i, token, kind))
        return found
