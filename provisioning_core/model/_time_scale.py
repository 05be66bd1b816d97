"""From moments to places: the scale of a timeline's picture. Time in which nobody works is folded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from provisioning_core.model._timeline import Bar
from provisioning_core.model._words import span

_LONGEST_IDLE = 60.0
"""Seconds in which nobody works; more is folded, and less where it would dwarf what was done."""
_FOLDED = 0.06
"""What a folded gap takes of the width, in parts of what is shown."""
_TICKS = 5
_STEPS_OF_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)


class TimeScale:
    """From a moment to a place, idle time folded."""

    def __init__(self, bars: Sequence[Bar], *, is_over: bool, now: datetime) -> None:
        """Of these bars, one at the least. What lasts reaches to ``now``, and so does the scale unless the run ``is_over``."""
        self.began = min(bar.started_at for bar in bars)
        last = max((bar.finished_at or now for bar in bars), default=now)
        self.end = max(last if is_over else now, last)
        self._seconds = max((self.end - self.began).total_seconds(), 0.001)
        work = _joined((self.at(bar.started_at), self.at(bar.finished_at or self.end)) for bar in bars if bar.is_work)
        self._gaps = self._idle(work)
        shown = self._seconds - sum(end - begin for begin, end in self._gaps)
        self._fold = max(shown, 0.001) * _FOLDED
        self._whole = max(shown, 0.001) + self._fold * len(self._gaps)

    def at(self, moment: datetime) -> float:
        """Seconds after the beginning."""
        return (moment - self.began).total_seconds()

    def place(self, seconds: float) -> float:
        """A percentage."""
        shown = seconds
        for begin, end in self._gaps:
            if seconds <= begin:
                break
            inside = min(seconds, end) - begin
            shown += inside * self._fold / (end - begin) - inside
        return min(max(100 * shown / self._whole, 0.0), 100.0)

    def stretch(self, bar: Bar) -> tuple[float, float]:
        """Where a bar begins and ends, as percentages."""
        return self.place(self.at(bar.started_at)), self.place(self.at(bar.finished_at or self.end))

    def lasted(self, bar: Bar) -> str:
        """How long, in words."""
        return span(((bar.finished_at or self.end) - bar.started_at).total_seconds())

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Round lengths of time, where they are not folded away."""
        wanted = (self._seconds - sum(end - begin for begin, end in self._gaps)) / _TICKS
        each = next((step for step in _STEPS_OF_TICKS if step >= wanted), _STEPS_OF_TICKS[-1])
        found: list[tuple[float, str]] = []
        seconds = 0.0
        while seconds <= self._seconds and len(found) < _TICKS * 4:
            gap = next(((begin, end) for begin, end in self._gaps if begin < seconds < end), None)
            if gap is not None:
                seconds = -(-gap[1] // each) * each
                continue
            if not found or self.place(seconds) - found[-1][0] > 8:
                found.append((self.place(seconds), _tick(seconds)))
            seconds += each
        return tuple(found)

    def folds(self) -> tuple[tuple[float, float, str], ...]:
        """Where, how wide (percentages), and how much time is folded there."""
        return tuple((self.place(begin), self.place(end) - self.place(begin), span(end - begin)) for begin, end in self._gaps)

    def _idle(self, work: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        busy = sum(end - begin for begin, end in work)
        most = min(_LONGEST_IDLE, max(2.0, busy / 2))
        ends = [0.0, *(end for _, end in work)]
        begins = [*(begin for begin, _ in work), self._seconds]
        return [(end, begin) for end, begin in zip(ends, begins, strict=True) if begin - end > most]


def _joined(stretches: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Overlapping ones as one."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _tick(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    minutes = seconds / 60
    return f"{minutes:g} min" if minutes < 120 else f"{minutes / 60:g} h"
