"""What an engine does while its store is away: little, and nothing wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fault_plans import patiently, until

from provisioning_core import Engine, From, Plan, RunStatus, StoreUnavailable, step
from provisioning_core.model import EngineRecord
from provisioning_core.stores import MemoryStore
from provisioning_core.testing import FaultyStore


class Steps:
    """A plan of two steps, of which the first waits to be let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        self.ended: list[str] = []

        @step
        def slow() -> str:
            self.begun.release()
            self.go.wait(30)
            self.ended.append("slow")
            return "slow"

        @step
        def after(word: str = From(slow)) -> str:
            self.ended.append("after")
            return word

        self.plan = Plan("two", steps=[slow, after])


@pytest.fixture
def steps() -> Iterator[Steps]:
    made = Steps()
    yield made
    made.go.set()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def engine(store: FaultyStore, steps: Steps) -> Iterator[Engine]:
    made = new_engine(store, steps)
    yield made
    store.heal()
    steps.go.set()
    made.close()


def new_engine(store: FaultyStore, steps: Steps, **options: Any) -> Engine:
    engine = Engine(**{"store": store, "plans": [steps.plan], "poll": 0.05} | options)
    engine.open()
    return engine


def calls_in(store: FaultyStore, seconds: float) -> int:
    """Waiting is what is measured here."""
    before = store.calls.total()
    time.sleep(seconds)
    return store.calls.total() - before


def test_nothing_is_asked_again_and_again_while_the_store_is_away(store: FaultyStore, engine: Engine, steps: Steps) -> None:
    for number in range(8):
        engine.start("two", subject=f"t{number}")
    for _ in range(8):
        assert steps.begun.acquire(timeout=10)
    store.fail(for_ever=True)
    steps.go.set()
    assert until(lambda: store.is_away and len(steps.ended) == 8)
    assert calls_in(store, 1.5) <= 1.5 * (4 / 0.0375) / 2
    assert steps.ended == ["slow"] * 8, "nothing is launched that could not be recorded"
    store.heal()
    for number in range(8):
        assert patiently(lambda number=number: engine.wait(f"t{number}", timeout=20)).status is RunStatus.SUCCEEDED
    assert sorted(steps.ended) == ["after"] * 8 + ["slow"] * 8


def test_nor_when_there_was_more_to_take(store: FaultyStore, steps: Steps) -> None:
    web = new_engine(store, steps, work=False)
    for number in range(60):
        web.start("two", subject=f"t{number}")
    store.fail(2, method="claim", for_ever=True)
    engine = new_engine(store, steps, max_workers=1000, poll=0.5)
    assert until(lambda: store.is_away)
    assert calls_in(store, 1.0) < 20
    store.heal()
    steps.go.set()
    for number in range(60):
        assert web.wait(f"t{number}", timeout=20).status is RunStatus.SUCCEEDED
    engine.close()


def test_verbs_and_reads_say_so(store: FaultyStore, engine: Engine, steps: Steps) -> None:
    engine.start("two", subject="acme")
    assert steps.begun.acquire(timeout=10)
    store.fail(for_ever=True)
    for call in (
        lambda: engine.start("two", subject="umbrella"),
        lambda: engine.pause("acme"),
        lambda: engine.cancel("acme"),
        lambda: engine.status("acme"),
        lambda: engine.wait("acme", timeout=1),
        lambda: list(engine.events("acme")),
        engine.counts,
        engine.check,
        engine.runs,
    ):
        with pytest.raises(StoreUnavailable):
            call()
    store.heal()
    steps.go.set()
    assert patiently(lambda: engine.wait("acme", timeout=20)).status is RunStatus.SUCCEEDED
    assert engine.runs(subject="umbrella").items == ()


def test_a_verb_whose_commit_is_unknown_says_so_and_is_carried_out_once(store: FaultyStore, engine: Engine, steps: Steps) -> None:
    engine.start("two", subject="acme")
    assert steps.begun.acquire(timeout=10)
    store.fail(method="commit", when="after")
    with pytest.raises(StoreUnavailable) as caught:
        engine.pause("acme", actor="ana")
    assert caught.value.is_unknown
    steps.go.set()
    assert patiently(lambda: engine.wait("acme", timeout=20)).status is RunStatus.PAUSED
    assert [event.type for event in engine.events("acme")].count("pause.requested") == 1


def test_a_start_whose_answer_was_lost_gives_the_run(store: FaultyStore, engine: Engine, steps: Steps) -> None:
    steps.go.set()
    store.fail(method="create", when="after")
    run = engine.start("two", subject="acme")
    assert run.wait(20).status is RunStatus.SUCCEEDED
    assert len(engine.runs(subject="acme").items) == 1


