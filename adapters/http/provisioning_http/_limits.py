"""How much is taken at the door. Beyond a limit there is a clear answer, never a slow death."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one router in one process.

    ``streams`` at once, and of these ``streams_per_principal`` for whoever ``authorize`` names (None: as many as there are);
    a stream ends after ``stream_seconds`` (its client connects again and misses nothing). ``polls``: long polls at once; further
    ones are answered at once. ``calls_per_second`` and ``burst``: calls of each principal (None: as many as they like); the defaults
    stop what runs wild and nothing else, since a whole product may call under one name.

    Bodies (256 KiB, 100 levels), pages (200 runs, 1,000 events) and names (200 signs) have fixed limits.
    """

    streams: int = 1000
    streams_per_principal: int | None = None
    stream_seconds: float = 900.0
    polls: int = 1000
    calls_per_second: float | None = 1000.0
    burst: int = 2000

    def __post_init__(self) -> None:
        per_principal = self.streams_per_principal
        if self.streams < 0 or self.polls < 0 or (per_principal is not None and per_principal < 0):
            raise ValueError("Limits of streams and polls can't be negative.")
        if self.stream_seconds <= 0 or self.burst < 1 or (self.calls_per_second is not None and self.calls_per_second <= 0):
            raise ValueError("stream_seconds and calls_per_second must be above 0, burst at least 1.")
