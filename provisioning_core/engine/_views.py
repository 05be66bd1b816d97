"""From what is recorded to what callers see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from provisioning_core.engine._adopting import differences
from provisioning_core.engine._verbs import try_verb
from provisioning_core.machine import Machine, TakenUp
from provisioning_core.model import (
    IRREVERSIBLE,
    ErrorInfo,
    ErrorView,
    Event,
    EventRecord,
    Node,
    Plan,
    Resource,
    ResourceRecord,
    RunRecord,
    RunSnapshot,
    RunStatus,
    RunSummary,
    RunView,
    StepRecord,
    StepStatus,
    StepView,
    Vault,
    as_datetime,
    maker,
    masked,
)

_NOT_FAILED = (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.PENDING)
_MOST_CAUSES = 5
_LEFT = "This step can't be undone; what it did is left as it is."


def view_of(snapshot: RunSnapshot, plan: Plan | None, vault: Vault | None = None) -> RunView:
    """The run as it is recorded; ``plan`` is the code's, if this process has it."""
    run = snapshot.run
    steps = _steps(snapshot)
    errors, warnings = _errors(snapshot, steps)
    return RunView(
        id=run.id,
        plan=run.plan,
        plan_version=run.plan_version,
        subject=run.subject,
        status=run.status,
        progress=run.progress,
        steps=steps,
        errors=errors,
        warnings=warnings,
        input=masked(run.input),
        labels=dict(run.labels),
        allowed_actions=allowed_actions(snapshot, plan, vault),
        version=run.version,
        seq=run.seq,
        is_resting=(not run.status.moves or run.attention is not None) and not snapshot.requests,
        created_at=as_datetime(run.created_at),
        started_at=as_datetime(run.started_at),
        finished_at=as_datetime(run.finished_at),
    )


def allowed_actions(snapshot: RunSnapshot, plan: Plan | None, vault: Vault | None = None) -> tuple[str, ...]:
    """The verbs that would be accepted now, those taken into account that are recorded and wait to be carried out.

    None without the plan's code: an engine that has no such plan carries nothing out. Nothing but adopting the code's plan where the
    run can't go on by it; without the ``vault`` secrets count as readable by it.
    """
    if plan is None:
        return ()
    machine = Machine(snapshot.graph, snapshot.run, snapshot.steps)
    machine.handle(TakenUp(at=snapshot.run.created_at, only_look=True))
    for waiting in snapshot.requests:
        try_verb(machine, waiting, waiting.at)
    allowed = machine.allowed_actions()
    if snapshot.run.attention is not None and "continue" not in allowed:
        allowed = ("continue", *allowed)
    found = differences(plan, snapshot, vault)
    if any(difference.blocking for difference in found):
        return ("adopt_plan",)
    return (*allowed, "adopt_plan") if found and not _is_over(snapshot.run) else allowed


def _is_over(run: RunRecord) -> bool:
    return run.status in (RunStatus.ROLLED_BACK, RunStatus.SUCCEEDED)


def summary_of(run: RunRecord) -> RunSummary:
    """One line of a list."""
    return RunSummary(
        id=run.id,
        plan=run.plan,
        plan_version=run.plan_version,
        subject=run.subject,
        status=run.status,
        progress=run.progress,
        version=run.version,
        created_at=as_datetime(run.created_at),
        started_at=as_datetime(run.started_at),
        finished_at=as_datetime(run.finished_at),
    )


def event_of(event: EventRecord) -> Event:
    """One line of the history."""
    at = as_datetime(event.at)
    assert at is not None  # noqa: S101  an event always has a time
    return Event(
        run_id=event.run_id,
        seq=event.seq,
        at=at,
        type=event.type,
        step=event.step,
        attempt=event.attempt,
        data=event.data,
        actor=event.actor,
    )


def step_statuses(snapshot: RunSnapshot) -> dict[str, StepStatus]:
    """For drawings."""
    return {
        node.name: step.status if (step := snapshot.steps.get(node.name)) is not None else StepStatus.PENDING
        for node in snapshot.graph.nodes
    }


def _steps(snapshot: RunSnapshot) -> dict[str, StepView]:
    resources: dict[str, list[ResourceRecord]] = {}
    for resource in snapshot.resources:
        resources.setdefault(resource.step, []).append(resource)
    causes = _root_causes(snapshot)
    found = {}
    for node in snapshot.graph.nodes:
        step = snapshot.steps.get(node.name) or StepRecord(name=node.name)
        found[node.name] = _step(node, step, resources.get(node.name, ()), _waits_for(node, step, snapshot, causes))
    return found


