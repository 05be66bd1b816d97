"""The invariants of a run as it is recorded: of its record, its graph and its steps. O(steps + edges): production checks them, too.

Written from the promises, not from the machine's own bookkeeping: they are a second opinion. What one record shows by itself is a row
of a table in ``_rules``; what can be seen only beside others (neighbours in the graph, all steps at once) is a function here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from provisioning_core.machine._rules import RUN_RULES, STEP_RULES, STORED_RULES, StepRule
from provisioning_core.machine._violations import Violation
from provisioning_core.model import DONE, Node, Phase, PlanGraph, RunRecord, RunSnapshot, StepRecord
from provisioning_core.model import RunStatus as R
from provisioning_core.model import StepStatus as S

_NOTHING_ALIVE = frozenset({R.CANCELLED, R.ROLLED_BACK, R.ROLLBACK_FAILED})
OPEN = frozenset({S.PENDING, S.RUNNING, S.RETRYING, S.WAITING, S.IN_DOUBT, S.COMPENSATING, S.COMPENSATION_FAILED})
"""Statuses from which a step still has somewhere to go by itself, or by a person, on the way back too."""


def check_snapshot(snapshot: RunSnapshot) -> list[Violation]:
    """What does not hold of a run as it is stored; empty when all is well."""
    run = snapshot.run
    told = [_of_run(run, rule.code, rule.text) for rule in STORED_RULES if rule.breaks(snapshot)]
    return [*check_run(run, snapshot.graph, snapshot.steps), *told]


def check_run(run: RunRecord, graph: PlanGraph, steps: Mapping[str, StepRecord]) -> list[Violation]:
    """What does not hold of what a machine decides: the run, its graph and its steps (sparse: a missing one is PENDING)."""
    found = [_of_run(run, rule.code, rule.text) for rule in RUN_RULES if rule.breaks(run)]
    strange = [name for name in steps if name not in graph.index]
    if strange:
        return [*found, *(_of_step(run, "steps_known", name, "the run's plan has no such step") for name in strange)]
    pairs = [(step, graph.nodes[graph.index[name]]) for name, step in steps.items()]
    for rule in STEP_RULES:
        found.extend(_of_rule(run, rule, step) for step, node in pairs if rule.breaks(step, node))
    for check in CHECKS:
        found.extend(check(run, graph, steps))
    return found


def _of_rule(run: RunRecord, rule: StepRule, step: StepRecord) -> Violation:
    return _of_step(run, rule.code, step.name, rule.text.format(step=step, live=step.live or "nothing"))


def _of_run(run: RunRecord, code: str, text: str) -> Violation:
    ended = "never" if run.finished_at is None else f"at {run.finished_at}"
    return Violation(code=code, run_id=run.id, step=None, text=f"Run {run.id}: {text.format(run=run, ended=ended)}.")


def _of_step(run: RunRecord, code: str, step: str, text: str) -> Violation:
    return Violation(code=code, run_id=run.id, step=step, text=f"Step {step!r} of run {run.id}: {text}.")


# what needs more than one record

_Steps = Mapping[str, StepRecord]


def tokens_are_given_out_once(run: RunRecord, _: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """Each token belongs to one step, and the run knows it."""
    owners: dict[int, str] = {}
    for step in steps.values():
        if step.token > run.token:
            yield _of_step(run, "tokens_grow", step.name, f"it has token {step.token}, but the run's latest is {run.token}")
        if step.token > 0 and owners.setdefault(step.token, step.name) != step.name:
            yield _of_step(run, "tokens_grow", step.name, f"step {owners[step.token]!r} has the same token, {step.token}")


def redo_is_marked_in_redo(run: RunRecord, _: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """Marks of an earlier redo would undo what nobody named."""
    if run.phase is not Phase.REDO:
        for step in steps.values():
            if step.redo:
                yield _of_step(run, "redo_in_redo", step.name, f"it is marked to be run again, but the run goes {run.phase}")


def nothing_is_under_way_at_rest(run: RunRecord, _: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """A run that rests has no attempts but zombies; one that was cancelled or rolled back, none at all."""
    if run.status.moves:
        return
    for step in steps.values():
        if step.live is not None and (not step.zombie or run.status in _NOTHING_ALIVE):
            yield _of_step(run, "resting_is_quiet", step.name, f"an attempt is under way, but the run is {run.status}")


def nothing_was_begun_before_the_start(run: RunRecord, _: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """A PENDING run has begun nothing."""
    if run.status is R.PENDING:
        for step in steps.values():
            if step.token > 0:
                yield _of_step(run, "pending_is_untouched", step.name, "it was begun, but the run is PENDING")


def success_means_everything(run: RunRecord, graph: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """Steps that a changed plan brought along later are PENDING; whatever else is not settled should not be there."""
    if run.status is R.SUCCEEDED:
        for step in steps.values():
            if step.status is not S.PENDING and not is_settled(step.status, graph.nodes[graph.index[step.name]]):
                yield _of_step(run, "success_is_complete", step.name, f"it is {step.status}, but the run SUCCEEDED")


def nothing_is_left_after_a_rollback(run: RunRecord, _: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """The promise: ROLLED_BACK is impossible while anything is left."""
    if run.status is R.ROLLED_BACK:
        for step in steps.values():
            if step.effect or step.live is not None or step.status in OPEN:
                told = f"it is {step.status} (effect: {step.effect}), but the run is ROLLED_BACK"
                yield _of_step(run, "rolled_back_clean", step.name, told)


def what_runs_has_what_it_needs(run: RunRecord, graph: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """All needs of a step under way are settled; those it can't do without deliver."""
    for step in steps.values():
        if step.status is S.RUNNING:
            node = graph.nodes[graph.index[step.name]]
            for need in node.needs:
                status, reason = _stands(steps, need)
                if not is_settled(status, graph.nodes[graph.index[need]]):
                    yield _of_step(run, "order_forward", step.name, f"it is RUNNING, but needs {need!r}, which is {status}")
                elif need not in node.tolerates and not delivers(status, reason):
                    yield _of_step(run, "order_forward", step.name, f"it is RUNNING, but {need!r} ({status}) delivered nothing")


