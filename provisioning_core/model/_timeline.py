"""When what happened: a run's history as bars, one for each attempt, wait and compensation. Pure: events in, bars out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from provisioning_core.model._status import RunStatus, StepStatus
from provisioning_core.model._views import Event

BarKind = Literal["attempt", "wait", "gate", "doubt", "undo"]
"""``attempt``: the step's function ran. ``wait``: for the next attempt's time. ``gate``: for a signal or a time. ``doubt``: its
outcome was unknown. ``undo``: its compensation, all attempts of it and the waits between them."""

_OPENS: Mapping[StepStatus, BarKind] = {
    StepStatus.RUNNING: "attempt",
    StepStatus.RETRYING: "wait",
    StepStatus.WAITING: "gate",
    StepStatus.IN_DOUBT: "doubt",
    StepStatus.COMPENSATING: "undo",
}
_SAYS: Mapping[BarKind, str] = {
    "attempt": "attempt {}",
    "wait": "waits for attempt {}",
    "gate": "waits for its signal",
    "doubt": "in doubt",
    "undo": "undoing",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One stretch of time of one step."""

    step: str
    kind: BarKind
    attempt: int
    started_at: datetime
    finished_at: datetime | None = None
    """None while it lasts."""
    outcome: StepStatus | None = None
    """What the step became at its end."""
    message: str = ""
    """Of the failure that ended it; safe for the product's user."""

    @property
    def is_work(self) -> bool:
        """Whether code of the step ran, or was to run; else it waited."""
        return self.kind in ("attempt", "undo")

    @property
    def is_bad(self) -> bool:
        """Whether what ran failed."""
        return self.is_work and self.outcome in (StepStatus.RETRYING, StepStatus.FAILED, StepStatus.COMPENSATION_FAILED)

    @property
    def what(self) -> str:
        """What this stretch of time was, in words."""
        return _SAYS[self.kind].format(self.attempt + (self.kind == "wait"))

    @property
    def result(self) -> str:
        """How it ended, in words."""
        if self.outcome is None:
            return "under way" if self.is_work else "still waits"
        if self.is_work and self.outcome is StepStatus.RETRYING:
            return "failed"
        return "over" if self.kind == "wait" else self.outcome.lower().replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A run in time."""

    run_id: str = ""
    subject: str = ""
    plan: str = ""
    plan_version: str = ""
    started_at: datetime | None = None
    """When the run was created."""
    finished_at: datetime | None = None
    """When the run came to rest last; None while it moves."""
    bars: tuple[Bar, ...] = ()
    """In the order in which they began."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(to_jsonable_python(self))

    def to_svg(self, *, now: datetime | None = None) -> str:
        """A picture that stands alone; what lasts reaches to ``now``, an aware datetime (the present without it)."""
        from provisioning_core.model._time_drawing import to_svg

        return to_svg(self, now or datetime.now(UTC))

    def to_text(self, *, now: datetime | None = None, width: int = 80) -> str:
        """One line for each step, ``width`` signs wide (40 at the least)."""
        from provisioning_core.model._time_drawing import to_text

        return to_text(self, now or datetime.now(UTC), width)


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
            bars.append(Bar(step=event.step, kind=kind, attempt=event.attempt or 0, started_at=event.at))
    return Timeline(started_at=began, finished_at=ended, bars=tuple(bars))


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
        bars[number] = replace(bars[number], finished_at=event.at, outcome=new, message=message)
