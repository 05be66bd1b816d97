"""The history, line by line, in words. What is for operators is left out by the same rule as in the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from provisioning_core import RunStatus, StepStatus
from provisioning_core.model import says
from provisioning_http._answers import EventBody
from provisioning_http.ui._marks import RUN_MARKS, STEP_MARKS, Mark
from provisioning_http.ui._safe import plain

_OTHER = Mark("note", "idle", "")
_PERSON = Mark("person", "idle", "")
_STEP_SAYS = {
    StepStatus.RUNNING: "began",
    StepStatus.RETRYING: "failed and is tried again",
    StepStatus.WAITING: "waits for its signal",
    StepStatus.SUCCEEDED: "is done",
    StepStatus.FAILED: "failed",
    StepStatus.IN_DOUBT: "is in doubt",
    StepStatus.SKIPPED: "is skipped",
    StepStatus.BLOCKED: "is blocked",
    StepStatus.CANCELLED: "is cancelled",
    StepStatus.COMPENSATING: "is being undone",
    StepStatus.COMPENSATED: "is undone",
    StepStatus.COMPENSATION_FAILED: "could not be undone",
    StepStatus.PENDING: "is to be done again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event."""

    seq: int
    at: datetime
    mark: Mark
    who: str
    """A step's name, a person's, or empty for the run."""
    told: str
    more: str
    """What it said, or why somebody did it."""


def line_of(event: EventBody) -> Line:
    """The event in words."""
    mark, who, told = _told(event)
    data = event.data
    more = str(data.get("message") or data.get("why") or data.get("text") or data.get("detail") or "")
    return Line(seq=event.seq, at=event.at, mark=mark, who=who, told=told, more=more)


def _told(event: EventBody) -> tuple[Mark, str, str]:
    kind, _, what = event.type.partition(".")
    word = what.upper()
    if kind == "step" and word in StepStatus.__members__:
        status = StepStatus[word]
        return STEP_MARKS[status], event.step or "", _STEP_SAYS[status] + _attempt(event, status)
    if kind == "run" and word in RunStatus.__members__:
        status_of_run = RunStatus[word]
        return RUN_MARKS[status_of_run], "", f"The run {says(status_of_run)}"
    if event.type == "run.created":
        return _PERSON, event.actor or "", "started it" if event.actor else "It was started"
    if what == "requested":
        on = f" of {plain(event.step)}" if event.step else ""
        asked = f"{kind.replace('_', ' ')}{on}"
        return _PERSON, event.actor or "", f"asked for {asked}" if event.actor else f"Somebody asked for {asked}"
    if event.type == "resource.recorded":
        return (
            _OTHER,
            event.step or "",
            f"recorded {plain(event.data.get('kind', 'a resource'))} {plain(event.data.get('id', ''))}".strip(),
        )
    return _OTHER, event.step or "", event.type.replace(".", " ").replace("_", " ")


def _attempt(event: EventBody, status: StepStatus) -> str:
    is_worth_it = event.attempt and status in (StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.FAILED)
    return f" (attempt {event.attempt})" if is_worth_it else ""
