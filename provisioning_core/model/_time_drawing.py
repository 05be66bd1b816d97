"""Pictures of a run in time: SVG, and text for a terminal. One row for each step; what was undone stands below, in its own order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from provisioning_core.model._drawing import short, visible
from provisioning_core.model._status import StepStatus
from provisioning_core.model._symbols import FAMILY, SYMBOLS
from provisioning_core.model._time_scale import TimeScale
from provisioning_core.model._timeline import Bar, Timeline

_NAMES, _CHART, _GAP = 210, 720, 20
_TOP, _ROW = 64, 24
_NARROWEST = 40
_STYLE = """
.bar{stroke-width:1.2}.busy{fill:#dbeafe;stroke:#1d4ed8}.done{fill:#dcfce7;stroke:#15803d}.bad{fill:#fee2e2;stroke:#b91c1c}
.idle{fill:#f3f4f6;stroke:#6b7280}.wait{fill:url(#hatch);stroke:#b45309}.undone{fill:#ede9fe;stroke:#6d28d9}
.line{stroke:#d1d5db}.fold{fill:#6b7280;opacity:.18}.stripe{stroke:#b45309;stroke-width:1.6}
text{font:13px system-ui,sans-serif;fill:#111827}.small{font-size:11px;fill:#374151}.head{font-weight:600}
@media (prefers-color-scheme:dark){text{fill:#f9fafb}.small{fill:#d1d5db}.line{stroke:#4b5563}.busy{fill:#1e3a8a;stroke:#93c5fd}
.done{fill:#14532d;stroke:#86efac}.bad{fill:#7f1d1d;stroke:#fca5a5}.idle{fill:#1f2937;stroke:#9ca3af}.wait{stroke:#fcd34d}
.stripe{stroke:#fcd34d}.undone{fill:#4c1d95;stroke:#c4b5fd}}
""".strip()
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<path class="stripe" d="M0 0V6"/></pattern></defs>'
)
_NOTHING = "nothing has begun"
_UNDOING = "Undoing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """The bars of one step, in one direction."""

    step: str
    bars: tuple[Bar, ...]

    @property
    def symbol(self) -> str:
        last = self.bars[-1]
        open_ = StepStatus.WAITING if not last.is_work else StepStatus.COMPENSATING if last.kind == "undo" else StepStatus.RUNNING
        return SYMBOLS[open_ if last.outcome is None else last.outcome]


def _rows(bars: Iterable[Bar]) -> list[_Row]:
    found: dict[str, list[Bar]] = {}
    for bar in bars:
        found.setdefault(bar.step, []).append(bar)
    return [_Row(step=step, bars=tuple(bars)) for step, bars in found.items()]


def _both_ways(timeline: Timeline) -> tuple[list[_Row], list[_Row]]:
    forward = _rows(bar for bar in timeline.bars if bar.kind != "undo")
    return forward, _rows(bar for bar in timeline.bars if bar.kind == "undo")


def _scale(timeline: Timeline, now: datetime) -> TimeScale | None:
    return TimeScale(timeline.bars, is_over=timeline.finished_at is not None, now=now) if timeline.bars else None


def _title(timeline: Timeline) -> str:
    plan = f"{timeline.plan}, version {timeline.plan_version}" if timeline.plan else ""
    return visible(": ".join(part for part in (timeline.subject, plan) if part) or "timeline")


# SVG


def to_svg(timeline: Timeline, now: datetime) -> str:
    """A picture that stands alone: no script, nothing from elsewhere, dark and light."""
    scale = _scale(timeline, now)
    forward, back = _both_ways(timeline)
    rows = len(forward) + len(back) + bool(back) + (scale is None)
    width, height = _NAMES + _CHART + 2 * _GAP, _TOP + rows * _ROW + _GAP
    title = escape(_title(timeline))
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}" {size}>',
        f"<title>{title}</title><style>{_STYLE}</style>{_HATCH}",
        f'<text class="head" x="{_GAP}" y="24">{title}</text>',
    ]
    if scale is None:
        lines.append(f'<text class="small" x="{_GAP}" y="{_TOP + 16}">{_NOTHING}</text>')
    else:
        lines.extend(_svg_scale(scale, height - _GAP))
        lines.extend(_svg_rows(forward, scale, _TOP))
        below = _TOP + len(forward) * _ROW
        if back:
            lines.append(f'<text class="head" x="{_GAP}" y="{below + 17}">{_UNDOING}</text>')
        lines.extend(_svg_rows(back, scale, below + _ROW))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _x(percent: float) -> float:
    return _GAP + _NAMES + percent * _CHART / 100


def _svg_scale(scale: TimeScale, bottom: int) -> Iterator[str]:
    for place, word in scale.ticks():
        x = _x(place)
        anchor = ' text-anchor="end"' if place > 95 else ""
        yield f'<path class="line" d="M{x:.1f} 54V{bottom}"/><text class="small" x="{x:.1f}" y="48"{anchor}>{word}</text>'
    for place, width, word in scale.folds():
        box = f'x="{_x(place):.1f}" y="54" width="{width * _CHART / 100:.1f}" height="{bottom - 54}"'
        yield f'<g><title>{word} in which nothing ran</title><rect class="fold" {box}/></g>'


def _svg_rows(rows: Sequence[_Row], scale: TimeScale, top: int) -> Iterator[str]:
    for number, row in enumerate(rows):
        y = top + number * _ROW
        name = escape(visible(f"{row.symbol} {short(row.step)}"))
        bars = "".join(_svg_bar(bar, scale, y) for bar in row.bars)
        yield f'<g><text x="{_GAP}" y="{y + 17}"><title>{escape(visible(row.step))}</title>{name}</text>{bars}</g>'


def _svg_bar(bar: Bar, scale: TimeScale, y: int) -> str:
    begin, end = scale.stretch(bar)
    place, height = (y + 8, 8) if not bar.is_work else (y + 4, 16)
    told = ", ".join(filter(None, (bar.step, f"{bar.what}: {bar.result}", scale.lasted(bar), bar.message)))
    box = f'x="{_x(begin):.1f}" y="{place}" width="{max((end - begin) * _CHART / 100, 3):.1f}" height="{height}" rx="3"'
    return f'<g><title>{escape(visible(told))}</title><rect class="bar {_look(bar)}" {box}/></g>'


def _look(bar: Bar) -> str:
    if not bar.is_work:
        return "wait"
    if bar.outcome is None:
        return "undone" if bar.kind == "undo" else "busy"
    return "bad" if bar.is_bad else FAMILY[bar.outcome]


# text


def to_text(timeline: Timeline, now: datetime, width: int) -> str:
    """The same in signs: what ran is solid, what waited is light, what was undone in between."""
    scale = _scale(timeline, now)
    if scale is None:
        return f"{_title(timeline)}\n{_NOTHING}\n"
    forward, back = _both_ways(timeline)
    names = min(max(len(short(row.step)) for row in (*forward, *back)), max(width, _NARROWEST) // 3)
    columns = max(max(width, _NARROWEST) - names - 4, 10)
    head = " " * (names + 4)
    lines = [_title(timeline), (head + _text_ticks(scale, columns)).rstrip()]
    lines += [_text_row(row, scale, names, columns) for row in forward]
    lines += [_UNDOING, *(_text_row(row, scale, names, columns) for row in back)] if back else []
    folded = [word for _, _, word in scale.folds()]
    signs = [f"{_RUNS} ran", f"{_WAITS} waited", *([f"{_UNDOES} undone"] if back else []), *([f"{_FOLDS} folded"] if folded else [])]
    lines += ["", ", ".join(signs)]
    lines += [f"folded, as nothing ran then: {', '.join(folded)}"] if folded else []
    return "\n".join(lines) + "\n"


_RUNS, _WAITS, _UNDOES, _FOLDS = "█", "░", "▓", "·"
_SIGNS = {"attempt": _RUNS, "undo": _UNDOES}


def _text_ticks(scale: TimeScale, columns: int) -> str:
    line = ""
    for place, word in scale.ticks():
        at = _column(place, columns)
        if at + len(word) <= columns and (not line or at > len(line)):
            line = f"{line:<{at}}{word}"
    return line


def _text_row(row: _Row, scale: TimeScale, names: int, columns: int) -> str:
    signs = [" "] * columns
    for place, wide, _ in scale.folds():
        _fill(signs, place, place + wide, _FOLDS)
    for bar in row.bars:
        begin, end = scale.stretch(bar)
        _fill(signs, begin, end, _SIGNS.get(bar.kind, _WAITS))
    name = visible(short(row.step, names))
    return f"{row.symbol} {name:<{names}}  {''.join(signs)}".rstrip()


def _fill(signs: list[str], begin: float, end: float, sign: str) -> None:
    first = _column(begin, len(signs))
    for at in range(first, max(_column(end, len(signs)), first) + 1):
        signs[at] = sign


def _column(percent: float, columns: int) -> int:
    return min(int(percent * columns / 100), columns - 1)
