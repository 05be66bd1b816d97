"""What can be done now, as commands that can be copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provisioning_cli._text import as_word
from provisioning_core import Engine, RunStatus, RunView, StepStatus

if TYPE_CHECKING:
    from provisioning_core.model import PlanGraph


@dataclass(frozen=True, slots=True)
class Advice:
    """A command and what it does."""

    command: str
    effect: str


def advise(view: RunView, program: str = "provision", graph: PlanGraph | None = None) -> list[Advice]:
    """One advice or more for each verb that the engine allows now, the most helpful first. ``graph`` (the plan's) tells the gates."""
    subject = as_word(view.subject)
    found = []
    for action in sorted(view.allowed_actions, key=_rank):
        for arguments, effect in _signal(view, graph) if action == "signal" else _ways(view, action):
            found.append(Advice(" ".join([program, action.replace("_", "-"), subject, *arguments]), effect))
    return found


def graph_of(engine: Engine, view: RunView) -> PlanGraph | None:
    """The graph of the run's plan, if the app has the plan."""
    plan = engine.plans.get(view.plan)
    return None if plan is None else plan.graph


def next_commands(view: RunView, program: str = "provision", graph: PlanGraph | None = None) -> list[str]:
    """The same as aligned lines; of a run that moves first how to see it."""
    watching = Advice(f"{program} watch {as_word(view.subject)}", "shows how it goes on")
    advices = [*([watching] if not view.is_set_aside and view.status.moves else []), *advise(view, program, graph)]
    width = max((len(advice.command) for advice in advices), default=0)
    return [f"{advice.command:<{width}}  {advice.effect}".rstrip() for advice in advices]


_ORDER = ("signal", "resolve", "retry", "continue", "skip", "pause", "rollback", "cancel", "deprovision")


def _rank(action: str) -> int:
    return _ORDER.index(action) if action in _ORDER else len(_ORDER)


def _ways(view: RunView, action: str) -> Iterable[tuple[list[str], str]]:
    way = _WAYS.get(action)
    return [([], "")] if way is None else way(view)


def _retry(view: RunView) -> Iterable[tuple[list[str], str]]:
    match view.status:
        case RunStatus.ROLLBACK_FAILED:
            return [([], "tries again to undo what could not be undone")]
        case RunStatus.ROLLED_BACK:
            return [([], "provisions anew, in the same run")]
        case _:
            return [([], "tries the failed steps again, then all that stands behind them; finished steps stay")]


def _signal(view: RunView, graph: PlanGraph | None) -> Iterable[tuple[list[str], str]]:
    waiting = _steps(view, StepStatus.WAITING)
    if waiting:
        return [([gate], f"opens the gate {gate}") for gate in waiting]
    known = {node.name for node in graph.nodes if node.is_gate} if graph is not None else set()
    coming = [gate for gate in _steps(view, StepStatus.PENDING) if gate in known] or ["GATE"]
    return [([gate], "gives a gate its signal before it waits for it") for gate in coming]


def _resolve(view: RunView) -> Iterable[tuple[list[str], str]]:
    doubts = [([step, "--as", "succeeded"], f"settles {step} by hand; --as failed or compensated if so") for step in _in_doubt(view)]
    stuck = _steps(view, StepStatus.COMPENSATION_FAILED)
    return [*doubts, *(([step, "--as", "compensated"], f"says that {step} was undone by hand") for step in stuck)]


def _skip(view: RunView) -> Iterable[tuple[list[str], str]]:
    return [([step], f"says that {step} was done by hand; then continue") for step in _steps(view, StepStatus.FAILED)]


def _rollback(view: RunView) -> Iterable[tuple[list[str], str]]:
    again = view.status is RunStatus.ROLLBACK_FAILED
    return [([], "takes the rollback up again" if again else "undoes what was done, in reverse order")]


_WAYS: Mapping[str, Callable[[RunView], Iterable[tuple[list[str], str]]]] = {
    "retry": _retry,
    "continue": lambda _: [([], "takes the run up again and does what is not done")],
    "resolve": _resolve,
    "skip": _skip,
    "rollback": _rollback,
    "cancel": lambda _: [([], "starts nothing new; --rollback also undoes what was done")],
    "pause": lambda _: [([], "starts nothing new, until continue")],
    "deprovision": lambda _: [([], "takes it down: undoes every step, in reverse order")],
    "adopt_plan": lambda _: [([], "lets the run go on by the plan that the code has now")],
}


def _steps(view: RunView, status: StepStatus) -> list[str]:
    return [as_word(step.name) for step in view.steps.values() if step.status is status]


def _in_doubt(view: RunView) -> list[str]:
    return _steps(view, StepStatus.IN_DOUBT)
