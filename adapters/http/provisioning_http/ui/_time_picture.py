"""The timeline as a picture: one row for each step, one bar for each attempt; idle time is folded. All places are percentages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from provisioning_core.model import Bar, Timeline, TimeScale
from provisioning_http.ui._marks import STEP_MARKS
from provisioning_http.ui._safe import plain


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
    if not bars or timeline.started_at is None:
        return None
    undone = [bar for bar in bars if bar.kind == "undo"]
    scale = TimeScale(bars, is_over=timeline.finished_at is not None, now=now)
    return Chart(
        forward=_rows([bar for bar in bars if bar.kind != "undo"], steps, scale),
        back=_rows(undone, list(dict.fromkeys(bar.step for bar in undone)), scale),
        ticks=scale.ticks(),
        folds=scale.folds(),
    )


def _rows(bars: Sequence[Bar], order: Sequence[str], scale: TimeScale) -> tuple[Row, ...]:
    by_step: dict[str, list[Bar]] = {}
    for bar in bars:
        by_step.setdefault(bar.step, []).append(bar)
    rows = ((name, by_step[name]) for name in order if name in by_step)
    return tuple(Row(step=name, stripes=tuple(_stripe(bar, scale) for bar in found)) for name, found in rows)


def _stripe(bar: Bar, scale: TimeScale) -> Stripe:
    begin, end = scale.stretch(bar)
    return Stripe(x=round(begin, 2), width=round(max(end - begin, 0.4), 2), look=_look(bar), told=_told(bar, scale), bar=bar)


def _look(bar: Bar) -> str:
    if bar.kind in ("wait", "gate", "doubt"):
        return f"{bar.kind} wait"
    if bar.outcome is None:
        return f"{bar.kind} {'undone' if bar.kind == 'undo' else 'busy'} open"
    return f"{bar.kind} {'bad' if bar.is_bad else STEP_MARKS[bar.outcome].family}"


def _told(bar: Bar, scale: TimeScale) -> str:
    return f"{plain(bar.step)}, {bar.what}: {bar.result}, {scale.lasted(bar)}"
