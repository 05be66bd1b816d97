"""A run's history, one plain line per event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from provisioning_cli._marks import labelled
from provisioning_cli._text import clean, clock
from provisioning_core import Event, RunStatus, StepStatus


def event_line(event: Event) -> str:
    """``02:31:04Z  database  ✗ FAILED, attempt 3: The database could not be made. (quota)``."""
    return f"{clock(event.at)}  {event_text(event)}"


def event_text(event: Event) -> str:
    """The same without the time."""
    kind, _, what = event.type.partition(".")
    match kind:
        case "step":
            return _step_text(event, what)
        case "run":
            return _run_text(event, what)
        case "resource":
            return f"{clean(event.step)}  recorded {clean(event.data.get('kind', 'resource'))} {clean(event.data.get('id', ''))}"
        case "plan":
            return f"run  the changed plan was adopted{_by(event)}"
        case _:
            return _request_text(event, kind)


def _step_text(event: Event, what: str) -> str:
    status = _step_status(what)
    shown = clean(what.upper()) if status is None else labelled(status)
    attempt = f", attempt {event.attempt}" if event.attempt and event.attempt > 1 else ""
    again = _next_attempt(event.data.get("next_attempt_at"))
    return f"{clean(event.step)}  {shown}{attempt}{again}{_because(event)}"


def _run_text(event: Event, what: str) -> str:
    if what == "created":
        return f"run  created{_by(event)}{_why(event)}"
    status = _run_status(what)
    shown = clean(what.upper()) if status is None else labelled(status)
    return f"run  {shown}{_because(event)}"


def _request_text(event: Event, verb: str) -> str:
    on = f" of {clean(event.step)}" if event.step else ""
    return f"run  {clean(verb)}{on} was asked for{_by(event)}{_why(event)}"


def _by(event: Event) -> str:
    return f" by {clean(event.actor)}" if event.actor else ""


def _why(event: Event) -> str:
    why = event.data.get("why")
    return f": {clean(why)}" if why else ""


def _because(event: Event) -> str:
    told = event.data.get("message") or event.data.get("text")
    code = event.data.get("code")
    return f": {clean(told)}{f' ({clean(code)})' if code else ''}" if told else ""


def _next_attempt(at: Any) -> str:
    if not isinstance(at, int | float):
        return ""
    return f", next attempt at {clock(datetime.fromtimestamp(at, UTC))}"


def _step_status(word: str) -> StepStatus | None:
    return StepStatus.__members__.get(word.upper())


def _run_status(word: str) -> RunStatus | None:
    return RunStatus.__members__.get(word.upper())
