"""Turns views into answers. What is for operators is left out where the caller is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from provisioning_core import Bar, ErrorView, Event, Plan, RunStatus, RunView, StepStatus, StepView, Timeline
from provisioning_http._answers import (
    BarBody,
    EdgeBody,
    ErrorBody,
    EventBody,
    EventsBody,
    GraphBody,
    NodeBody,
    PlanBody,
    PlanGraphBody,
    PlanLine,
    PlanStepBody,
    ProgressBody,
    ResourceBody,
    RunLine,
    RunsBody,
    StatusBody,
    StepBody,
    StepProgressBody,
    TimelineBody,
)
from provisioning_http._links import Links

IN_PROGRESS = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.CANCELLING, RunStatus.ROLLING_BACK)
_CURRENT = (StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING, StepStatus.IN_DOUBT, StepStatus.COMPENSATING)
_COMPLETED = (StepStatus.SUCCEEDED, StepStatus.SKIPPED)
_FAILED = (StepStatus.FAILED, StepStatus.COMPENSATION_FAILED)
_FOR_EVERYBODY = ("from", "code", "message", "text", "next_attempt_at")
"""What a tenant's own people see of an event's data; reasons that persons gave, and resources, are the operators'."""


def status_word(state: RunStatus, *, is_about_to_move: bool = False) -> str:
    """The product's word for a run's status."""
    return "IN_PROGRESS" if state in IN_PROGRESS or is_about_to_move else str(state)


def status_body(view: RunView, links: Links, *, is_operator: bool) -> StatusBody:
    return StatusBody(
        tenant_id=view.subject,
        run_id=view.id,
        plan=view.plan,
        plan_version=view.plan_version,
        status=status_word(view.status, is_about_to_move=not view.is_resting),
        state=str(view.status),
        progress=view.progress,
        current_steps=_named(view, _CURRENT),
        completed_steps=_named(view, _COMPLETED),
        failed_steps=_named(view, _FAILED),
        steps={name: _step_body(step, is_operator=is_operator) for name, step in view.steps.items()},
        errors=[_error_body(error, is_operator=is_operator) for error in view.errors],
        warnings=[_error_body(error, is_operator=is_operator) for error in view.warnings],
        allowed_actions=list(view.allowed_actions),
        version=view.version,
        created_at=view.created_at,
        started_at=view.started_at,
        finished_at=view.finished_at,
        links=links.of_run(view.subject, view.id),
    )


def progress_body(view: RunView) -> ProgressBody:
    steps = {
        name: StepProgressBody(progress=step.progress, message=step.message)
        for name, step in view.steps.items()
        if step.status in _CURRENT
    }
    return ProgressBody(version=view.version, progress=view.progress, steps=steps)


def _named(view: RunView, statuses: tuple[StepStatus, ...]) -> list[str]:
    return [name for name, step in view.steps.items() if step.status in statuses]


def _step_body(step: StepView, *, is_operator: bool) -> StepBody:
    held = [ResourceBody(kind=each.kind, id=each.id, details=dict(each.details)) for each in step.resources]
    operators: dict[str, Any] = {"resources": held} if is_operator else {}
    return StepBody(
        name=step.name,
        status=str(step.status),
        attempt=step.attempt,
        started_at=step.started_at,
        finished_at=step.finished_at,
        next_attempt_at=step.next_attempt_at,
        progress=step.progress,
        message=step.message,
        output=step.output,
        error=None if step.error is None else _error_body(step.error, is_operator=is_operator),
        needs=list(step.needs),
        waits_for=list(step.waits_for),
        description=step.description,
        **operators,
    )


def _error_body(error: ErrorView, *, is_operator: bool) -> ErrorBody:
    operators = {"detail": error.detail, "hint": error.hint, "traceback": error.traceback} if is_operator else {}
    return ErrorBody(step=error.step, code=error.code, message=error.message, at=error.at, **operators)


