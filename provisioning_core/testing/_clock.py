"""A clock that is set by hand."""

from __future__ import annotations

import threading


class FakeClock:
    """Stands still until it is told to go on. Can be asked from any thread."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since the epoch."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """The same: this clock is never set back."""
        return self.now()

    def advance(self, seconds: float) -> float:
        """Go on by so many seconds; gives the new time."""
        with self._lock:
            self._now += seconds
            return self._now


class OwnClock:
    """One process's clock: it goes with the world's, and its time of day can be set wrong."""

    def __init__(self, world: FakeClock) -> None:
        self._world = world
        self.offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch, as this process takes them to be."""
        return self._world.now() + self.offset

    def monotonic(self) -> float:
        """The world's: nobody can set this one."""
        return self._world.monotonic()
