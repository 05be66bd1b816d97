"""When what happened: a run's history as bars, one for each attempt, wait and compensation. Pure: events in, bars out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from provisioning_core.model._status import RunStatus, StepStatus
from provisioning_core.model._views import Event

BarKind = Literal["attempt", "wait", "gate", "doubt", "undo"]
"""``attempt``: the step's function ran. ``wait``: for the next attempt's time. ``gate``: for a signal or a time. ``doubt``: its
outcome was unknown. ``undo``: its compensation, all attempts of it and the waits between them."""

_OPENS: dict[StepStatus, BarKind] = {
    StepStatus.RUNNING: "attempt",
    StepStatus.RETRYING: "wait",
    StepStatus.WAITING: "gate",
    StepStatus.IN_DOUBT: "doubt",
    StepStatus.COMPENSATING: "undo",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stretch of time of one step."""

    step: str
    kind: BarKind
    attempt: int
    began: datetime
    ended: datetime | None = None
    """None while it lasts."""
    outcome: StepStatus | None = None
    """What the step became at its end."""
    message: str = ""
    """Of the failure that ended it; safe for the product's user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A run in time."""

    began: datetime | None = None
    ended: datetime | None = None
    """When the run came to rest last; None while it moves."""
    bars: tuple[Bar, ...] = ()
    """In the order in which they began."""


def timeline_of(events: Iterable[Event]) -> Timeline:
    """The bars of this history, which may be its beginning only."""
    bars: list[Bar] = []
    open_: dict[str, int] = {}
    began: datetime | None = None
    ended: datetime | None = None
    for event in events:
        began = began or event.at
        ended = _rest(event, ended)
        new = _step_status(event)
        if new is None or event.step is None:
            continue
        _close(bars, open_.pop(event.step, None), event, new)
        kind = _OPENS.get(new)
        if kind is not None:
            open_[event.step] = len(bars)
            bars.append(Bar(step=event.step, kind=kind, attempt=event.attempt or 0, began=event.at))
    return Timeline(began=began, ended=ended, bars=tuple(bars))


def _step_status(event: Event) -> StepStatus | None:
    kind, _, what = event.type.partition(".")
    return StepStatus[what.upper()] if kind == "step" and what.upper() in StepStatus.__members__ else None


def _rest(event: Event, known: datetime | None) -> datetime | None:
    kind, _, what = event.type.partition(".")
    if kind != "run":
        return known
    if what.upper() in RunStatus.__members__ and RunStatus[what.upper()].moves:
        return None
    return event.at if what != "created" else known


def _close(bars: list[Bar], number: int | None, event: Event, new: StepStatus) -> None:
    if number is not None:
        message = str(event.data.get("message", ""))
        bars[number] = replace(bars[number], ended=event.at, outcome=new, message=message)
