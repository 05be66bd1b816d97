"""A run in words: what happened, what it waits for, what can be done next. Pure: recorded facts in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from provisioning_cli._advice import advise, coming_back
from provisioning_cli._text import clean, listed, moment, several
from provisioning_cli._undo import undoing
from provisioning_core import ErrorView, Event, RunStatus, RunView, StepStatus, StepView

if TYPE_CHECKING:
    from provisioning_core.model import PlanGraph

_DONE = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})


def explain(view: RunView, events: Iterable[Event], graph: PlanGraph | None = None, *, program: str = "provision") -> list[str]:
    """The run in words, as lines. ``graph`` (the plan's) lets it tell what a rollback would undo."""
    sections = [
        [headline(view)],
        _section("What happened:", _story(view, list(events))),
        _section("What went wrong:", _wrong(view)),
        _section("What it waits for:", _waits(view)),
        _section("What can be done next:", _next(view, graph, program)),
    ]
    lines: list[str] = []
    for section in filter(None, sections):
        lines += ["", *section] if lines else section
    return lines


def headline(view: RunView) -> str:
    """One sentence: whose run, which plan, where it stands."""
    subject, plan = clean(view.subject), f"plan {clean(view.plan)}, version {clean(view.plan_version)}"
    return f"{subject} {_SAYS[view.status]} ({view.status}): {_count(view)} ({plan})."


_SAYS = {
    RunStatus.PENDING: "is recorded and has not begun",
    RunStatus.RUNNING: "is being provisioned",
    RunStatus.WAITING: "waits for somebody to act",
    RunStatus.PAUSED: "is paused",
    RunStatus.SUCCEEDED: "is provisioned",
    RunStatus.FAILED: "could not be provisioned",
    RunStatus.CANCELLING: "is being cancelled",
    RunStatus.CANCELLED: "was cancelled",
    RunStatus.ROLLING_BACK: "is being rolled back",
    RunStatus.ROLLED_BACK: "was rolled back and nothing is left of it",
    RunStatus.ROLLBACK_FAILED: "could not be rolled back completely",
}


def _count(view: RunView) -> str:
    undone = sum(step.status is StepStatus.COMPENSATED for step in view.steps.values())
    if view.status in (RunStatus.ROLLING_BACK, RunStatus.ROLLED_BACK, RunStatus.ROLLBACK_FAILED):
        return f"{several(undone, 'step')} undone"
    done = sum(step.status in _DONE for step in view.steps.values())
    return f"{done} of {several(len(view.steps), 'step')} done"


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


# what went wrong


def _wrong(view: RunView) -> list[str]:
    lines = [line for error in view.errors for line in _error_lines(error)]
    blocked = _named(view, StepStatus.BLOCKED)
    if blocked:
        lines.append(f"{several(len(blocked), 'step stands', 'steps stand')} behind that and did not run: {listed(blocked)}.")
    return [
        *lines,
        *(f"Went on without {clean(each.step or 'it')}, which is optional: {clean(each.message)}" for each in view.warnings),
    ]


def _error_lines(error: ErrorView) -> list[str]:
    where = f"Step {clean(error.step)}" if error.step else "The run"
    lines = [f"{where}: {clean(error.message)} (code {clean(error.code)})"]
    if error.detail:
        lines.append(f"  Detail: {clean(error.detail)}")
    if error.hint:
        lines.append(f"  Hint: {clean(error.hint)}")
    return lines


def _named(view: RunView, *statuses: StepStatus) -> list[str]:
    return [step.name for step in view.steps.values() if step.status in statuses]


# what it waits for


def _waits(view: RunView) -> list[str]:
    lines = [line for step in view.steps.values() if (line := _wait_of(step))]
    if view.status.moves:
        return lines or ["An engine that takes it up: a worker, or a command that watches it."]
    if view.status is RunStatus.SUCCEEDED or view.status is RunStatus.ROLLED_BACK:
        return []
    return (
        [*lines, "Nothing moves by itself now: it waits for a person."]
        if view.status is not RunStatus.WAITING or not lines
        else lines
    )


def _wait_of(step: StepView) -> str:
    name, attempt = clean(step.name), f" (attempt {step.attempt})" if step.attempt > 1 else ""
    told = f": {clean(step.message)}" if step.message else ""
    match step.status:
        case StepStatus.RUNNING:
            return f"Step {name} is at work{attempt}{told}."
        case StepStatus.COMPENSATING:
            return f"Step {name} is being undone{attempt}{told}."
        case StepStatus.RETRYING:
            return f"Step {name} is tried again at {moment(step.next_attempt_at) or 'the next turn'}{attempt}."
        case StepStatus.WAITING:
            until = f", or for {moment(step.next_attempt_at)}" if step.next_attempt_at else ""
            return f"Gate {name} waits for its signal{until}."
        case StepStatus.IN_DOUBT:
            return f"Step {name}: nobody knows whether it had its effect. Look there, then resolve it."
        case _:
            return ""


# what can be done


def _next(view: RunView, graph: PlanGraph | None, program: str) -> list[str]:
    advices = [*([coming_back(view, program)] if view.status.moves else []), *advise(view, program)]
    width = max((len(advice.command) for advice in advices), default=0)
    lines = [f"{advice.command:<{width}}  {advice.effect}".rstrip() for advice in advices]
    return [*lines, *_about_rollback(view, graph)]


def _about_rollback(view: RunView, graph: PlanGraph | None) -> list[str]:
    if graph is None or not {"rollback", "deprovision"} & set(view.allowed_actions):
        return []
    return undoing(view, graph).to_lines()