def events_body(events: Iterable[Event], after: int, *, is_operator: bool) -> EventsBody:
    items = [event_body(event, is_operator=is_operator) for event in events]
    return EventsBody(items=items, next_after=items[-1].seq if items else after)


def event_body(event: Event, *, is_operator: bool) -> EventBody:
    return EventBody(
        run_id=event.run_id,
        seq=event.seq,
        at=event.at,
        type=event.type,
        step=event.step,
        attempt=event.attempt,
        data=dict(event.data) if is_operator else _for_everybody(event),
        actor=event.actor if is_operator else None,
    )


def _for_everybody(event: Event) -> dict[str, Any]:
    if not event.type.startswith(("run.", "step.")):
        return {}
    return {name: event.data[name] for name in _FOR_EVERYBODY if name in event.data}


def graph_body(view: RunView) -> GraphBody:
    nodes = [
        NodeBody(
            name=step.name,
            status=str(step.status),
            needs=list(step.needs),
            waits_for=list(step.waits_for),
            description=step.description,
        )
        for step in view.steps.values()
    ]
    edges = _edges({node.name: node.needs for node in nodes})
    return GraphBody(run_id=view.id, plan=view.plan, plan_version=view.plan_version, nodes=nodes, edges=edges)


def _edges(needs: Mapping[str, Iterable[str]]) -> list[EdgeBody]:
    return [EdgeBody(source=need, target=name) for name, needed in needs.items() for need in needed]


def timeline_body(timeline: Timeline) -> TimelineBody:
    return TimelineBody(
        run_id=timeline.run_id,
        plan=timeline.plan,
        plan_version=timeline.plan_version,
        started_at=timeline.started_at,
        finished_at=timeline.finished_at,
        bars=[_bar_body(bar) for bar in timeline.bars],
    )


def _bar_body(bar: Bar) -> BarBody:
    return BarBody(
        step=bar.step,
        kind=bar.kind,
        attempt=bar.attempt,
        started_at=bar.started_at,
        finished_at=bar.finished_at,
        outcome=None if bar.outcome is None else str(bar.outcome),
        message=bar.message,
    )


def runs_body(page: Any, links: Links) -> RunsBody:
    return RunsBody(items=[_run_line(run, links) for run in page.items], next_cursor=page.next_cursor)


def _run_line(run: Any, links: Links) -> RunLine:
    return RunLine(
        tenant_id=run.subject,
        run_id=run.id,
        plan=run.plan,
        plan_version=run.plan_version,
        status=status_word(run.status),
        state=str(run.status),
        progress=run.progress,
        version=run.version,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        links=links.of_run(run.subject, run.id),
    )


def plan_line(plan: Plan, links: Links) -> PlanLine:
    return PlanLine(name=plan.name, version=plan.version, description=plan.description, links=links.of_plan(plan.name))


def plan_body(plan: Plan, links: Links) -> PlanBody:
    schema = plan.input_schema
    return PlanBody(
        name=plan.name,
        version=plan.version,
        description=plan.description,
        on_failure=plan.on_failure,
        input_schema=None if schema is None else dict(schema),
        steps={step.name: step for step in _plan_steps(plan)},
        links=links.of_plan(plan.name),
    )


def plan_graph_body(plan: Plan) -> PlanGraphBody:
    nodes = _plan_steps(plan)
    return PlanGraphBody(plan=plan.name, version=plan.version, nodes=nodes, edges=_edges({node.name: node.needs for node in nodes}))


def _plan_steps(plan: Plan) -> list[PlanStepBody]:
    return [
        PlanStepBody(
            name=node.name,
            kind=node.kind,
            needs=list(node.needs),
            description=node.description,
            optional=node.optional,
            conditional=node.conditional,
            irreversible=node.irreversible,
            undoable=node.has_compensation and not node.irreversible,
            attempts=node.retry.attempts,
            timeout=node.timeout,
        )
        for node in plan.graph.nodes
    ]
