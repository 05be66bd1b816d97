"""The timeline as a picture: one row for each step, one bar for each attempt; idle time is folded. All places are percentages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning_core import StepStatus
from provisioning_core.model import Bar, Timeline, span
from provisioning_http.ui._marks import STEP_MARKS
from provisioning_http.ui._safe import plain

_WORK = ("attempt", "undo")
_LONGEST_IDLE = 60.0
"""Seconds in which nobody works; more is folded, and less where it would dwarf what was done."""
_FOLDED = 0.06
"""What a folded gap takes of the width, in parts of what is shown."""
_TICKS = 5
_STEPS_OF_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400)
_SAYS = {
    "attempt": "attempt {}",
    "wait": "waits for attempt {}",
    "gate": "waits for its signal",
    "doubt": "in doubt",
    "undo": "undoing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripe:
    """One bar. ``x`` and ``width`` are percentages."""

    x: float
    width: float
    look: str
    """Classes: the kind, and the family of its outcome."""
    told: str
    bar: Bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The bars of one step, in one direction."""

    step: str
    stripes: tuple[Stripe, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A whole timeline."""

    forward: tuple[Row, ...]
    back: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    """Where, and how long after the start."""
    folds: tuple[tuple[float, float, str], ...]
    """Where, how wide, and how much time is folded there."""


def chart(timeline: Timeline, steps: Sequence[str], now: datetime) -> Chart | None:
    """The picture of these steps; None when nothing has begun."""
    shown = set(steps)
    bars = [bar for bar in timeline.bars if bar.step in shown]
    if not bars or timeline.began is None:
        return None
    scale = _Scale(bars, timeline, now)
    return Chart(
        forward=_rows([bar for bar in bars if bar.kind != "undo"], steps, scale),
        back=_rows(
            [bar for bar in bars if bar.kind == "undo"], list(dict.fromkeys(bar.step for bar in bars if bar.kind == "undo")), scale
        ),
        ticks=scale.ticks(),
        folds=scale.folds(),
    )


class _Scale:
    """From a moment to a place, idle time folded."""

    def __init__(self, bars: Sequence[Bar], timeline: Timeline, now: datetime) -> None:
        self.began = min(bar.began for bar in bars)
        last = max((bar.ended or now for bar in bars), default=now)
        self.end = max(now if timeline.ended is None else last, last)
        self._seconds = max((self.end - self.began).total_seconds(), 0.001)
        work = _joined((self.at(bar.began), self.at(bar.ended or self.end)) for bar in bars if bar.kind in _WORK)
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


def _rows(bars: Sequence[Bar], order: Sequence[str], scale: _Scale) -> tuple[Row, ...]:
    by_step: dict[str, list[Bar]] = {}
    for bar in bars:
        by_step.setdefault(bar.step, []).append(bar)
    rows = ((name, by_step[name]) for name in order if name in by_step)
    return tuple(Row(step=name, stripes=tuple(_stripe(bar, scale) for bar in found)) for name, found in rows)


def _stripe(bar: Bar, scale: _Scale) -> Stripe:
    begin = scale.place(scale.at(bar.began))
    end = scale.place(scale.at(bar.ended or scale.end))
    return Stripe(x=round(begin, 2), width=round(max(end - begin, 0.4), 2), look=_look(bar), told=_told(bar, scale), bar=bar)


def _look(bar: Bar) -> str:
    if bar.kind in ("wait", "gate", "doubt"):
        return f"{bar.kind} wait"
    if bar.outcome is None:
        return f"{bar.kind} {'undone' if bar.kind == 'undo' else 'busy'} open"
    is_failure = bar.outcome in (StepStatus.RETRYING, StepStatus.FAILED, StepStatus.COMPENSATION_FAILED)
    return f"{bar.kind} {'bad' if is_failure else STEP_MARKS[bar.outcome].family}"


def _told(bar: Bar, scale: _Scale) -> str:
    what = kind_word(bar)
    took = span(((bar.ended or scale.end) - bar.began).total_seconds())
    return f"{plain(bar.step)}, {what}: {outcome_word(bar)}, {took}"


def kind_word(bar: Bar) -> str:
    """What this stretch of time was."""
    return _SAYS[bar.kind].format(bar.attempt + (bar.kind == "wait"))


def outcome_word(bar: Bar) -> str:
    """How it ended."""
    if bar.outcome is None:
        return "under way" if bar.kind in _WORK else "still waits"
    if bar.kind in ("attempt", "undo") and bar.outcome is StepStatus.RETRYING:
        return "failed"
    return "over" if bar.kind == "wait" else STEP_MARKS[bar.outcome].word
