"""What happens next: pure decisions about one run. Events in, decisions out."""

from provisioning_core.machine._board import CELL_FIELDS, Cell
from provisioning_core.machine._commands import Command, Decision, Launch, Move, Note, RunMoved, StepMoved, Stop
from provisioning_core.machine._events import (
    AttemptFailed,
    AttemptLost,
    AttemptNotReady,
    AttemptSucceeded,
    CancelRequested,
    CapacityOffered,
    ContinueRequested,
    DeprovisionRequested,
    MachineEvent,
    PauseRequested,
    ProbeFound,
    ProbeMissed,
    Report,
    ResolveRequested,
    RetryRequested,
    RollbackRequested,
    SignalReceived,
    SkipRequested,
    TakenUp,
    TimePassed,
    Verb,
)
from provisioning_core.machine._history import History
from provisioning_core.machine._invariants import check_run, check_snapshot
from provisioning_core.machine._machine import Machine
from provisioning_core.machine._states import RUN_MOVES, STEP_MOVES
from provisioning_core.machine._violations import INVARIANTS, Violation

__all__ = [
    "CELL_FIELDS",
    "INVARIANTS",
    "RUN_MOVES",
    "STEP_MOVES",
    "AttemptFailed",
    "AttemptLost",
    "AttemptNotReady",
    "AttemptSucceeded",
    "CancelRequested",
    "CapacityOffered",
    "Cell",
    "Command",
    "ContinueRequested",
    "Decision",
    "DeprovisionRequested",
    "History",
    "Launch",
    "Machine",
    "MachineEvent",
    "Move",
    "Note",
    "PauseRequested",
    "ProbeFound",
    "ProbeMissed",
    "Report",
    "ResolveRequested",
    "RetryRequested",
    "RollbackRequested",
    "RunMoved",
    "SignalReceived",
    "SkipRequested",
    "StepMoved",
    "Stop",
    "TakenUp",
    "TimePassed",
    "Verb",
    "Violation",
    "check_run",
    "check_snapshot",
]
