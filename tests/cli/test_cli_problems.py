"""Errors say what is wrong and what to do, to people and to programs."""

from __future__ import annotations

import click
import pytest
from provisioning_cli._problems import problem_of

from provisioning_core import Conflict, InvalidInput, PlanChanged, PlanError, ProvisioningError, StoreUnavailable
from provisioning_core.errors import Difference, Fault


def test_a_conflict_tells_what_is_allowed() -> None:
    problem = problem_of(Conflict("acme is provisioned.", run_id="r", status="SUCCEEDED", allowed_actions=["deprovision"]))

    assert problem.to_lines() == ["Error: acme is provisioned.", "Allowed now: deprovision."]
    assert problem.to_dict() == {
        "error": {
            "code": "conflict",
            "message": "acme is provisioned.",
            "hint": "Allowed now: deprovision.",
            "allowed_actions": ["deprovision"],
            "run_id": "r",
            "status": "SUCCEEDED",
        }
    }


@pytest.mark.parametrize(
    ("error", "typed"),
    [
        (Conflict("It is there.", hint="`start` it with again=True, or `deprovision` it first."), "`start` it with --again, or"),
        (Conflict("It crosses mail.", hint="Use force to undo the rest all the same."), "Use --force to undo"),
        (Conflict("It moved on.", allowed_actions=["retry", "adopt_plan"]), "Allowed now: retry, adopt-plan."),
        (PlanChanged([], run_id="r"), "`adopt-plan` accepts the differences"),
        (InvalidInput("An output is missing.", hint="Give output=, as the step would have returned it."), "Give --output, as"),
    ],
)
def test_hints_speak_of_what_is_typed(error: ProvisioningError, typed: str) -> None:
    assert typed in problem_of(error).hint


def test_an_input_that_does_not_fit_names_each_place() -> None:
    errors = [{"loc": ("plan", "seats"), "msg": "Input should be a valid integer", "type": "int_type"}]

    problem = problem_of(InvalidInput("The input does not fit.", errors=errors))

    assert problem.to_lines() == ["Error: The input does not fit.", "  - plan.seats: Input should be a valid integer"]
    assert problem.to_dict()["error"]["errors"] == errors


def test_a_plan_error_lists_all_faults() -> None:
    faults = [
        Fault(code="missing_step", step="mail", problem="needs 'db', which is not there", mend="Add it to steps=."),
        Fault(code="no_steps", step=None, problem="it has no steps", mend="Add some."),
    ]

    problem = problem_of(PlanError(faults, plan="tenant"))

    assert problem.to_lines()[:3] == [
        "Error: plan 'tenant' has 2 faults:",
        "  - step 'mail': needs 'db', which is not there. Add it to steps=.",
        "  - it has no steps. Add some.",
    ]
    assert [each["code"] for each in problem.to_dict()["error"]["faults"]] == ["missing_step", "no_steps"]
    assert problem.exit_code == 2


def test_a_changed_plan_lists_its_differences() -> None:
    problem = problem_of(PlanChanged([Difference(kind="removed", step="mail", blocking=True)], run_id="r", plan="tenant"))

    assert problem.to_dict()["error"]["differences"] == [{"kind": "removed", "step": "mail", "detail": "", "blocking": True}]
    assert problem.exit_code == 9


def test_a_store_out_of_reach_says_that_nothing_is_lost() -> None:
    assert problem_of(StoreUnavailable("No connection")).to_lines() == [
        "Error: No connection",
        "Nothing is lost. Try again when the store is back.",
    ]


def test_a_usage_error_is_a_problem_too() -> None:
    assert problem_of(click.UsageError("no such thing")).to_dict()["error"]["code"] == "usage"


def test_what_nobody_foresaw_says_what_it_was() -> None:
    problem = problem_of(ValueError("\x1b[2Jboom"))

    assert problem.to_lines() == [
        "Error: Something went wrong that nobody foresaw: ValueError: boom",
        "It is a fault of the app or of provisioning, not of your command. PROVISIONING_DEBUG=1 shows where it happened.",
    ]
    assert problem.exit_code == 1
