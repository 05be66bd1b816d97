"""How an engine and its store stand at one moment: figures for metrics, read without holding anything up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How often a measured value was at most each bound, as a histogram of Prometheus has it."""

    bounds: tuple[float, ...]
    """Ascending; what is above the last one counts in ``total`` alone."""
    counts: tuple[int, ...]
    """For each bound, how many values were at most that: they only grow along the bounds."""
    total: int = 0
    sum: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitStats:
    """The commits of one engine since it began to work."""

    seconds: Distribution
    """How long each took at the store, those that failed included."""
    events: Distribution
    """How many events each wrote."""
    runs: int = 0
    """Runs whose changes were written, counted once for each commit."""
    failed: int = 0
    """Commits that the store could not take; they are tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStats:
    """One engine, at work or not. All figures are of this process alone."""

    is_working: bool
    workers: int
    """Attempts that may run at once."""
    runs: int = 0
    """Runs in memory: those that move, or were moving a moment ago."""
    attempts: int = 0
    """Attempts that have not ended, given-up ones included."""
    ready: int = 0
    """Steps that could begin if there were a worker for them."""
    quarantined: int = 0
    """Steps left alone because an attempt of another engine may still be alive."""
    untold: int = 0
    """Messages for observers that were not told yet."""
    is_held: bool = False
    """Whether the store was away a moment ago, so that nothing is launched or written."""
    lease: float = 0.0
    """Seconds after which others may take its runs over, if it is not renewed."""
    lease_age: float | None = None
    """Seconds since the renewal began that is known to have worked; None when the engine does not work."""
    is_trusted: bool = False
    """Whether it still counts on its lease, and launches attempts."""
    commits: CommitStats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How all runs of a store stand."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Runs of each status that occurs."""
    set_aside: int = 0
    """Runs that an engine stopped and that need a person's attention."""
    unclaimed: int = 0
    """Runs that should move and that no living engine owns."""
    unclaimed_for: float = 0.0
    """Seconds that the oldest of them has waited; 0.0 when there is none."""
