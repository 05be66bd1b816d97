"""A run in words: what happened, what it waits for, what can be done next. Pure: recorded facts in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from provisioning_cli._advice import next_commands
from provisioning_cli._text import clean, moment
from provisioning_cli._undo import undo_lines
from provisioning_core import Event, RunView, model

if TYPE_CHECKING:
    from provisioning_core.model import PlanGraph


def explain(
    view: RunView,
    events: Iterable[Event],
    graph: PlanGraph | None = None,
    *,
    program: str = "provision",
    is_worked_on: bool = True,
) -> list[str]:
    """The run in words, as lines. ``graph`` (the plan's) lets it tell what a rollback would undo.

    ``is_worked_on``: False where no engine is alive, so that nothing is at work whatever is recorded.
    """
    sections = [
        [headline(view)],
        _section("What happened:", _story(view, list(events))),
        _section("What went wrong:", model.troubles(view, safe=clean)),
        _section("What it waits for:", model.waits(view, safe=clean, is_worked_on=is_worked_on)),
        _section("What can be done next:", _next(view, graph, program)),
    ]
    lines: list[str] = []
    for section in filter(None, sections):
        lines += ["", *section] if lines else section
    return lines


def headline(view: RunView) -> str:
    """One sentence: whose run, which plan, where it stands."""
    return model.headline(view, safe=clean)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [title, *(f"  {line}" for line in lines)] if lines else []


# what happened


def _story(view: RunView, events: list[Event]) -> list[str]:
    told = [line for event in events if (line := _told(event))]
    if not told and view.created_at:
        told = [f"It was started at {moment(view.created_at)}."]
    return (
        told
        if len(told) <= _LONGEST
        else [*told[:1], f"… {len(told) - _LONGEST} lines left out; `events` has them all", *told[1 - _LONGEST :]]
    )


_LONGEST = 20


def _told(event: Event) -> str:
    """The events that turn a run's course; the many that only carry it on are left out."""
    kind, _, what = event.type.partition(".")
    at = moment(event.at)
    if event.type == "run.created":
        return f"{at}  {_who(event)} started it{_why(event)}."
    if what == "requested":
        on = f" of step {clean(event.step)}" if event.step else ""
        return f"{at}  {_who(event)} asked for {clean(kind)}{on}{_why(event)}."
    if event.type == "plan.adopted":
        return f"{at}  The changed plan was adopted."
    if event.type in _TURNS:
        return f"{at}  {_TURNS[event.type]}{_text(event)}."
    return _told_of_step(event, at) if kind == "step" else ""


_TURNS = {
    "run.rolling_back": "The rollback began",
    "run.succeeded": "Every step was done",
    "run.rolled_back": "Everything was undone",
    "run.cancelled": "It was cancelled",
    "run.paused": "It was paused",
}


def _told_of_step(event: Event, at: str) -> str:
    step, attempt = clean(event.step), f" (attempt {event.attempt})" if event.attempt else ""
    match event.type:
        case "step.failed":
            return f"{at}  Step {step} failed{attempt}{_message(event)}"
        case "step.in_doubt":
            return f"{at}  How step {step} ended is not known{attempt}{_message(event)}"
        case "step.compensation_failed":
            return f"{at}  Step {step} could not be undone{attempt}{_message(event)}"
        case _:
            return ""


def _who(event: Event) -> str:
    return clean(event.actor) if event.actor else "Somebody"


def _why(event: Event) -> str:
    why = event.data.get("why")
    return f' ("{clean(why)}")' if why else ""


def _text(event: Event) -> str:
    text = event.data.get("text")
    return f": {clean(text)}" if text else ""


def _message(event: Event) -> str:
    message = event.data.get("message")
    return f": {clean(message)}" if message else "."


# what can be done


def _next(view: RunView, graph: PlanGraph | None, program: str) -> list[str]:
    return [*next_commands(view, program, graph), *_about_rollback(view, graph)]


def _about_rollback(view: RunView, graph: PlanGraph | None) -> list[str]:
    if graph is None or not {"rollback", "deprovision"} & set(view.allowed_actions):
        return []
    return undo_lines(model.undoing(view, graph))
