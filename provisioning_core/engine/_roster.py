"""The runs that this engine has in memory, and which of them want something now: a commit, a worker, or to be woken.

Each list is looked at from the front only, so that a turn costs what happened in it, not what is there.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterator

from provisioning_core.engine._live import LiveRun
from provisioning_core.ports import Clock

LAZY = 0.25
"""Seconds that progress may wait for a commit."""
TURN = 0.02
"""Seconds for which a run that got a worker is served before others: what follows a short step then goes into the commit that records
its end. Runs with longer steps take turns step by step."""


class Roster:
    """Kept by the loop's thread alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runs: dict[str, LiveRun] = {}
        self._touched: dict[str, LiveRun] = {}
        self._lazy: dict[str, LiveRun] = {}
        self._wanting: deque[str] = deque()
        self._is_wanting: set[str] = set()
        self._timers: list[tuple[float, str]] = []
        self._timer_of: dict[str, float] = {}
        self._later: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[LiveRun]:
        return iter(self._runs.values())

    @property
    def ids(self) -> Collection[str]:
        """Of all of them."""
        return self._runs.keys()

    def get(self, run_id: str) -> LiveRun | None:
        return self._runs.get(run_id)

    def add(self, live: LiveRun) -> None:
        self._runs[live.id] = live

    def forget(self, run_id: str) -> None:
        """It rests, or is not ours any more."""
        for mapping in (self._runs, self._touched, self._lazy, self._timer_of):
            mapping.pop(run_id, None)
        self._is_wanting.discard(run_id)

    # what changed

    def touch(self, live: LiveRun) -> None:
        """Something of a run changed: it is committed at the end of the turn; it may want workers, or another timer."""
        self._touched[live.id] = live
        if live.wanting and live.id not in self._is_wanting:
            self._is_wanting.add(live.id)
            self._queue(live)
        timer = live.next_timer_at
        if timer is not None and timer != self._timer_of.get(live.id):
            self._timer_of[live.id] = timer
            heapq.heappush(self._timers, (timer, live.id))

    def _queue(self, live: LiveRun) -> None:
        """Behind all others; but before them for as long as its turn lasts."""
        if live.turn_began_at is not None and self._clock.monotonic() - live.turn_began_at < TURN:
            self._wanting.appendleft(live.id)
        else:
            live.turn_began_at = None
            self._wanting.append(live.id)

    def take_dirty(self) -> list[LiveRun]:
        """What there is to commit. It stays until it is :meth:`settled` or put off."""
        for run_id in [run_id for run_id, live in self._touched.items() if not live.is_dirty]:
            del self._touched[run_id]
        return list(self._touched.values())

    @property
    def has_dirty(self) -> bool:
        return bool(self._touched)

    def settled(self, run_id: str) -> None:
        """It was committed."""
        self._touched.pop(run_id, None)

    def put_off(self, run_id: str, seconds: float) -> None:
        """Its commit failed, and is tried again later."""
        self._touched.pop(run_id, None)
        heapq.heappush(self._later, (self._clock.monotonic() + seconds, run_id))

    def be_lazy(self, live: LiveRun) -> None:
        """It has something to commit that is not urgent."""
        self._lazy[live.id] = live

    def hurry(self, now: float) -> None:
        """Touch what has been put off, or has been lazy, long enough."""
        while self._later and self._later[0][0] <= self._clock.monotonic():
            _, run_id = heapq.heappop(self._later)
            if live := self._runs.get(run_id):
                self.touch(live)
        for run_id, live in list(self._lazy.items()):
            if live.lazy_since is None or now - live.lazy_since >= LAZY:
                del self._lazy[run_id]
                if live.lazy_since is not None:
                    live.hurry()
                    self._touched[run_id] = live

    # who wants workers

    def next_wanting(self) -> LiveRun | None:
        """The run whose turn it is; None when nobody wants a worker."""
        while self._wanting:
            run_id = self._wanting.popleft()
            live = self._runs.get(run_id)
            if live is not None and run_id in self._is_wanting:
                self._is_wanting.discard(run_id)
                live.turn_began_at = live.turn_began_at or self._clock.monotonic()
                return live
        return None

    @property
    def wanting(self) -> int:
        return len(self._wanting)

    # who must be woken

    def due(self, now: float) -> Iterator[LiveRun]:
        """Runs whose timer has gone off."""
        while self._timers and self._timers[0][0] <= now:
            at, run_id = heapq.heappop(self._timers)
            live = self._runs.get(run_id)
            if live is not None and self._timer_of.get(run_id) == at:
                del self._timer_of[run_id]
                yield live

    def quiet_for(self, now: float, longest: float) -> float:
        """Seconds, at most ``longest``, in which no timer goes off and nothing is to be hurried."""
        quiet = longest
        if self._timers:
            quiet = min(quiet, self._timers[0][0] - now)
        if self._later:
            quiet = min(quiet, self._later[0][0] - self._clock.monotonic())
        if self._lazy:
            quiet = min(quiet, LAZY)
        return max(0.0, quiet)