def test_a_start_that_can_not_be_looked_up_either_goes_on_all_the_same(store: FaultyStore, engine: Engine, steps: Steps) -> None:
    steps.go.set()
    store.fail(method="create", when="after", for_ever=True)
    with pytest.raises(StoreUnavailable) as caught:
        engine.start("two", subject="acme", idempotency_key="one")
    assert caught.value.is_unknown
    store.heal()
    assert until(lambda: engine.status("acme").status is RunStatus.SUCCEEDED)
    assert engine.start("two", subject="acme", idempotency_key="one").id == engine.status("acme").id


def test_a_lease_that_can_not_be_renewed_stops_the_engine_until_it_can(store: FaultyStore, steps: Steps) -> None:
    engine = new_engine(store, steps, lease=0.6)
    engine.start("two", subject="acme")
    assert steps.begun.acquire(timeout=10)
    store.fail(method="heartbeat", for_ever=True)
    running = engine._running
    assert running is not None
    assert until(lambda: store.is_away and not running._lease.is_trusted)
    steps.go.set()
    assert until(lambda: "slow" in steps.ended)
    assert calls_in(store, 0.5) < 0.5 * 60
    store.heal()
    assert patiently(lambda: engine.wait("acme", timeout=20)).status is RunStatus.SUCCEEDED
    assert steps.ended == ["slow", "after"]
    engine.close()


def test_an_engine_whose_lease_had_run_out_asks_which_runs_are_still_its_own(store: FaultyStore, steps: Steps) -> None:
    """Another one has taken the run, and this one has nothing to record of it: no commit tells it."""
    engine = new_engine(store, steps, lease=0.6, poll=5.0)
    run = engine.start("two", subject="acme")
    assert steps.begun.acquire(timeout=10)
    running = engine._running
    assert running is not None
    mine = store.load(run.id).run.owner
    assert mine is not None
    store.retire(mine)
    store.register(EngineRecord(id="other", host="elsewhere", boot_id="", pid=1), 60.0)
    assert store.claim_run("other", run.id) is not None
    assert until(lambda: running.runs_in_memory == 0)
    assert steps.ended == [], "its step has ended, and with that a commit was refused"
    assert store.load(run.id).run.owner == "other"
    engine.close(timeout=0.1)


@pytest.mark.parametrize("error", [RuntimeError("unexpected"), StoreUnavailable()])
def test_the_lease_is_kept_whatever_a_renewal_raises(store: FaultyStore, steps: Steps, error: Exception) -> None:
    engine = new_engine(store, steps, lease=0.3)
    store.fail(method="heartbeat", error=error)
    assert until(lambda: store.failed["heartbeat"] > 0)
    seen = store.calls["heartbeat"]
    assert until(lambda: store.calls["heartbeat"] > seen + 2)
    engine.close()


def test_an_engine_closes_though_the_store_is_away_and_lets_its_runs_go_later(store: FaultyStore, steps: Steps) -> None:
    engine = new_engine(store, steps, lease=1.0)
    engine.start("two", subject="acme")
    assert steps.begun.acquire(timeout=10)
    store.fail(for_ever=True)
    steps.go.set()
    assert until(lambda: store.is_away)
    engine.close(timeout=0.2)
    store.heal()
    heir = new_engine(store, steps)
    assert heir.wait("acme", timeout=20).status is RunStatus.SUCCEEDED
    heir.close()


def test_what_outlives_its_engine_is_waited_for(store: FaultyStore, steps: Steps) -> None:
    engine = new_engine(store, steps, lease=0.5)
    engine.start("two", subject="acme")
    assert steps.begun.acquire(timeout=10)
    engine.close(timeout=0.1)
    heir = new_engine(store, steps)
    assert not steps.begun.acquire(timeout=1.0), "the first attempt is alive"
    steps.go.set()
    assert heir.wait("acme", timeout=20).status is RunStatus.SUCCEEDED
    heir.close()


@pytest.mark.parametrize("method", ["prepare", "register"])
def test_an_engine_that_could_not_be_opened_is_opened_later(store: FaultyStore, steps: Steps, method: str) -> None:
    engine = Engine(store=store, plans=[steps.plan])
    store.fail(method=method)
    with pytest.raises(StoreUnavailable):
        engine.open()
    assert until(lambda: not any(thread.name.startswith("provisioning") for thread in threading.enumerate()))
    steps.go.set()
    assert engine.start("two", subject="acme").wait(20).status is RunStatus.SUCCEEDED
    engine.close()
    assert until(lambda: not any(thread.name.startswith("provisioning") for thread in threading.enumerate()))
