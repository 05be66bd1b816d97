"""Each invariant of what is recorded: it holds of good records, and each way to break it is told with its code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from verify_records import BROKEN, GOOD, GRAPH, a_run, a_step, done

from provisioning_core.machine import INVARIANTS, _invariants, check_snapshot
from provisioning_core.model import Direction, Node, PlanGraph, RunSnapshot, RunStatus, StepRecord, StepStatus

R, S = RunStatus, StepStatus
TABLES = ("RUN_RULES", "STEP_RULES", "STORED_RULES", "CHECKS")
RULES = [
    pytest.param(table, rule, id=f"{table}-{number}") for table in TABLES for number, rule in enumerate(getattr(_invariants, table))
]


def codes(snapshot: RunSnapshot) -> set[str]:
    return {violation.code for violation in check_snapshot(snapshot)}


@pytest.mark.parametrize("name", GOOD)
def test_good_records_hold(name: str) -> None:
    assert check_snapshot(GOOD[name]) == []


@pytest.mark.parametrize(("code", "how", "snapshot"), BROKEN, ids=[f"{code}: {how}" for code, how, _ in BROKEN])
def test_what_can_not_be_is_told_with_its_code(code: str, how: str, snapshot: RunSnapshot) -> None:
    assert code in codes(snapshot)
    for violation in check_snapshot(snapshot):
        assert violation.code in INVARIANTS
        assert violation.run_id == "r"
        assert violation.text.endswith(".")
        assert "{" not in violation.text
        assert violation.step is None or f"{violation.step!r}" in violation.text


@pytest.mark.parametrize(("table", "rule"), RULES)
def test_no_rule_can_be_left_out(table: str, rule: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, something that can't be would pass."""
    monkeypatch.setattr(_invariants, table, tuple(each for each in getattr(_invariants, table) if each is not rule))
    assert any(code not in codes(snapshot) for code, _, snapshot in BROKEN)


def test_a_violation_can_be_read_and_sent() -> None:
    found = check_snapshot(a_run(R.ROLLED_BACK, a_step("a", S.SUCCEEDED)))
    assert [str(violation) for violation in found] == [
        "rolled_back_clean: Step 'a' of run r: it is SUCCEEDED (effect: True), but the run is ROLLED_BACK."
    ]
    assert found[0].to_dict() == {"code": "rolled_back_clean", "run_id": "r", "step": "a", "text": found[0].text}


def test_a_strange_step_does_not_hide_what_is_wrong_with_the_run() -> None:
    assert codes(a_run(R.RUNNING, StepRecord(name="z"), finished_at=1.0)) >= {"steps_known", "times_fit_status"}


def a_large_run(size: int) -> RunSnapshot:
    """Chains of a hundred steps, nine in ten of which are through."""
    nodes = [Node(name=f"s{n}", needs=(f"s{n - 1}",) if n % 100 else (), has_compensation=True) for n in range(size)]
    status = {n: S.SUCCEEDED if n < size * 9 // 10 else S.RUNNING for n in range(size) if n < size * 9 // 10 or n % 100 == 0}
    steps = [replace(a_step("a", each), name=f"s{n}", token=n + 1) for n, each in status.items()]
    return a_run(R.RUNNING, *steps, token=size, graph=PlanGraph(plan="p", version="1", nodes=tuple(nodes)))


def test_ten_thousand_steps_are_checked_in_a_moment() -> None:
    """So that every run can be checked when an engine takes it up: about 20 ms; what is quadratic would take seconds."""
    large = a_large_run(10_000)
    begun = time.process_time()
    assert check_snapshot(large) == []
    assert time.process_time() - begun < 2.0


def test_the_plan_of_the_examples_is_what_they_say() -> None:
    assert list(GRAPH.index) == ["a", "b", "c", "extra", "gate"]
    assert [step.name for step in done("b")] == ["a", "c", "extra", "gate"]
    assert a_step("a", S.RUNNING).live is Direction.FORWARD
