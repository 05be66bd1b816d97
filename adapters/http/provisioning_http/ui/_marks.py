"""An icon, a word and a colour for every status. Icon and word always stand there: a colour alone tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provisioning_core import RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Mark:
    """How a status looks."""

    icon: str
    """The id of a symbol in ``_icons.html``, without ``i-``."""
    family: str
    """The class that colours it: ``idle busy wait done bad undone``."""
    word: str


def _word(status: RunStatus | StepStatus) -> str:
    return status.value.lower().replace("_", " ")


_STEPS: Mapping[StepStatus, tuple[str, str]] = {
    StepStatus.PENDING: ("idle", "idle"),
    StepStatus.RUNNING: ("busy", "busy"),
    StepStatus.RETRYING: ("again", "wait"),
    StepStatus.WAITING: ("wait", "wait"),
    StepStatus.SUCCEEDED: ("done", "done"),
    StepStatus.FAILED: ("bad", "bad"),
    StepStatus.IN_DOUBT: ("doubt", "wait"),
    StepStatus.SKIPPED: ("skipped", "idle"),
    StepStatus.BLOCKED: ("blocked", "idle"),
    StepStatus.CANCELLED: ("blocked", "idle"),
    StepStatus.COMPENSATING: ("undoing", "undone"),
    StepStatus.COMPENSATED: ("undone", "undone"),
    StepStatus.COMPENSATION_FAILED: ("alarm", "bad"),
}
_RUNS: Mapping[RunStatus, tuple[str, str]] = {
    RunStatus.PENDING: ("idle", "idle"),
    RunStatus.RUNNING: ("busy", "busy"),
    RunStatus.WAITING: ("wait", "wait"),
    RunStatus.PAUSED: ("paused", "wait"),
    RunStatus.SUCCEEDED: ("done", "done"),
    RunStatus.FAILED: ("bad", "bad"),
    RunStatus.CANCELLING: ("blocked", "busy"),
    RunStatus.CANCELLED: ("blocked", "idle"),
    RunStatus.ROLLING_BACK: ("undoing", "undone"),
    RunStatus.ROLLED_BACK: ("undone", "undone"),
    RunStatus.ROLLBACK_FAILED: ("alarm", "bad"),
}
STEP_MARKS: Mapping[StepStatus, Mark] = {status: Mark(*look, _word(status)) for status, look in _STEPS.items()}
RUN_MARKS: Mapping[RunStatus, Mark] = {status: Mark(*look, _word(status)) for status, look in _RUNS.items()}


def step_mark(status: str) -> Mark:
    """How a step of this status looks."""
    return STEP_MARKS[StepStatus(status)]


def run_mark(state: str) -> Mark:
    """How a run of this status looks."""
    return RUN_MARKS[RunStatus(state)]
