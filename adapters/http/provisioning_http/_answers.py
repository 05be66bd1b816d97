"""What callers get: explicit models, so that nothing is shown that was not meant to be."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class ErrorBody(BaseModel):
    """One failure. What follows ``at`` is there for callers who may operate, and absent for others."""

    step: str | None
    code: str
    message: str
    at: datetime | None
    detail: str = ""
    hint: str = ""
    traceback: str = ""


class ResourceBody(BaseModel):
    """Something that a step allocated outside."""

    kind: str
    id: str
    details: dict[str, Any]


class StepBody(BaseModel):
    """One step of a run. ``resources`` is there for callers who may operate."""

    name: str
    status: str
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    progress: float
    message: str
    output: Any
    error: ErrorBody | None
    needs: list[str]
    waits_for: list[str]
    description: str
    resources: list[ResourceBody] = Field(default_factory=list)


class StatusBody(BaseModel):
    """Where a tenant's provisioning stands."""

    tenant_id: str
    run_id: str
    plan: str
    plan_version: str
    status: str = Field(description="`IN_PROGRESS` while the run moves by itself, else equal to `state`.")
    state: str = Field(description="The exact status of the run.")
    progress: float = Field(description="0.0 to 1.0")
    current_steps: list[str]
    completed_steps: list[str]
    failed_steps: list[str]
    steps: dict[str, StepBody]
    errors: list[ErrorBody]
    warnings: list[ErrorBody]
    allowed_actions: list[str]
    version: int
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]


class StepProgressBody(BaseModel):
    """How far a step is, in its own words."""

    progress: float = Field(description="0.0 to 1.0")
    message: str


class ProgressBody(BaseModel):
    """How far a run is, between two events of its history."""

    version: int
    progress: float = Field(description="0.0 to 1.0")
    steps: dict[str, StepProgressBody] = Field(description="The status's `current_steps`.")


class RunLine(BaseModel):
    """One run in a list."""

    tenant_id: str
    run_id: str
    plan: str
    plan_version: str
    status: str = Field(description="By `state` alone: a verb that no engine has taken up yet is seen in the run's own status.")
    state: str
    progress: float
    version: int
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]


class RunsBody(BaseModel):
    """One page of runs, newest first; ``next_cursor`` gets the next one."""

    items: list[RunLine]
    next_cursor: str | None


class EventBody(BaseModel):
    """One line of a run's history. Who acted and why is shown to callers who may operate."""

    run_id: str
    seq: int
    at: datetime
    type: str
    step: str | None
    attempt: int | None
    data: dict[str, Any]
    actor: str | None


class EventsBody(BaseModel):
    """One page of a run's history; ask again with ``after=next_after``."""

    items: list[EventBody]
    next_after: int


class TicketAnswer(BaseModel):
    """Lets a browser open one stream."""

    ticket: str
    run_id: str
    expires_in: float = Field(description="Seconds.")
    url: str = Field(description="For `new EventSource(url)`.")


class NodeBody(BaseModel):
    """One step in a picture of a run."""

    name: str
    status: str
    needs: list[str]
    waits_for: list[str]
    description: str


class EdgeBody(BaseModel):
    """``target`` needs ``source``."""

    source: str
    target: str


class GraphBody(BaseModel):
    """A run's graph as it stands."""

    run_id: str
    plan: str
    plan_version: str
    nodes: list[NodeBody]
    edges: list[EdgeBody]


class BarBody(BaseModel):
    """One stretch of time of one step."""

    step: str
    kind: str = Field(description="`attempt` or `undo` where code ran; `wait`, `gate` or `doubt` where it waited.")
    attempt: int
    started_at: datetime
    finished_at: datetime | None = Field(description="`null` while it lasts.")
    outcome: str | None = Field(description="What the step became at its end.")
    message: str = Field(description="Of the failure that ended it.")


class TimelineBody(BaseModel):
    """When what happened in a run."""

    run_id: str
    plan: str
    plan_version: str
    started_at: datetime | None
    finished_at: datetime | None = Field(description="When the run came to rest last; `null` while it moves.")
    bars: list[BarBody] = Field(description="In the order in which they began.")


class PlanStepBody(BaseModel):
    """One step of a plan."""

    name: str
    kind: str
    needs: list[str]
    description: str
    optional: bool
    conditional: bool
    irreversible: bool
    undoable: bool
    attempts: int
    timeout: float | None


class PlanLine(BaseModel):
    """One plan in a list."""

    name: str
    version: str
    description: str
    links: dict[str, str]


class PlansBody(BaseModel):
    """All plans that can be started."""

    items: list[PlanLine]


class PlanBody(BaseModel):
    """A plan: what it needs and what it does."""

    name: str
    version: str
    description: str
    on_failure: str
    input_schema: dict[str, Any] | None
    steps: dict[str, PlanStepBody]
    links: dict[str, str]


class PlanGraphBody(BaseModel):
    """A plan's graph."""

    plan: str
    version: str
    nodes: list[PlanStepBody]
    edges: list[EdgeBody]


class HealthBody(BaseModel):
    """All is well."""

    status: str = "ok"