def what_is_undone_has_nothing_behind_it(run: RunRecord, graph: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """While a compensation is under way, nothing that depends on its step, however far, has an effect or is alive."""
    undone = [step for step in steps.values() if step.status is S.COMPENSATING and step.live is not None and not step.zombie]
    if not undone:
        return
    is_left = _left_behind(graph, steps)
    for step in undone:
        for dependent in graph.dependents_of[graph.index[step.name]]:
            if is_left[dependent]:
                name = graph.nodes[dependent].name
                told = f"it is being undone, but {name!r}, which depends on it, or something behind that is not"
                yield _of_step(run, "order_back", step.name, told)


def _left_behind(graph: PlanGraph, steps: _Steps) -> Sequence[bool]:
    """For each step, whether it or anything that depends on it has an effect or is alive. Nodes stand in topological order."""
    is_left = [False] * len(graph.nodes)
    for position in range(len(graph.nodes) - 1, -1, -1):
        step = steps.get(graph.nodes[position].name)
        own = step is not None and (step.effect or step.live is not None)
        is_left[position] = own or any(is_left[dependent] for dependent in graph.dependents_of[position])
    return is_left


def what_is_blocked_stands_behind_a_failure(run: RunRecord, graph: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """While the run goes forward. Elsewhere what failed may have been settled or undone, and nobody has looked since."""
    if run.phase is not Phase.FORWARD or run.status not in (R.RUNNING, R.WAITING):
        return
    for step in steps.values():
        if step.status is S.BLOCKED and not any(_blocks(graph, steps, need) for need in graph.nodes[graph.index[step.name]].needs):
            yield _of_step(run, "blocked_has_cause", step.name, "it is BLOCKED, but nothing that it needs failed")


def _blocks(graph: PlanGraph, steps: _Steps, need: str) -> bool:
    return blocks(_stands(steps, need)[0], graph.nodes[graph.index[need]])


def something_can_move(run: RunRecord, graph: PlanGraph, steps: _Steps) -> Iterator[Violation]:
    """A run that moves has something under way, or something that can be begun or comes in time."""
    if run.status.moves and run.status is not R.PENDING and not _can_move(run, graph, steps):
        yield _of_run(run, "moving_can_move", "it is {run.status} going {run.phase}, but nothing in it can be begun")


def _can_move(run: RunRecord, graph: PlanGraph, steps: _Steps) -> bool:
    if any(step.live is not None for step in steps.values()):
        return True
    if run.status is R.CANCELLING:
        return False
    if run.phase is not Phase.FORWARD:
        return any(step.effect or step.redo for step in steps.values())
    return any(_comes_in_time(step) for step in steps.values()) or any(_is_ready(graph, steps, node) for node in graph.nodes)


def _comes_in_time(step: StepRecord) -> bool:
    return step.status is S.RETRYING or (step.status in (S.IN_DOUBT, S.WAITING) and step.next_attempt_at is not None)


def _is_ready(graph: PlanGraph, steps: _Steps, node: Node) -> bool:
    if _stands(steps, node.name)[0] is not S.PENDING:
        return False
    return all(is_settled(_stands(steps, need)[0], graph.nodes[graph.index[need]]) for need in node.needs)


def _stands(steps: _Steps, name: str) -> tuple[S, str]:
    step = steps.get(name)
    return (S.PENDING, "") if step is None else (step.status, step.skip_reason)


def is_settled(status: S, node: Node) -> bool:
    """Whether those that need the step need not wait for it any more."""
    return status in DONE or (status is S.FAILED and node.optional)


def delivers(status: S, skip_reason: str) -> bool:
    """Whether it hands an output to those that need it."""
    return status is S.SUCCEEDED or (status is S.SKIPPED and skip_reason == "person")


def blocks(status: S, node: Node) -> bool:
    """Whether what needs the step is BLOCKED by it."""
    return status is S.BLOCKED or (status is S.FAILED and not node.optional)


CHECKS: tuple[Callable[[RunRecord, PlanGraph, _Steps], Iterator[Violation]], ...] = (
    tokens_are_given_out_once,
    redo_is_marked_in_redo,
    nothing_is_under_way_at_rest,
    nothing_was_begun_before_the_start,
    success_means_everything,
    nothing_is_left_after_a_rollback,
    what_runs_has_what_it_needs,
    what_is_undone_has_nothing_behind_it,
    what_is_blocked_stands_behind_a_failure,
    something_can_move,
)
