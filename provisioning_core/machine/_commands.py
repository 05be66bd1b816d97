"""What the machine decides: moves to record, commands to carry out once they are recorded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from provisioning_core.model import Direction, RunStatus, StepStatus


class Note(StrEnum):
    """Why something moved, where the statuses alone don't say it. The name, in lower case, is the stable code."""

    NONE = ""
    ABSENT = "something it needs delivered nothing"
    TIMEOUT = "its time was up"
    ENGINE_LOST = "its engine is gone"
    INTERRUPTED = "it was broken off"
    GATE_TIMEOUT = "its signal did not come in time"
    SIGNALLED = "its signal came"
    SIGNALLED_EARLY = "its signal had already come"
    DELAY_OVER = "its time came"
    HALTED = "the run was halted"
    PROBED = "the probe found it done"
    NOTHING_FOUND = "the probe found nothing to undo"
    NOTHING_TO_UNDO = "nothing to undo"
    LEFT_NOTHING = "it failed, and is declared to leave nothing then"
    BY_HAND = "settled by hand"
    STEP_FAILED = "a step failed"
    CANCELLED = "cancelled"
    DEPROVISIONED = "deprovisioned"
    COMPENSATION_FAILED = "a compensation failed"
    AS_FAR_AS_ASKED = "rolled back as far as asked"
    IRREVERSIBLE = "a step failed, and a rollback would cross an irreversible step"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMoved:
    """A step's status changed."""

    step: str
    old: StepStatus
    new: StepStatus
    at: float
    attempt: int
    note: Note = Note.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMoved:
    """The run's status changed."""

    old: RunStatus
    new: RunStatus
    at: float
    note: Note = Note.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Begin an attempt. Its intent is part of the same decision and must be recorded first."""

    step: str
    direction: Direction
    token: int
    attempt: int
    deadline_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ask a running attempt to end."""

    step: str
    token: int


Move: TypeAlias = StepMoved | RunMoved
Command: TypeAlias = Launch | Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """All that follows from one event."""

    moves: tuple[Move, ...] = ()
    commands: tuple[Command, ...] = ()
    touched: tuple[str, ...] = ()
    """Steps whose record changed, whether their status moved or not."""
