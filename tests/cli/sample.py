"""Runs as an engine would show them, made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from provisioning_core import ErrorView, Event, RunStatus, RunView, StepStatus, StepView
from provisioning_core.model import Node, PlanGraph

BEGAN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW = BEGAN + timedelta(minutes=1)

DECLINED = ErrorView(
    step="billing",
    code="card_declined",
    message="The card was declined.",
    detail="StepError: 402 from the provider",
    hint="Ask for another card.",
    at=BEGAN,
)


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def a_step(name: str, status: StepStatus = StepStatus.PENDING, needs: tuple[str, ...] = (), **more: Any) -> StepView:
    return StepView(name=name, status=status, needs=needs, **more)


def a_run(status: RunStatus, *steps: StepView, **more: Any) -> RunView:
    known: dict[str, Any] = {"id": "run-1", "plan": "tenant", "plan_version": "1", "subject": "acme", "progress": 0.5}
    return RunView(status=status, steps={step.name: step for step in steps}, created_at=BEGAN, **(known | more))


def failed_run(**more: Any) -> RunView:
    """Database and bucket are there, billing failed at the third attempt, the mail stands behind it."""
    return a_run(
        RunStatus.FAILED,
        a_step("database", StepStatus.SUCCEEDED, attempt=1, started_at=BEGAN, finished_at=after(2)),
        a_step("bucket", StepStatus.SUCCEEDED, ("database",), attempt=2, started_at=BEGAN, finished_at=after(1)),
        a_step("billing", StepStatus.FAILED, ("database",), attempt=3, started_at=after(2), finished_at=after(5), error=DECLINED),
        a_step("mail", StepStatus.BLOCKED, ("billing", "bucket"), waits_for=("billing",)),
        **({"started_at": BEGAN, "errors": (DECLINED,), "allowed_actions": ("retry", "continue", "skip", "rollback")} | more),
    )


def an_event(
    seq: int, type_: str, *, step: str | None = None, attempt: int | None = None, actor: str | None = None, **data: Any
) -> Event:
    return Event(run_id="run-1", seq=seq, at=after(seq), type=type_, step=step, attempt=attempt, actor=actor, data=data)


def history_of_failure() -> list[Event]:
    return [
        an_event(1, "run.created", actor="ana", why="signed up"),
        an_event(2, "run.running"),
        an_event(3, "step.running", step="billing", attempt=3),
        an_event(4, "step.failed", step="billing", attempt=3, code="card_declined", message="The card was declined."),
        an_event(5, "run.failed"),
    ]


def tenant_graph() -> PlanGraph:
    nodes = (
        Node(name="database", has_compensation=True),
        Node(name="bucket", needs=("database",), has_compensation=True),
        Node(name="billing", needs=("database",), has_compensation=True),
        Node(name="mail", needs=("billing", "bucket"), irreversible=True),
    )
    return PlanGraph(plan="tenant", version="1", nodes=nodes)
