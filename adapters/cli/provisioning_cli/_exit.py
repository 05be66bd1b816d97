"""How a command ends: one number per outcome, the same for every command."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum

from provisioning_core import (
    Conflict,
    InvalidInput,
    LeaseLost,
    MissingExtra,
    NotFound,
    PlanChanged,
    PlanError,
    RunStatus,
    SchemaMismatch,
    StoreUnavailable,
)


class ExitCode(IntEnum):
    """Exit codes of ``provision``."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    FAILED = 3
    NOT_ALLOWED = 4
    ROLLED_BACK = 5
    """Rolled back though going forward was asked for."""
    ROLLBACK_FAILED = 6
    WAITING = 7
    """WAITING, PAUSED or set aside: a person or a signal has to act."""
    NOT_FOUND = 8
    CONFLICT = 9
    CANCELLED = 10
    STORE_UNAVAILABLE = 75
    TIMEOUT = 124
    DETACHED = 130
    """Ctrl-C: nobody watches any more, the run is kept."""


class Asked(StrEnum):
    """What a command wanted of a run, as far as the exit code depends on it."""

    FORWARD = "forward"
    BACK = "back"
    PART_BACK = "part back"
    CANCEL = "cancel"
    PAUSE = "pause"


_ENDS: Mapping[RunStatus, ExitCode] = {
    RunStatus.FAILED: ExitCode.FAILED,
    RunStatus.ROLLED_BACK: ExitCode.ROLLED_BACK,
    RunStatus.ROLLBACK_FAILED: ExitCode.ROLLBACK_FAILED,
    RunStatus.WAITING: ExitCode.WAITING,
    RunStatus.PAUSED: ExitCode.WAITING,
    RunStatus.CANCELLED: ExitCode.CANCELLED,
}

_AS_ASKED: Mapping[Asked, frozenset[RunStatus]] = {
    Asked.FORWARD: frozenset(),
    Asked.BACK: frozenset({RunStatus.ROLLED_BACK}),
    Asked.PART_BACK: frozenset({RunStatus.ROLLED_BACK, RunStatus.PAUSED}),
    Asked.CANCEL: frozenset({RunStatus.CANCELLED}),
    Asked.PAUSE: frozenset({RunStatus.PAUSED}),
}

_ERRORS: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (NotFound, ExitCode.NOT_FOUND),
    (Conflict, ExitCode.CONFLICT),
    (PlanChanged, ExitCode.CONFLICT),
    (LeaseLost, ExitCode.CONFLICT),
    (InvalidInput, ExitCode.USAGE),
    (PlanError, ExitCode.USAGE),
    (MissingExtra, ExitCode.USAGE),
    (StoreUnavailable, ExitCode.STORE_UNAVAILABLE),
    (SchemaMismatch, ExitCode.STORE_UNAVAILABLE),
    (TimeoutError, ExitCode.TIMEOUT),
    (PermissionError, ExitCode.NOT_ALLOWED),
    (KeyboardInterrupt, ExitCode.DETACHED),
)

_OF_CONFIGURATION = frozenset(
    {"not_configured", "bad_engine", "bad_secrets_key", "secret_key_missing", "bad_store_url", "unsupported_database", "bad_webhooks"}
)
"""Codes of errors that tell of a set-up that can't work: whoever set it up can mend it, as a command that was written wrong."""


def code_of_run(status: RunStatus, asked: Asked = Asked.FORWARD, *, is_set_aside: bool = False) -> ExitCode:
    """The exit code for a run in this status. A run that still moves is done as far as the command goes: it was asked to detach.

    One that was set aside moves by its status only: a person has to act.
    """
    if is_set_aside:
        return ExitCode.WAITING
    return ExitCode.DONE if status in _AS_ASKED[asked] else _ENDS.get(status, ExitCode.DONE)


def code_of_error(error: BaseException) -> ExitCode:
    """The exit code for an error; what nobody foresaw is 1."""
    if getattr(error, "code", None) in _OF_CONFIGURATION:
        return ExitCode.USAGE
    return next((code for kind, code in _ERRORS if isinstance(error, kind)), ExitCode.UNEXPECTED)
