"""What a rollback would do: which steps are undone, in which order. Found from what is recorded, without asking the steps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from provisioning_core.model._graph import Node, PlanGraph
from provisioning_core.model._status import StepStatus
from provisioning_core.model._views import RunView, StepView

_UNTOUCHED = frozenset({StepStatus.PENDING, StepStatus.BLOCKED, StepStatus.WAITING, StepStatus.COMPENSATED})
_SURE = frozenset({StepStatus.IN_DOUBT, StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED})


@dataclass(frozen=True, slots=True)
class Undoing:
    """What a rollback would do, as far as it can be known before."""

    waves: tuple[tuple[str, ...], ...]
    """Steps that are undone at the same time, the first wave first."""
    irreversible: tuple[str, ...] = ()
    """Steps in the way that can't be undone."""
    without_compensation: tuple[str, ...] = ()
    """Steps that have nothing to undo."""

    @property
    def count(self) -> int:
        """How many steps are undone."""
        return sum(len(wave) for wave in self.waves)


def undoing(view: RunView, graph: PlanGraph | None = None, *, to: str | None = None) -> Undoing:
    """What undoing this run would do, but for the step ``to`` and all it needs, if given.

    ``graph`` tells which steps have a compensation; without it every touched step counts as having one.
    """
    nodes = {} if graph is None else {node.name: node for node in graph.nodes}
    kept = _with_needs(view, to)
    touched = [step for step in view.steps.values() if _is_touched(step) and step.name not in kept]
    bare = [step.name for step in touched if _is_bare(nodes.get(step.name))]
    stuck = [step.name for step in touched if _is_irreversible(nodes.get(step.name))]
    left = {step.name for step in touched} - set(bare) - set(stuck)
    return Undoing(_waves(view, left), tuple(stuck), tuple(name for name in bare if name not in stuck))


def _is_touched(step: StepView) -> bool:
    """Whether an effect may be there: an attempt was begun."""
    return step.status in _SURE or (step.status not in _UNTOUCHED and step.attempt > 0)


def _is_bare(node: Node | None) -> bool:
    return node is not None and not node.has_compensation


def _is_irreversible(node: Node | None) -> bool:
    return node is not None and node.irreversible


def _with_needs(view: RunView, to: str | None) -> Collection[str]:
    todo = [] if to is None else [to]
    kept: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in kept and name in view.steps:
            kept.add(name)
            todo.extend(view.steps[name].needs)
    return kept


def _waves(view: RunView, left: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """Each step stands one wave after the latest of those that depend on it; others in between only pass the order on."""
    wave: dict[str, int] = {}
    for step in reversed(list(view.steps.values())):
        own = wave.get(step.name, 0)
        for need in step.needs:
            wave[need] = max(wave.get(need, 0), own + (step.name in left))
    return _grouped({name: wave.get(name, 0) for name in view.steps if name in left})


def _grouped(wave: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    groups: dict[int, list[str]] = {}
    for name, number in wave.items():
        groups.setdefault(number, []).append(name)
    return tuple(tuple(groups[number]) for number in sorted(groups))
