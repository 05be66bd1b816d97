"""Measures commits: a few additions for each, written by the loop's thread alone, read by whoever asks.

A reader takes no lock, so that it never holds the loop up. What it sees may be one commit short in one figure and not in another.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from provisioning_core.model import CommitStats, Distribution

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EVENTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)


class Histogram:
    """Values sorted into buckets."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._buckets = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._buckets[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def read(self) -> Distribution:
        *counts, total = accumulate(self._buckets)
        return Distribution(bounds=self._bounds, counts=tuple(counts), total=total, sum=self._sum)


class CommitMeter:
    """Of one engine."""

    def __init__(self) -> None:
        self._seconds = Histogram(SECONDS)
        self._events = Histogram(EVENTS)
        self._runs = 0
        self._failed = 0

    def written(self, seconds: float, *, runs: int, events: int) -> None:
        """A commit went through."""
        self._seconds.add(seconds)
        self._events.add(events)
        self._runs += runs

    def failed(self, seconds: float) -> None:
        """The store could not take a commit."""
        self._seconds.add(seconds)
        self._failed += 1

    def read(self) -> CommitStats:
        """All so far."""
        return CommitStats(seconds=self._seconds.read(), events=self._events.read(), runs=self._runs, failed=self._failed)
