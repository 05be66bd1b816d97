"""What is stored of a run: plain, frozen records. Times are seconds since the epoch (UTC); the views turn them into datetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning_core.model._graph import PlanGraph
from provisioning_core.model._status import Direction, Phase, RunStatus, StepStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorInfo:
    """One failure, as it is stored."""

    code: str
    message: str
    """Safe for the product's user: never an exception's text."""
    detail: str = ""
    """For operators: the exception's type and text, secrets masked."""
    traceback: str = ""
    hint: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step of one run. A step that has no record yet is ``PENDING`` and untouched."""

    name: str
    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    """Attempts begun in this round and direction."""
    failures: int = 0
    """Those of them that used up the retry budget."""
    token: int = 0
    """Token of the latest attempt; grows with every attempt of the run."""
    live: Direction | None = None
    """What the attempt under way does; None when none is. It may be a zombie whose result will be refused."""
    zombie: bool = False
    """The live attempt was given up (timeout) but has not ended."""
    round: int = 1
    """Grows when the step is provisioned anew after it was undone or re-run by a person."""
    effect: bool = False
    """Its intent was recorded, and it is neither compensated nor resolved nor known to be without effect."""
    redo: bool = False
    """To be compensated and then run again."""
    half_done: bool = False
    """The outcome of a forward attempt is unknown (one that is under way counts), and nothing has settled it since."""
    skip_reason: str = ""
    """``condition``, ``absent`` (something it needs delivered nothing) or ``person``."""
    signalled: bool = False
    started_at: float | None = None
    finished_at: float | None = None
    next_attempt_at: float | None = None
    deadline_at: float | None = None
    progress: float = 0.0
    message: str = ""
    output: str | None = None
    """The output as JSON text, secrets encrypted; None when there is none."""
    error: ErrorInfo | None = None
    undo_error: ErrorInfo | None = None
    engine: str | None = None
    """Id of the engine that began the latest attempt."""
    checkpoint: str | None = None
    """What ``ctx.checkpoint`` stored, as JSON text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run."""

    id: str
    plan: str
    plan_version: str
    fingerprint: str
    subject: str
    status: RunStatus = RunStatus.PENDING
    phase: Phase = Phase.FORWARD
    input: str = "null"
    """The input as JSON text, secrets encrypted."""
    input_digest: str = ""
    """Tells equal inputs from different ones without giving the input away."""
    labels: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    epoch: int = 0
    """Grows with every change of owner; a commit under an older one is refused."""
    owner: str | None = None
    """Id of the engine that works on it."""
    takeovers: int = 0
    """Takeovers from dead owners in a row, without a commit that moved the run."""
    version: int = 0
    """Grows with every commit."""
    seq: int = 0
    """Number of the latest event."""
    token: int = 0
    """The latest token given out."""
    progress: float = 0.0
    pausing: bool = False
    cancel_rollback: bool = False
    rollback_to: str | None = None
    forced: bool = False
    attention: ErrorInfo | None = None
    """Why the engine set the run aside, if it did."""
    weights: str | None = None
    """Weights of the steps for ``progress``, frozen when the run started, as JSON text."""
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    trace: str | None = None
    """The trace it belongs to, as a W3C ``traceparent``; None when it was started without tracing."""
    runnable_at: float | None = None
    """From when on an engine may take the run on; None while it rests without a timer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRecord:
    """One entry of the ledger: something that a step allocated outside."""

    step: str
    kind: str
    id: str
    details: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 0
    token: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One line of a run's history, as it is stored."""

    run_id: str
    seq: int
    at: float
    type: str
    step: str | None = None
    attempt: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """A verb that was recorded for the run's owner to carry out."""

    id: str
    run_id: str
    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    actor: str | None = None
    reason: str | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The output of a transactional step, committed together with what the step wrote."""

    step: str
    token: int
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A run's change of status, as ``on_status`` hooks get it; ``old`` is None when the run was created."""

    run_id: str
    subject: str
    plan: str
    old: RunStatus | None
    new: RunStatus
    at: float

    @property
    def status(self) -> RunStatus:
        """The new status."""
        return self.new


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSnapshot:
    """All that is stored of one run, but its history."""

    run: RunRecord
    graph: PlanGraph
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    """By name; sparse."""
    resources: tuple[ResourceRecord, ...] = ()
    completions: tuple[Completion, ...] = ()
    requests: tuple[RequestRecord, ...] = ()
    """Recorded verbs that are not carried out yet, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRun:
    """A run whose records can't be read: written by another version, or damaged."""

    id: str
    epoch: int
    problem: str
    """For operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecord:
    """One engine process: who it is, and until when it can be trusted to be alive."""

    id: str
    host: str
    boot_id: str
    pid: int
    process_started: str = ""
    """When the process started, as the system tells it: a pid alone may be used again."""
    expires_at: float = 0.0
    """By the store's clock."""
    overdue: float = 0.0
    """Seconds since it expired, by the store's clock, when the row was read; negative while it lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; empty fields don't filter."""

    status: tuple[str, ...] = ()
    plan: str | None = None
    subject: str | None = None
