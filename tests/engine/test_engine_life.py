from __future__ import annotations

import contextlib
import gc
import os
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from engine_plans import Journal, MakeEngine, Order, blocking, chain, until, worker

from provisioning_core import Conflict, Engine, From, Plan, PlanChanged, ProvisioningError, RunStatus, StepContext, gate, step
from provisioning_core.model import RunFilter
from provisioning_core.stores import MemoryStore, SqlStore


def test_an_engine_that_does_not_work_only_records(make_engine: MakeEngine, journal: Journal) -> None:
    plan = chain(journal, ["a", "b"])
    web = make_engine(plan, work=False)
    run = web.start("chain", subject="acme", input=Order())
    assert (web.is_working, run.view().status, journal.lines) == (False, RunStatus.PENDING, [])
    with pytest.raises(TimeoutError, match="still PENDING"):
        run.wait(0.1)
    make_engine(plan, store=web.store)
    assert run.wait(10).status is RunStatus.SUCCEEDED


def test_verbs_recorded_beside_are_carried_out_by_the_owner(make_engine: MakeEngine) -> None:
    approval = gate("approval", payload=str)

    @step
    def use(word: str = From(approval)) -> str:
        return word

    plan = Plan("gated", steps=[approval, use])
    worker_engine = make_engine(plan)
    web = make_engine(plan, store=worker_engine.store, work=False)
    run = web.start("gated", subject="acme")
    assert run.wait(10).status is RunStatus.WAITING
    web.signal("acme", "approval", "yes", actor="web")
    view = run.wait(10)
    assert (view.status, view.steps["use"].output) == (RunStatus.SUCCEEDED, "yes")
    assert ("signal.requested", "web") in [(event.type, event.actor) for event in web.events("acme")]


def test_a_verb_beside_is_refused_at_once_when_it_does_not_fit(make_engine: MakeEngine) -> None:
    plan, begun, go = blocking()
    engine = make_engine(plan)
    web = make_engine(plan, store=engine.store, work=False)
    run = web.start("blocking", subject="acme")
    assert begun.wait(10)
    with pytest.raises(Conflict):
        web.retry("acme")
    web.pause("acme")
    assert until(lambda: "pause.requested" in [event.type for event in web.events("acme")])
    go.set()
    assert run.wait(10).status is RunStatus.PAUSED


def test_the_runs_of_a_dead_engine_are_taken_over_without_repeating_what_is_done(make_engine: MakeEngine) -> None:
    """The first engine's process is made to look as if it had died: its row says another start time."""
    calls: list[str] = []
    stuck, begun = threading.Event(), threading.Event()

    @step
    def first() -> str:
        calls.append("first")
        return "1"

    @step
    def second(ctx: StepContext, one: str = From(first)) -> str:
        calls.append(f"second {ctx.attempt}")
        if ctx.attempt == 1:
            begun.set()
            stuck.wait(20)
        return one + "2"

    plan = Plan("p", steps=[first, second])
    store = MemoryStore()
    dying = make_engine(plan, store=store, lease=30.0)
    dying.start("p", subject="acme")
    assert begun.wait(10)
    for record in store.engines():
        store.register(replace(record, process_started="long ago"), 30.0)
    heir = make_engine(plan, store=store)
    view = heir.wait("acme", timeout=10)
    assert (view.status, view.steps["second"].output, view.steps["second"].attempt) == (RunStatus.SUCCEEDED, "12", 2)
    assert calls == ["first", "second 1", "second 2"]
    stuck.set()
    assert until(lambda: dying._running is not None and not dying._running.is_anything_alive)
    assert heir.status("acme").version == view.version, "the dead engine's late result must not be written"


def test_two_engines_share_a_store_and_each_run_has_one_owner(make_engine: MakeEngine, journal: Journal) -> None:
    plan = chain(journal, ["a", "b", "c"])
    store = MemoryStore()
    engines = [make_engine(plan, store=store) for _ in range(2)]
    web = make_engine(plan, store=store, work=False)
    runs = [web.start("chain", subject=f"t{number}", input=Order()) for number in range(30)]
    assert {run.wait(20).status for run in runs} == {RunStatus.SUCCEEDED}
    assert sorted(journal.lines) == sorted(["a", "b", "c"] * 30)
    assert len(engines) == 2


def test_two_engines_in_one_process_keep_apart(make_engine: MakeEngine, journal: Journal) -> None:
    one, other = make_engine(chain(journal, ["a"])), make_engine(chain(journal, ["b"]))
    assert one.start("chain", subject="acme", input=Order()).wait(10).status is RunStatus.SUCCEEDED
    assert other.runs().items == ()


