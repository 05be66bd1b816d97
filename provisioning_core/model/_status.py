"""The words for where a run and a step stand."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run stands. Equal to its name as a string."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    """Nothing can go on until a person or a signal acts."""
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"
    ROLLING_BACK = "ROLLING_BACK"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"

    @property
    def moves(self) -> bool:
        """True while the engine itself takes the run on; otherwise the run *rests*."""
        return self in MOVING


MOVING = frozenset({RunStatus.PENDING, RunStatus.RUNNING, RunStatus.CANCELLING, RunStatus.ROLLING_BACK})
"""Statuses in which the engine takes the run on by itself."""

OCCUPYING = frozenset(
    {
        RunStatus.PENDING,
        RunStatus.RUNNING,
        RunStatus.WAITING,
        RunStatus.PAUSED,
        RunStatus.FAILED,
        RunStatus.CANCELLING,
        RunStatus.ROLLING_BACK,
        RunStatus.ROLLBACK_FAILED,
    }
)
"""Statuses of which a subject can have one run at the most: a unique index in the store."""


class StepStatus(StrEnum):
    """Where a step of a run stands. Equal to its name as a string."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    """Waits for the time of its next attempt; holds no worker."""
    WAITING = "WAITING"
    """A gate that waits for its signal or its time."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    IN_DOUBT = "IN_DOUBT"
    """Its intent is recorded, its outcome unknown."""
    SKIPPED = "SKIPPED"
    BLOCKED = "BLOCKED"
    """Something it depends on failed."""
    CANCELLED = "CANCELLED"
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"


DONE = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})
"""Statuses in which a step delivers an output (or None) to those that need it."""


class Direction(StrEnum):
    """What an attempt does."""

    FORWARD = "forward"
    COMPENSATE = "compensate"
    PROBE = "probe"


class Phase(StrEnum):
    """Which way a run goes."""

    FORWARD = "forward"
    REDO = "redo"
    """Compensating named steps and all that depend on them, then forward again."""
    BACK = "back"
