"""What callers see: frozen views of what is recorded, times as aware UTC datetimes, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_jsonable_python

from provisioning_core.model._status import RunStatus, StepStatus

MASK = "**********"
"""What is shown in place of a secret."""

_LAST_MOMENT = datetime.max.replace(tzinfo=UTC)


def as_datetime(at: float | None) -> datetime | None:
    """Seconds since the epoch as an aware UTC datetime; the last one there is for what lies beyond."""
    try:
        return None if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return _LAST_MOMENT


IRREVERSIBLE = "irreversible"
"""The code of a warning that tells of a step whose effect is left, because it can't be undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorView:
    """One failure. ``message`` is safe for the product's user; ``detail``, ``traceback`` and ``hint`` are for operators."""

    step: str | None
    code: str
    message: str
    detail: str = ""
    hint: str = ""
    at: datetime | None = None
    traceback: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something that a step allocated outside, as the run's ledger has it."""

    kind: str
    id: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step of a run."""

    name: str
    status: StepStatus
    attempt: int = 0
    """Attempts so far, this round."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_attempt_at: datetime | None = None
    progress: float = 0.0
    message: str = ""
    output: Any = None
    """The JSON value, secrets masked."""
    error: ErrorView | None = None
    resources: tuple[Resource, ...] = ()
    needs: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    """Why it does not run: the root cause's names for a BLOCKED step, its own name for a gate, else what it needs and has not got."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as it is recorded."""

    id: str
    plan: str
    plan_version: str
    subject: str
    status: RunStatus
    progress: float
    steps: Mapping[str, StepView]
    """In topological order."""
    errors: tuple[ErrorView, ...] = ()
    warnings: tuple[ErrorView, ...] = ()
    input: Any = None
    labels: Mapping[str, str] = field(default_factory=dict)
    allowed_actions: tuple[str, ...] = ()
    version: int = 0
    seq: int = 0
    """Number of the latest event that this view takes in."""
    is_resting: bool = False
    """Whether nothing moves (the run rests, or was set aside), and no recorded verb waits to be carried out."""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_set_aside(self) -> bool:
        """Whether an engine gave the run up as it stood: its status says that it moves, and nothing moves before a person acts."""
        return self.status.moves and self.is_resting

    @property
    def left_behind(self) -> tuple[str, ...]:
        """Steps that can't be undone, and were passed over on the way back: what they did is still there."""
        return tuple(warning.step for warning in self.warnings if warning.step and warning.code == IRREVERSIBLE)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(to_jsonable_python(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line of a list of runs."""

    id: str
    plan: str
    plan_version: str
    subject: str
    status: RunStatus
    progress: float
    version: int
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One page of runs, newest first."""

    items: tuple[RunSummary, ...] = ()
    next_cursor: str | None = None
    """Hand it back to get the next page; None on the last."""

    def __iter__(self) -> Iterator[RunSummary]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One immutable line of a run's history; ``seq`` counts 1, 2, 3 … without gaps."""

    run_id: str
    seq: int
    at: datetime
    type: str
    step: str | None = None
    attempt: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    actor: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(to_jsonable_python(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPreview:
    """What a run would do with one step."""

    name: str
    kind: str
    needs: tuple[str, ...]
    skipped: str = ""
    """Why it would be skipped; empty when it would run."""
    undo: str = "compensation"
    """``compensation``, ``nothing`` (it has none) or ``irreversible``."""
    expected_seconds: float | None = None
    """From past runs."""
    optional: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run would do, found out without running anything."""

    plan: str
    version: str
    on_failure: str
    layers: tuple[tuple[str, ...], ...]
    steps: Mapping[str, StepPreview]
    critical_path: tuple[str, ...]

    @property
    def skipped(self) -> tuple[str, ...]:
        """Steps that would be skipped with this input."""
        return tuple(name for name, step in self.steps.items() if step.skipped)

    @property
    def undoable(self) -> tuple[str, ...]:
        """Steps that a rollback can undo."""
        return tuple(name for name, step in self.steps.items() if step.undo == "compensation")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(to_jsonable_python(self))
