"""What a step costs, counted and not timed: commits, statements, calls. None of it may grow with what is there already."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioning_core import Engine, Plan, RunStatus, Step, step
from provisioning_core.ports import RunHead, Store
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.stores.sql._driver import Prepared
from provisioning_core.testing import FaultyStore, VirtualWorld

_PER_RUN = 4
"""Commits that a run may cost beside those of its steps: taking it up, letting it go."""


def chain(length: int) -> Plan:
    steps: list[Step[int]] = []
    for number in range(length):
        steps.append(step(name=f"s{number}", needs=steps[-1:])(lambda: 1))
    return Plan(f"chain-{length}", steps=steps)


def fan(width: int) -> Plan:
    first = step(name="first")(lambda: 1)
    middle = [step(name=f"s{number}", needs=[first])(lambda: 1) for number in range(width)]
    return Plan(f"fan-{width}", steps=[first, *middle, step(name="last", needs=middle)(lambda: 1)])


@pytest.mark.parametrize("length", [1, 20, 100])
def test_a_step_of_a_chain_costs_one_commit(length: int) -> None:
    store = FaultyStore(MemoryStore())
    plan = chain(length)
    with Engine(store=store, plans=[plan]) as engine:
        view = engine.start(plan.name, subject="acme").wait(60)
    assert view.status is RunStatus.SUCCEEDED
    assert store.calls["commit"] <= length + _PER_RUN


def test_steps_that_end_together_share_commits() -> None:
    """Two hundred steps that 16 workers do at once cost at most one commit each, however they meet."""
    store, plan = FaultyStore(MemoryStore()), fan(200)
    with Engine(store=store, plans=[plan], max_workers=16) as engine:
        engine.start(plan.name, subject="acme").wait(60)
    assert store.calls["commit"] <= 202 + _PER_RUN


def test_a_commit_of_steps_is_three_statements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: Counter[str] = Counter()

    def note(self: Prepared, driver: Any, rows: Any) -> Any:
        sent[" ".join(self.text.split()[:3])] += 1
        return run(self, driver, rows)

    run = Prepared.run
    monkeypatch.setattr(Prepared, "run", note)
    plan = chain(50)
    with closing(SqlStore(f"sqlite:///{tmp_path / 'store.db'}")) as store, Engine(store=store, plans=[plan]) as engine:
        engine.start(plan.name, subject="acme").wait(60)
    assert max(sent.values()) <= 50 + _PER_RUN
    assert sent.total() <= 3 * (50 + _PER_RUN)


class Asked(FaultyStore):
    """Notes when somebody has asked for a run's head."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.is_asked = threading.Event()

    def head(self, run_id: str) -> RunHead:
        try:
            return super().head(run_id)
        finally:
            self.is_asked.set()


def test_waiting_for_a_run_asks_for_its_head_once_and_reads_it_once() -> None:
    store = Asked(MemoryStore())

    @step
    def lasting() -> bool:
        return store.is_asked.wait(30)

    with Engine(store=store, plans=[Plan("lasting", steps=[lasting])], poll=60) as engine:
        view = engine.start("lasting", subject="acme").wait(30)
    assert (view.status, view.steps["lasting"].output) == (RunStatus.SUCCEEDED, True)
    assert (store.calls["head"], store.calls["load"]) == (1, 1)


def calls_during(work: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's, that the work makes in this thread."""
    made, before = 0, sys.getprofile()

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return made


def calls_per_step(plan: Plan, runs: int = 1) -> float:
    """Of an engine that does all the runs, from the moment they are started."""
    world = VirtualWorld()
    engine = world.engine(plan, max_workers=16)
    for number in range(runs):
        engine.engine.start(plan.name, subject=f"tenant-{number}")
    made = calls_during(world.settle)
    assert world.memory.counts() == {"SUCCEEDED": runs}
    return made / runs / len(plan.steps)


@pytest.mark.parametrize("shape", [chain, fan])
def test_a_step_of_a_large_plan_costs_what_one_of_a_small_plan_costs(shape: Callable[[int], Plan]) -> None:
    assert calls_per_step(shape(800)) <= 1.1 * calls_per_step(shape(80))


def test_a_step_among_many_runs_costs_what_it_costs_among_few() -> None:
    plan = chain(6)
    assert calls_per_step(plan, runs=300) <= 1.2 * calls_per_step(plan, runs=30)


def test_a_step_costs_no_more_calls_than_it_did() -> None:
    """A bound somewhat above what is measured: whoever lifts it should know why."""
    assert calls_per_step(chain(200)) < 620
