"""The terminal: tables in colour and the live view. Imported only where there is a terminal, because rich takes a while to load."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import IO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from provisioning_cli._grid import Grid
from provisioning_cli._lines import event_line
from provisioning_cli._marks import fitting, labelled, mark_of
from provisioning_cli._render import step_grid
from provisioning_cli._text import clean, several
from provisioning_core import Event, RunView, StepStatus

_NARROW = 60
_TINY = 36
_EVENTS = 4
_FRAME = 4 + _EVENTS
"""Lines of the live view besides its steps: head, column titles, bar, an empty line, the last events."""


def console_on(stream: IO[str]) -> Console:
    """A console that writes no links, no markup and no emoji codes; it honours NO_COLOR and the terminal's width."""
    return Console(file=stream, markup=False, emoji=False, highlight=False, soft_wrap=False)


def as_table(grid: Grid, *, width: int | None = None, encoding: str | None = None) -> Table:
    """A table for a terminal. With ``width`` each row is one line: the last column is cut off, and others if they must be."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    widths = _widths(grid, width)
    for column, most in zip(grid.columns, widths, strict=True):
        table.add_column(column, no_wrap=most is not None, overflow="fold", max_width=most)
    for row in grid.rows:
        cells = [_cell(text, row.style if not number else "", widths[number], encoding) for number, text in enumerate(row.cells)]
        table.add_row(*cells)
    return table


def _widths(grid: Grid, width: int | None) -> list[int | None]:
    if width is None:
        return [None] * len(grid.columns)
    left, widths = width, []
    for number, column in enumerate(grid.columns):
        longest = max([cell_len(column), *(cell_len(row.cells[number]) for row in grid.rows)])
        most = min(longest, max(left if number in (0, len(grid.columns) - 1) else left * 2 // 3, 1))
        widths.append(most)
        left -= most + 2
    return list(widths)


def _cell(text: str, style: str, most: int | None, encoding: str | None) -> Text:
    cell = Text(fitting(text, encoding), style=style)
    if most is not None:
        cell.truncate(most, overflow="ellipsis")
    return cell


def fitted(grid: Grid, width: int) -> Grid:
    """On a narrow terminal, the table without what can be done without."""
    if width < _TINY:
        return grid.without((*_DISPENSABLE, *_WORDY))
    return grid.without(_DISPENSABLE) if width < _NARROW else grid


_DISPENSABLE = ("TRY", "TIME", "DONE", "CREATED", "NEEDS", "USUALLY", "STEPS", "ON FAILURE")
_WORDY = ("MESSAGE", "DESCRIPTION", "REMARK")


def live_view(
    view: RunView, events: Sequence[Event], *, now: datetime, width: int = 80, height: int = 24, encoding: str | None = None
) -> RenderableType:
    """What is on the screen while a run moves: head, steps, bar, last events. Fits into ``height`` lines."""
    names, left_out = rows_that_fit(view, max(height - _FRAME - 1, 3))
    table = as_table(fitted(step_grid(view, now, only=names), width), width=width, encoding=encoding)
    parts: list[RenderableType] = [_head(view, encoding), table]
    if left_out:
        parts.append(Text(fitting(f"… {several(left_out, 'step')} more", encoding), style="dim"))
    parts += [_bar(view, width), *(_cut(event_line(event), encoding) for event in events[-_EVENTS:])]
    return Group(*parts)


def rows_that_fit(view: RunView, most: int) -> tuple[list[str], int]:
    """The steps to show, in order, and how many are left out: first kept is what moves or went wrong, last what is done."""
    if len(view.steps) <= most:
        return list(view.steps), 0
    by_urgency = sorted(view.steps.values(), key=lambda step: _URGENCY.get(step.status, 2))
    kept = {step.name for step in by_urgency[:most]}
    return [name for name in view.steps if name in kept], len(view.steps) - most


_URGENCY = {
    StepStatus.RUNNING: 0,
    StepStatus.COMPENSATING: 0,
    StepStatus.FAILED: 0,
    StepStatus.COMPENSATION_FAILED: 0,
    StepStatus.IN_DOUBT: 0,
    StepStatus.RETRYING: 0,
    StepStatus.WAITING: 0,
    StepStatus.PENDING: 1,
}


def _head(view: RunView, encoding: str | None) -> Text:
    text = Text(
        fitting(f"{clean(view.subject)} · {clean(view.plan)} {clean(view.plan_version)} · ", encoding),
        no_wrap=True,
        overflow="ellipsis",
    )
    return text.append(fitting(labelled(view.status), encoding), style=mark_of(view.status).style)


def _bar(view: RunView, width: int) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_row(ProgressBar(total=1.0, completed=view.progress, width=min(max(width - 8, 8), 50)), Text(f"{view.progress:.0%}"))
    return table


def _cut(line: str, encoding: str | None) -> Text:
    return Text(fitting(line, encoding), style="dim", no_wrap=True, overflow="ellipsis")


class LiveWatcher:
    """Shows a run as a table that changes in place."""

    def __init__(self, stream: IO[str]) -> None:
        self._console = console_on(stream)
        self._encoding = getattr(stream, "encoding", None)
        self._live = Live(console=self._console, auto_refresh=False, transient=False, redirect_stdout=False, redirect_stderr=False)
        self._events: list[Event] = []

    def __enter__(self) -> LiveWatcher:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, view: RunView, events: Sequence[Event]) -> None:
        """Draw it as it is now."""
        self._events = [*self._events, *events][-_EVENTS:]
        size = shutil.get_terminal_size()
        shown = live_view(view, self._events, now=datetime.now(UTC), width=size.columns, height=size.lines, encoding=self._encoding)
        self._live.update(shown, refresh=True)
