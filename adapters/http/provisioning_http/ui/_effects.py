"""What a button does, told before it does it: a title, a sentence, and for what undoes, which steps in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from provisioning_core import RunStatus, RunView, StepStatus
from provisioning_core.model import PlanGraph, Undoing, undoing

VERBS = ("signal", "retry", "continue", "resolve", "skip", "adopt_plan", "pause", "cancel", "rollback", "deprovision")
"""All that a page has a button for, in the order of the buttons: the most helpful first, what undoes last."""
_UNDOES = ("rollback", "deprovision")
_HELPS = ("signal", "retry", "continue", "resolve")
"""Verbs that take a stopped run on."""
_CANDIDATES: Mapping[str, tuple[StepStatus, ...]] = {
    "signal": (StepStatus.WAITING,),
    "skip": (StepStatus.FAILED,),
    "resolve": (StepStatus.IN_DOUBT, StepStatus.COMPENSATION_FAILED),
}
_LABELS = {
    "signal": "Give signal",
    "retry": "Retry",
    "continue": "Continue",
    "resolve": "Resolve",
    "skip": "Mark as done",
    "adopt_plan": "Adopt changed plan",
    "pause": "Pause",
    "cancel": "Cancel",
    "rollback": "Roll back",
    "deprovision": "Deprovision",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """One thing that can be done now."""

    verb: str
    label: str
    step: str | None = None
    look: str = ""
    """Class: ``first`` for the most helpful one, ``danger`` for what undoes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a verb would do now."""

    verb: str
    label: str
    told: str
    touches: tuple[str, ...] = ()
    """Steps that run (again) because of it."""
    undoing: Undoing | None = None
    steps: tuple[str, ...] = ()
    """The steps to choose from, for verbs that act on one."""
    asks_for_name: bool = False
    """Whether the subject's name has to be typed first."""


def buttons(view: RunView) -> list[Button]:
    """A button for each verb that the engine allows now; for verbs that act on a step, one for each where they are few."""
    allowed = [verb for verb in VERBS if verb in view.allowed_actions]
    if not candidates("signal", view):
        allowed.sort(key=lambda verb: verb == "signal")
    found = [button for verb in allowed for button in _buttons_of(verb, view)]
    return [_looking(button, is_first=number == 0 and button.verb in _HELPS) for number, button in enumerate(found)]


def _buttons_of(verb: str, view: RunView) -> list[Button]:
    steps = candidates(verb, view)
    if verb in _CANDIDATES and 1 <= len(steps) <= 2:
        return [Button(verb=verb, label=f"{_LABELS[verb]}: ", step=step) for step in steps]
    return [Button(verb=verb, label=_LABELS[verb] if verb not in _CANDIDATES else f"{_LABELS[verb]} …")]


def _looking(button: Button, *, is_first: bool) -> Button:
    look = "danger" if button.verb in (*_UNDOES, "cancel") else "first" if is_first else ""
    return Button(verb=button.verb, label=button.label, step=button.step, look=look)


def candidates(verb: str, view: RunView) -> tuple[str, ...]:
    """Steps that the verb can act on now. A gate can have its signal before it waits for it."""
    wanted = _CANDIDATES.get(verb, ())
    return tuple(step.name for step in view.steps.values() if step.status in wanted)


def effect_of(verb: str, view: RunView, graph: PlanGraph, step: str | None = None) -> Effect:
    """What it would do, found from what is recorded."""
    told = _TOLD[verb](view)
    if verb == "retry":
        return Effect(verb=verb, label=_LABELS[verb], told=told, touches=_retried(view))
    if verb in _UNDOES:
        is_there = view.status is RunStatus.SUCCEEDED
        return Effect(verb=verb, label=_LABELS[verb], told=told, undoing=undoing(view, graph), asks_for_name=is_there)
    if verb == "cancel":
        return Effect(verb=verb, label=_LABELS[verb], told=told, undoing=undoing(view, graph))
    if verb == "continue":
        return Effect(verb=verb, label=_LABELS[verb], told=told, touches=_undone(view))
    steps = _gates(view, graph) if verb == "signal" else candidates(verb, view)
    return Effect(verb=verb, label=_LABELS[verb], told=told, steps=(step,) if step in steps and step is not None else steps)


def _gates(view: RunView, graph: PlanGraph) -> tuple[str, ...]:
    waiting = candidates("signal", view)
    early = [node.name for node in graph.nodes if node.is_gate and view.steps[node.name].status is StepStatus.PENDING]
    return (*waiting, *early)


def _retried(view: RunView) -> tuple[str, ...]:
    status = view.status
    wanted = (StepStatus.COMPENSATION_FAILED,) if status is RunStatus.ROLLBACK_FAILED else (StepStatus.FAILED, StepStatus.BLOCKED)
    if status is RunStatus.ROLLED_BACK:
        return tuple(view.steps)
    return tuple(step.name for step in view.steps.values() if step.status in wanted)


def _undone(view: RunView) -> tuple[str, ...]:
    """What is not done yet."""
    done = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
    return tuple(step.name for step in view.steps.values() if step.status not in done)


def _tell_retry(view: RunView) -> str:
    match view.status:
        case RunStatus.ROLLBACK_FAILED:
            return "Tries again to undo what could not be undone."
        case RunStatus.ROLLED_BACK:
            return "Provisions anew, in the same run."
        case _:
            return "Tries the failed steps again, then all that stands behind them. Finished steps stay as they are."


_TOLD: Mapping[str, Callable[[RunView], str]] = {
    "signal": lambda _: "Opens a gate, so that what stands behind it can begin.",
    "retry": _tell_retry,
    "continue": lambda _: "Takes the run up again and does what is not done.",
    "resolve": lambda _: "Settles by hand how it stands with a step. Look at the outside system first: nothing is asked or run here.",
    "skip": lambda _: "Says that a failed step was done by hand. It counts as done; continue the run afterwards.",
    "adopt_plan": lambda _: "Lets the run go on by the plan as the code has it now, whatever changed.",
    "pause": lambda _: "Starts nothing new, until somebody continues it. Steps under way end first.",
    "cancel": lambda _: "Starts nothing new, and asks steps under way to stop.",
    "rollback": lambda _: "Undoes what was done, each step after those that depend on it.",
    "deprovision": lambda _: "Takes down what was provisioned: undoes every step, each after those that depend on it.",
}