_make_step = maker(
    StepView,
    (
        *("name", "status", "attempt", "started_at", "finished_at", "next_attempt_at", "progress", "message", "output", "error"),
        *("resources", "needs", "waits_for", "description"),
    ),
)


def _step(node: Node, step: StepRecord, resources: Sequence[ResourceRecord], waits_for: tuple[str, ...]) -> StepView:
    error = step.undo_error if step.status in _GOING_BACK and step.undo_error is not None else step.error
    return _make_step(
        node.name,
        step.status,
        step.attempt,
        as_datetime(step.started_at),
        as_datetime(step.finished_at),
        as_datetime(step.next_attempt_at),
        1.0 if step.status is StepStatus.SUCCEEDED else step.progress,
        step.message,
        None if step.output is None else masked(step.output),
        None if error is None else error_view(node.name, error),
        tuple([Resource(kind=each.kind, id=each.id, details=each.details) for each in resources]) if resources else (),
        node.needs,
        waits_for,
        node.description,
    )


_GOING_BACK = (StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED)


def error_view(step: str | None, error: ErrorInfo) -> ErrorView:
    """One failure."""
    return ErrorView(
        step=step,
        code=error.code,
        message=error.message,
        detail=error.detail,
        hint=error.hint,
        at=as_datetime(error.at),
        traceback=error.traceback,
    )


def _errors(snapshot: RunSnapshot, steps: Mapping[str, StepView]) -> tuple[tuple[ErrorView, ...], tuple[ErrorView, ...]]:
    """Root causes only: what is blocked behind them is not listed again."""
    errors: list[ErrorView] = []
    warnings: list[ErrorView] = []
    if snapshot.run.attention is not None:
        errors.append(error_view(None, snapshot.run.attention))
    for node in snapshot.graph.nodes:
        step = snapshot.steps.get(node.name)
        if step is None:
            continue
        if step.status is StepStatus.COMPENSATION_FAILED and step.undo_error is not None:
            errors.append(error_view(node.name, step.undo_error))
        if step.error is not None and steps[node.name].status not in _NOT_FAILED:
            (warnings if node.optional else errors).append(error_view(node.name, step.error))
        if _is_left(node, step):
            warnings.append(ErrorView(step=node.name, code=IRREVERSIBLE, message=_LEFT, at=as_datetime(step.finished_at)))
    return tuple(errors), tuple(warnings)


def _is_left(node: Node, step: StepRecord) -> bool:
    """Whether the way back passed over a step that had succeeded and can't be undone. One that had not has its error still."""
    return node.irreversible and not node.has_compensation and step.status is StepStatus.COMPENSATED and step.error is None


def _waits_for(node: Node, step: StepRecord, snapshot: RunSnapshot, causes: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    match step.status:
        case StepStatus.BLOCKED:
            return causes.get(node.name, ())
        case StepStatus.WAITING | StepStatus.IN_DOUBT:
            return (node.name,)
        case StepStatus.PENDING:
            return tuple(need for need in node.needs if not _is_settled(snapshot, need))
        case _:
            return ()


def _is_settled(snapshot: RunSnapshot, name: str) -> bool:
    step = snapshot.steps.get(name)
    if step is None:
        return False
    optional = snapshot.graph.nodes[snapshot.graph.index[name]].optional
    return step.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED) or (optional and step.status is StepStatus.FAILED)


def _root_causes(snapshot: RunSnapshot) -> dict[str, tuple[str, ...]]:
    """For each blocked step, the failed ones behind which it stands (at most a few). Nodes stand in topological order."""
    if not any(step.status is StepStatus.BLOCKED for step in snapshot.steps.values()):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for node in snapshot.graph.nodes:
        step = snapshot.steps.get(node.name)
        if step is None:
            continue
        if step.status is StepStatus.FAILED and not node.optional:
            found[node.name] = (node.name,)
        elif step.status is StepStatus.BLOCKED:
            causes = dict.fromkeys(cause for need in node.needs for cause in found.get(need, ()))
            found[node.name] = tuple(causes)[:_MOST_CAUSES]
    return found


def weights_text(graph_nodes: tuple[Node, ...], durations: Mapping[str, float]) -> str | None:
    """Weights of a new run: a step's own weight, else its past duration (seconds), else what steps take on average."""
    if not durations:
        return None
    usual = sum(durations.values()) / len(durations)
    weights = {node.name: durations.get(node.name, usual) if node.weight is None else node.weight for node in graph_nodes}
    return json.dumps(weights)
