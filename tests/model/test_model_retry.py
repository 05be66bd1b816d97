"""What a retry policy may be."""

from __future__ import annotations

import math
from typing import Any

import pytest

from provisioning_core import Plan, PlanError, Retry, step


def faults_of(**policy: Any) -> list[str]:
    try:
        Plan("p", steps=[step(lambda: None, name="a", retry=Retry(**policy))])
    except PlanError as error:
        return [fault.problem.removeprefix("retry: ") for fault in error.faults]
    return []


@pytest.mark.parametrize("kinds", [ValueError, [ValueError], {ValueError}, (ValueError, KeyError)])
def test_exceptions_are_given_as_a_class_or_as_several(kinds: Any) -> None:
    assert faults_of(on=kinds, give_up_on=kinds) == []
    assert Retry(on=kinds).is_worth_it(ValueError())
    assert not Retry(give_up_on=kinds).is_worth_it(ValueError())
    assert hash(Retry(on=kinds)) == hash(Retry(on=kinds))


@pytest.mark.parametrize("field", ["on", "give_up_on"])
@pytest.mark.parametrize("kind", ["ValueError", 5, None, int, ValueError()], ids=repr)
def test_what_is_no_exception_class_is_a_fault(field: str, kind: Any) -> None:
    expected = [f"{field}= holds {kind!r}, which is no exception class"]
    assert faults_of(**{field: kind}) == faults_of(**{field: [KeyError, kind]}) == expected


@pytest.mark.parametrize("attempts", [0, -1, 1.5, 1.0, True, "3", None, math.inf, math.nan])
def test_attempts_are_a_whole_number(attempts: Any) -> None:
    assert faults_of(attempts=attempts) == [f"attempts={attempts!r} must be a whole number, at least 1"]


@pytest.mark.parametrize(
    ("field", "bound"),
    [("initial", "at least 0"), ("maximum", "at least 0"), ("factor", "at least 1"), ("jitter", "between 0 and 1")],
)
@pytest.mark.parametrize("value", [-1, math.inf, -math.inf, math.nan, True, "1", None, 10**400])
def test_seconds_and_factors_are_finite_numbers(field: str, bound: str, value: Any) -> None:
    assert faults_of(**{field: value}) == [f"{field}={value!r} must be a finite number, {bound}"]


@pytest.mark.parametrize("timeout", ["soon", 0, -1, True])
def test_the_timeout_of_a_compensation_is_checked_as_the_step_s_is(timeout: Any) -> None:
    made = step(lambda: None, name="a")
    made.compensate(lambda: None, timeout=timeout)
    with pytest.raises(PlanError, match=r"compensate\(timeout\)="):
        Plan("p", steps=[made])