def test_a_run_goes_on_under_code_that_changed_only_what_is_not_done(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["b"] = -1
    store = MemoryStore()
    old = make_engine(chain(journal, ["a", "b"]), store=store)
    old.start("chain", subject="acme", input=Order()).wait(10)
    old.close()
    journal.failing.clear()
    new = make_engine(chain(journal, ["a", "b", "c"]), store=store)
    assert "adopt_plan" in new.status("acme").allowed_actions
    view = new.continue_("acme").wait(10)
    assert (view.status, list(view.steps), journal.lines) == (RunStatus.SUCCEEDED, ["a", "b", "c"], ["a", "b", "b", "c"])
    assert "plan.adopted" in [event.type for event in new.events("acme")]


def test_code_that_lost_a_finished_step_is_refused_until_a_person_adopts_it(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["b"] = -1
    store = MemoryStore()
    old = make_engine(chain(journal, ["a", "b"]), store=store)
    old.start("chain", subject="acme", input=Order()).wait(10)
    old.close()
    journal.failing.clear()
    new = make_engine(Plan("chain", input=Order, steps=[worker(journal, "b")]), store=store)
    before = new.status("acme").version
    with pytest.raises(PlanChanged, match="a: removed") as caught:
        new.continue_("acme")
    assert [(each.kind, each.step, each.blocking) for each in caught.value.differences if each.blocking] == [("removed", "a", True)]
    assert (new.status("acme").status, new.status("acme").version - before <= 1) == (RunStatus.FAILED, True)
    new.adopt_plan("acme", actor="me")
    assert new.continue_("acme").wait(10).status is RunStatus.SUCCEEDED
    assert new.deprovision("acme").wait(10).status is RunStatus.ROLLBACK_FAILED
    assert [(error.step, error.code) for error in new.status("acme").errors] == [("a", "no_code")]
    new.resolve("acme", "a", as_="compensated", reason="dropped by hand")
    assert new.status("acme").status is RunStatus.ROLLED_BACK


def test_a_moving_run_whose_code_changed_too_much_is_set_aside_loudly(make_engine: MakeEngine, journal: Journal) -> None:
    store = MemoryStore()
    first, waits = worker(journal, "a"), gate("gate")
    old = make_engine(Plan("p", steps=[first, gate("gate", needs=[first])]), store=store)
    old.start("p", subject="acme").wait(10)
    old.close()
    snapshot = store.load(store.runs(RunFilter(), limit=1).items[0].id)
    assert snapshot.run.status is RunStatus.WAITING
    new = make_engine(Plan("p", steps=[waits]), store=store)
    with pytest.raises(PlanChanged):
        new.signal("acme", "gate")
    assert new.status("acme").status is RunStatus.WAITING
    new.adopt_plan("acme")
    new.signal("acme", "gate")
    assert new.wait("acme", timeout=10).status is RunStatus.SUCCEEDED


def test_there_is_no_thread_per_run_and_a_finished_run_keeps_nothing(make_engine: MakeEngine) -> None:
    steps = [step(name=f"s{number}", needs=[f"s{number - 1}"] if number else [])(lambda: 1) for number in range(12)]
    engine = make_engine(Plan("twelve", steps=steps), max_workers=8)

    def provision(first: int, count: int) -> None:
        runs = [engine.start("twelve", subject=f"t{number}") for number in range(first, first + count)]
        assert {run.wait(60).status for run in runs} == {RunStatus.SUCCEEDED}

    provision(0, 50)
    threads = threading.active_count()
    provision(50, 300)
    assert threading.active_count() <= threads + 8
    running = engine._running
    assert running is not None
    assert until(lambda: running.runs_in_memory == 0)
    assert (len(running._loop._roster), running._workshop.in_flight, running._loop._promises._waiting) == (0, 0, [])


def test_the_engine_itself_does_not_grow_with_finished_runs(make_engine: MakeEngine) -> None:
    """What the store keeps is the store's: what the engine allocated is measured alone."""
    engine = make_engine(Plan("one", steps=[step(name="s")(lambda: 1)]))

    def provision(first: int, count: int) -> None:
        for number in range(first, first + count):
            engine.start("one", subject=f"t{number}").wait(10)

    def held() -> int:
        gc.collect()
        ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/provisioning_core/engine/_loop.py")
        traces = tracemalloc.take_snapshot().filter_traces([ours])
        return sum(trace.size for trace in traces.traces)

    provision(0, 30)
    tracemalloc.start()
    provision(30, 50)
    early = held()
    provision(80, 200)
    late = held()
    tracemalloc.stop()
    assert late - early < 200 * 20, f"grew by {late - early} bytes for 200 finished runs"


def test_ten_thousand_steps_in_one_plan(make_engine: MakeEngine) -> None:
    first = step(name="first")(lambda: 1)
    middle = [step(name=f"m{number}", needs=[first])(lambda: 1) for number in range(9_998)]
    last = step(name="last", needs=middle)(lambda: 1)
    engine = make_engine(Plan("big", steps=[first, *middle, last]))
    view = engine.start("big", subject="acme").wait(110)
    assert (view.status, len(view.steps), view.progress) == (RunStatus.SUCCEEDED, 10_000, 1.0)


def test_a_run_that_can_not_be_read_is_set_aside_and_the_others_go_on(make_engine: MakeEngine, journal: Journal) -> None:
    plan = chain(journal, ["a"])
    web = make_engine(plan, work=False)
    broken = web.start("chain", subject="broken", input=Order())
    fine = web.start("chain", subject="fine", input=Order())
    store = web.store
    assert isinstance(store, MemoryStore)
    kept = store._kept[broken.id]
    kept.run = replace(kept.run, weights="no json")
    engine = make_engine(plan, store=store)
    assert fine.wait(10).status is RunStatus.SUCCEEDED
    assert until(lambda: bool(engine.status("broken").errors))
    assert engine.status("broken").errors[0].code == "unreadable_run"


def test_a_closed_engine_still_reads_and_works_again_when_opened(make_engine: MakeEngine, journal: Journal) -> None:
    engine: Engine = make_engine(chain(journal, ["a"]))
    engine.start("chain", subject="acme", input=Order()).wait(10)
    engine.close()
    engine.close()
    assert (engine.is_working, engine.status("acme").status) == (False, RunStatus.SUCCEEDED)
    waiting = engine.start("chain", subject="other", input=Order())
    assert waiting.view().status is RunStatus.PENDING
    engine.open()
    assert waiting.wait(10).status is RunStatus.SUCCEEDED


# an engine that is there for one run


def test_an_engine_that_takes_what_it_is_asked_about_leaves_the_rest_alone(journal: Journal) -> None:
    plan, store = chain(journal, ["a"]), MemoryStore()
    with Engine(store=store, plans=[plan], work=False) as web:
        for subject in ("one", "two", "three"):
            web.start("chain", subject=subject, input=Order())
    narrow = Engine(store=store, plans=[plan], poll=0.02)
    narrow.open(takes="asked")
    assert narrow.run("two").wait(10).status is RunStatus.SUCCEEDED
    assert narrow.start("chain", subject="new", input=Order()).wait(10).status is RunStatus.SUCCEEDED
    narrow.rollback("one").wait(10)
    assert [narrow.status(subject).status.value for subject in ("one", "two", "three")] == ["ROLLED_BACK", "SUCCEEDED", "PENDING"]
    narrow.close()
    assert journal.lines == ["a", "a"]


def test_it_takes_a_run_that_its_owner_leaves_and_lets_go_of_one_that_has_an_owner() -> None:
    plan, begun, go = blocking()
    store = MemoryStore()
    owner = Engine(store=store, plans=[plan], poll=0.02)
    owner.start("blocking", subject="acme")
    assert begun.wait(10)
    narrow = Engine(store=store, plans=[plan], poll=0.02)
    narrow.open(takes="asked")
    run = narrow.run("acme")
    owner.pause("acme")
    go.set()
    assert run.wait(10).status is RunStatus.PAUSED
    owner.close()
    narrow.continue_("acme")
    assert run.wait(10).status is RunStatus.SUCCEEDED
    narrow.close()


# forks


def test_an_engine_that_was_opened_before_a_fork_refuses_to_work_in_the_child(tmp_path: Path, journal: Journal) -> None:
    engine = Engine(store=SqlStore(f"sqlite:///{tmp_path / 'runs.db'}"), plans=[chain(journal, ["a"])])
    engine.start("chain", subject="acme", input=Order()).wait(10)
    child = os.fork()
    if child == 0:
        code = "none"
        with contextlib.suppress(BaseException):
            try:
                engine.start("chain", subject="new", input=Order())
            except ProvisioningError as error:
                code = error.code
            engine.close()
        os._exit(0 if code == "forked" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.start("chain", subject="other", input=Order()).wait(10).status is RunStatus.SUCCEEDED
    engine.close()
