"""One number per outcome."""

from __future__ import annotations

import pytest
from provisioning_cli import Asked, ExitCode, code_of_error, code_of_run

from provisioning_core import (
    Conflict,
    InvalidInput,
    LeaseLost,
    MissingExtra,
    NotFound,
    PlanChanged,
    PlanError,
    ProvisioningError,
    RunStatus,
    SchemaMismatch,
    StoreUnavailable,
)

FORWARD = {
    RunStatus.PENDING: 0,
    RunStatus.RUNNING: 0,
    RunStatus.CANCELLING: 0,
    RunStatus.ROLLING_BACK: 0,
    RunStatus.SUCCEEDED: 0,
    RunStatus.FAILED: 3,
    RunStatus.ROLLED_BACK: 5,
    RunStatus.ROLLBACK_FAILED: 6,
    RunStatus.WAITING: 7,
    RunStatus.PAUSED: 7,
    RunStatus.CANCELLED: 10,
}


def test_every_status_has_a_code_when_going_forward_was_asked() -> None:
    assert {status: code_of_run(status) for status in RunStatus} == FORWARD


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        (Asked.BACK, {RunStatus.ROLLED_BACK: 0}),
        (Asked.PART_BACK, {RunStatus.ROLLED_BACK: 0, RunStatus.PAUSED: 0}),
        (Asked.CANCEL, {RunStatus.CANCELLED: 0}),
        (Asked.PAUSE, {RunStatus.PAUSED: 0}),
    ],
)
def test_what_was_asked_for_is_no_failure(asked: Asked, differs: dict[RunStatus, int]) -> None:
    assert {status: code_of_run(status, asked) for status in RunStatus} == FORWARD | differs


def test_every_error_has_its_code() -> None:
    errors = [
        InvalidInput(),
        PlanError([]),
        MissingExtra("http", "`serve`"),
        PermissionError(),
        NotFound(),
        Conflict(),
        PlanChanged([]),
        LeaseLost(),
        StoreUnavailable(),
        SchemaMismatch(),
        TimeoutError(),
        KeyboardInterrupt(),
        ProvisioningError(),
        ProvisioningError(code="not_configured"),
        ValueError(),
    ]
    assert [int(code_of_error(error)) for error in errors] == [2, 2, 2, 4, 8, 9, 9, 9, 75, 75, 124, 130, 1, 2, 1]


def test_the_codes_are_those_that_are_documented() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0, "UNEXPECTED": 1, "USAGE": 2, "FAILED": 3, "NOT_ALLOWED": 4, "ROLLED_BACK": 5, "ROLLBACK_FAILED": 6,
        "WAITING": 7, "NOT_FOUND": 8, "CONFLICT": 9, "CANCELLED": 10, "STORE_UNAVAILABLE": 75, "TIMEOUT": 124, "DETACHED": 130,
    }  # fmt: skip


def test_a_run_that_was_set_aside_waits_for_a_person_whatever_was_asked() -> None:
    assert {code_of_run(RunStatus.RUNNING, asked, is_set_aside=True) for asked in Asked} == {ExitCode.WAITING}
