"""What the simulator found, each in its shortest form."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import pytest
from pydantic import BaseModel

from provisioning_core import Engine, From, Plan, Retry, StepContext, gate, step
from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import ErrorInfo
from provisioning_core.ports import RunChange, StatusHook
from provisioning_core.testing import FaultyStore, VirtualEngine, VirtualWorld, verify_history
from provisioning_core.testing._clock import OwnClock


class Wish(BaseModel):
    number: int


def even(wish: Wish) -> bool:
    return wish.number % 2 == 0


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


@pytest.fixture
def keys() -> list[str]:
    return []


def undoable(keys: list[str], **options: object) -> Callable[..., object]:
    """A step that notes its idempotency key and can be undone."""

    @step(name="a", **options)
    def a(ctx: StepContext) -> None:
        keys.append(ctx.idempotency_key.partition("/")[2])

    @a.compensate
    def undo() -> None:
        """Gone."""

    return a


def nothing(name: str = "a", **options: object) -> Callable[..., object]:
    @step(name=name, **options)
    def nothing() -> None:
        """Does nothing."""

    return nothing


def moves(engine: Engine, subject: str, name: str) -> list[str]:
    return [
        event.type.removeprefix("step.") for event in engine.events(subject) if event.step == name and event.type.startswith("step.")
    ]


def turn_for(world: VirtualWorld, seconds: float, *engines: VirtualEngine) -> None:
    """Let these engines, and nothing else, live for a while."""
    end = world.clock.now() + seconds
    while world.clock.now() < end:
        for engine in engines:
            engine.turn()
        world.clock.advance(1.0)


def test_an_engine_that_can_not_reach_the_store_does_not_spin(world: VirtualWorld) -> None:
    store = FaultyStore(world.memory)
    engine = world.engine(Plan("p", steps=[nothing()]), store=store, lease=6)
    store.fail(for_ever=True)
    turn_for(world, 20, engine)
    engine.turn()
    assert engine.wakes_in > 0


def test_an_engine_with_farewells_to_say_does_not_spin_while_the_store_is_away(world: VirtualWorld) -> None:
    plan = Plan("p", steps=[nothing(retry=Retry(attempts=5, initial=500))])
    store = FaultyStore(world.memory)
    paused, other = world.engine(plan, store=store, lease=6), world.engine(plan, lease=6)
    paused.engine.start("p", subject="acme")
    paused.turn()
    paused.pause()
    turn_for(world, 10, other)
    paused.resume()
    paused.turn()
    store.fail(for_ever=True, method="load")
    paused.calls[0].run()
    turn_for(world, 3, paused)
    paused.turn()
    assert paused.wakes_in > 0


def test_a_recorded_verb_that_can_not_be_carried_out_is_refused_once(world: VirtualWorld, keys: list[str]) -> None:
    """The subject was provisioned again meanwhile: the older run can't be rolled back beside the newer one."""
    plan = Plan("p", steps=[undoable(keys)])
    engine = world.engine(plan)
    old = engine.engine.start("p", subject="acme")
    world.settle()
    web = Engine(store=world.memory, plans=[plan], clock=world.clock, work=False)
    web.deprovision(run_id=old.id, actor="somebody")
    engine.engine.start("p", subject="acme", again=True)
    turn_for(world, 5, engine)
    refused = [event for event in web.events(run_id=old.id) if event.type == "request.refused"]
    assert [(event.actor, event.data["verb"]) for event in refused] == [("somebody", "deprovision")]
    assert not world.memory.load(old.id).requests


def test_a_step_that_waits_to_run_anew_keeps_its_new_key_when_the_input_is_corrected(world: VirtualWorld, keys: list[str]) -> None:
    go = gate("go", timeout=50)
    plan = Plan("p", steps=[go, undoable(keys, needs=[go])], input=Wish)
    first = world.engine(plan)
    first.engine.start("p", subject="acme", input=Wish(number=1))
    for verb in ("signal", "deprovision", "retry", "pause"):
        getattr(first.engine, verb)("acme", *(["go"] if verb == "signal" else []))
        world.settle()
    first.crash()
    second = world.engine(plan)
    second.engine.retry("acme", input=Wish(number=2))
    second.engine.signal("acme", "go")
    world.settle()
    assert keys == ["a/forward", "a/forward/2"]


def test_a_step_that_was_undone_has_a_new_key_even_if_its_condition_was_false_meanwhile(world: VirtualWorld, keys: list[str]) -> None:
    engine = world.engine(Plan("p", steps=[undoable(keys, when=even), nothing("b")], input=Wish)).engine
    engine.start("p", subject="acme", input=Wish(number=2))
    world.settle()
    for number in (1, 2):
        engine.deprovision("acme")
        world.settle()
        engine.retry("acme", input=Wish(number=number))
        world.settle()
    assert keys == ["a/forward", "a/forward/2"]
    assert verify_history(world.memory) == []


def test_a_condition_that_is_looked_at_again_is_in_the_history(world: VirtualWorld, keys: list[str]) -> None:
    engine = world.engine(Plan("p", steps=[undoable(keys, when=even), nothing("b")], input=Wish)).engine
    engine.start("p", subject="acme", input=Wish(number=2))
    world.settle()
    engine.deprovision("acme")
    world.settle()
    engine.retry("acme", input=Wish(number=1))
    world.settle()
    assert moves(engine, "acme", "a") == ["running", "succeeded", "compensating", "compensated", "pending", "skipped"]
    engine.deprovision("acme")
    world.settle()
    engine.retry("acme", input=Wish(number=2))
    world.settle()
    assert moves(engine, "acme", "a")[6:] == ["pending", "running", "succeeded"]


def test_a_skipped_step_stays_skipped_while_what_stands_behind_it_is_under_way(world: VirtualWorld) -> None:
    @step(needs=["a"], retry=Retry(attempts=3, initial=100, jitter=0))
    def b() -> None:
        raise RuntimeError("not yet")

    engine = world.engine(Plan("p", steps=[nothing(when=even), b], input=Wish))
    engine.engine.start("p", subject="acme", input=Wish(number=1))
    turn_for(world, 1, engine)
    engine.calls[0].run()
    turn_for(world, 1, engine)
    engine.engine.pause("acme")
    engine.engine.retry("acme", input=Wish(number=2))
    turn_for(world, 1, engine)
    assert {name: view.status for name, view in engine.engine.status("acme").steps.items()} == {"a": "SKIPPED", "b": "RETRYING"}


def test_an_attempt_that_may_be_alive_is_still_known_two_owners_later(world: VirtualWorld) -> None:
    """A step that begins anew forgets its texts, but not whose the attempt is that was given up and has not ended."""
    plan = Plan("p", steps=[nothing(timeout=5)])
    first = world.engine(plan, lease=6)
    first.engine.start("p", subject="acme")
    turn_for(world, 7, first)
    first.engine.retry("acme")
    first.pause()
    second = world.engine(plan, lease=6)
    turn_for(world, 20, second)
    second.crash()
    third = world.engine(plan, lease=6)
    turn_for(world, 20, third)
    assert not third.calls
    first.resume()
    first.calls[0].run()
    turn_for(world, 20, first, third)
    assert [call.key.token for call in (*first.calls, *third.calls)] == [2]


def test_what_a_person_called_done_is_undone_by_whoever_has_the_run_then(world: VirtualWorld) -> None:
    """The attempt timed out, so its effect may be there; the person who skipped it gave no output."""
    undone: list[str] = []

    @step(name="a", timeout=5, compensate_on="succeeded")
    def a() -> int:
        return 1

    @a.compensate
    def undo() -> None:
        undone.append("a")

    plan = Plan("p", steps=[a])
    first = world.engine(plan)
    first.engine.start("p", subject="acme")
    turn_for(world, 7, first)
    first.calls[0].run()
    world.settle()
    first.engine.skip("acme", "a")
    first.engine.continue_("acme")
    world.settle()
    first.crash()
    world.engine(plan).engine.deprovision("acme")
    world.settle()
    assert undone == ["a"]


def test_whoever_finds_the_store_back_first_does_not_take_the_others_for_gone(world: VirtualWorld) -> None:
    """While the store was away nobody could renew a lease; what runs elsewhere runs on."""
    plan = Plan("p", steps=[nothing()])
    slow, quick = world.engine(plan, host="one", lease=6), world.engine(plan, host="two", lease=6)
    slow.engine.start("p", subject="acme")
    turn_for(world, 1, slow, quick)
    world.clock.advance(120)
    turn_for(world, 4, quick)
    assert not quick.calls
    turn_for(world, 60, slow, quick)
    assert [call.key.token for call in slow.calls] == [1]
    assert not quick.calls


def test_a_clock_of_the_store_that_is_set_forward_does_not_make_zombies(world: VirtualWorld) -> None:
    plan = Plan("p", steps=[nothing()])
    store_clock = OwnClock(world.clock)
    world.memory._clock = store_clock
    slow, other = world.engine(plan, host="one"), world.engine(plan, host="two")
    slow.engine.start("p", subject="acme")
    turn_for(world, 1, slow, other)
    store_clock.offset = 3600.0
    turn_for(world, 90, other, slow)
    assert not other.calls


def test_an_engine_that_closes_launches_nothing_that_was_put_off(world: VirtualWorld) -> None:
    """The commit of a launch had failed; when the engine closes it comes through, and nobody would wait for the attempt."""
    store = FaultyStore(world.memory)
    engine = world.engine(Plan("p", steps=[nothing()]), store=store)
    engine.engine.start("p", subject="acme")
    store.fail(method="commit")
    engine.turn()
    world.clock.advance(10)
    engine.close()
    assert not engine.calls
    assert world.engine(Plan("p", steps=[nothing()])).engine.status("acme").status in ("PENDING", "RUNNING")


def test_an_optional_failure_stays_when_something_far_behind_it_is_under_way(world: VirtualWorld) -> None:
    @step(optional=True)
    def a() -> int:
        raise RuntimeError("never")

    @step
    def b(x: int = From(a)) -> None:
        """Is skipped, since it gets nothing."""

    plan = Plan("p", steps=[a, b, nothing("c", needs=[b])])
    first = world.engine(plan)
    first.engine.start("p", subject="acme")
    turn_for(world, 1, first)
    first.calls[0].run()
    turn_for(world, 1, first)
    first.engine.pause("acme")
    first.crash()
    second = world.engine(plan)
    turn_for(world, 3, second)
    second.engine.retry("acme")
    turn_for(world, 1, second)
    assert [call.step for call in second.calls] == ["c"]
    assert {name: view.status for name, view in second.engine.status("acme").steps.items()} == {
        "a": "FAILED",
        "b": "SKIPPED",
        "c": "RUNNING",
    }


def test_steps_to_be_run_again_are_undone_in_order_across_one_that_did_nothing(world: VirtualWorld) -> None:
    undone: list[str] = []

    def made(name: str, **options: object) -> Callable[..., object]:
        a_step = nothing(name, **options)
        a_step.compensate(lambda: undone.append(name))
        return a_step

    plan = Plan("p", steps=[made("a"), nothing("b", needs=["a"], when=even), made("c", needs=["b"])], input=Wish)
    engine = world.engine(plan).engine
    engine.start("p", subject="acme", input=Wish(number=1))
    world.settle()
    engine.retry("acme", steps=["a"])
    world.settle()
    assert undone == ["c", "a"]


def test_a_run_that_was_set_aside_hears_that_an_attempt_of_it_has_ended(world: VirtualWorld) -> None:
    plan = Plan("p", steps=[nothing()])
    first = world.engine(plan, lease=6)
    first.engine.start("p", subject="acme")
    turn_for(world, 1, first)
    first.pause()
    for _ in range(5):
        world.clock.advance(7)
        killed = world.engine(plan, lease=6)
        turn_for(world, 2, killed)
        killed.crash()
    last = world.engine(plan, lease=6)
    turn_for(world, 10, last)
    assert last.engine.store.head(last.engine.status("acme").id).is_set_aside
    first.resume()
    first.calls[0].run()
    turn_for(world, 10, first, last)
    last.engine.continue_("acme")
    world.settle()
    assert last.engine.status("acme").status == "SUCCEEDED"


def test_what_a_person_did_by_hand_does_not_bring_steps_back_before_one_that_is_under_way(world: VirtualWorld) -> None:
    @step(optional=True)
    def a() -> int:
        raise RuntimeError("never")

    @step
    def b(x: int = From(a)) -> None:
        """Is skipped, since it gets nothing."""

    engine = world.engine(Plan("p", steps=[a, b, nothing("c", needs=[b])]))
    engine.engine.start("p", subject="acme")
    turn_for(world, 1, engine)
    engine.calls[0].run()
    turn_for(world, 1, engine)
    engine.engine.skip("acme", "a", output=7)
    turn_for(world, 1, engine)
    assert [call.step for call in engine.calls] == ["c"]
    assert engine.engine.status("acme").steps["b"].status == "SKIPPED"


def test_the_product_is_told_of_a_way_back_when_the_answer_about_the_way_there_was_lost(world: VirtualWorld, keys: list[str]) -> None:
    """What was not known to be recorded, and what followed, came to the status from before: the product heard of the first half."""
    told: dict[str, str] = {}
    store = FaultyStore(world.memory)
    engine = world.engine(
        Plan("p", steps=[undoable(keys)]),
        store=store,
        max_workers=1,
        on_status=lambda change, _: told.update({change.subject: change.new}),
    )
    run = engine.engine.start("p", subject="acme")
    world.settle()
    engine.engine.rollback("acme")
    world.settle()
    engine.engine.start("p", subject="busy")
    engine.turn()
    store.fail(method="commit", when="after")
    with pytest.raises(StoreUnavailable):
        engine.engine.retry("acme")
    assert told["acme"] == "RUNNING"
    with contextlib.suppress(StoreUnavailable):
        engine.engine.rollback("acme")
    turn_for(world, 10, engine)
    assert world.memory.load(run.id).run.status == "ROLLED_BACK"
    assert told["acme"] == "ROLLED_BACK"


def test_what_was_taken_back_is_recorded_when_the_answer_about_it_was_lost(world: VirtualWorld) -> None:
    """Of the run nothing differed from what was known to be recorded, so that only its counters were written."""
    written: list[RunChange] = []

    class Recording(FaultyStore):
        def commit(self, changes: Sequence[RunChange], *, hook: StatusHook | None = None) -> frozenset[str]:
            written.extend(changes)
            return super().commit(changes, hook=hook)

    store = Recording(world.memory)
    engine = world.engine(Plan("p", steps=[nothing()]), store=store)
    run = engine.engine.start("p", subject="acme")
    engine.turn()
    store.fail(method="commit", when="after")
    with pytest.raises(StoreUnavailable):
        engine.engine.pause("acme")
    with contextlib.suppress(StoreUnavailable):
        engine.engine.continue_("acme")
    turn_for(world, 10, engine)
    lost, again = written[-2:]
    assert (lost.run.id, lost.run.pausing, lost.run.version) == (run.id, True, again.run.version)
    assert (again.run.pausing, again.only_counters) == (False, False)


def test_what_is_told_to_a_run_that_was_set_aside_is_recorded_and_begins_nothing(world: VirtualWorld, keys: list[str]) -> None:
    """Its machine had counted nothing yet: with the last gate's signal the run seemed to be done, and the signal was refused."""
    first, second = gate("first"), gate("second")
    plan = Plan("p", steps=[first, second, undoable(keys, needs=[first])])
    engine = world.engine(plan)
    run = engine.engine.start("p", subject="acme")
    turn_for(world, 1, engine)
    engine.close()
    why = ErrorInfo(code="kills_its_engine", message="No more.", at=world.clock.now())
    world.memory.shelve(run.id, world.memory.load(run.id).run.epoch, why)
    other = world.engine(plan)
    for name in ("first", "second"):
        other.engine.signal("acme", name)
        turn_for(world, 10, other)
    view = other.engine.status("acme")
    assert {name: step.status.value for name, step in view.steps.items()} == {
        "first": "SUCCEEDED",
        "second": "SUCCEEDED",
        "a": "PENDING",
    }
    assert (other.calls, other.engine.store.head(run.id).is_set_aside) == ([], True)
    other.engine.continue_("acme")
    world.settle()
    assert (other.engine.status("acme").status, keys) == ("SUCCEEDED", ["a/forward"])


def test_a_run_that_rests_is_looked_for_by_no_engine_after_a_recorded_verb(world: VirtualWorld) -> None:
    """Beside an attempt that was given up. The verb had made it runnable, and only its counters were written when it was done."""
    plan = Plan("p", steps=[nothing(timeout=5), nothing("b", needs=["a"])])
    engine = world.engine(plan, lease=60)
    run = engine.engine.start("p", subject="acme")
    turn_for(world, 10, engine)
    web = Engine(store=world.memory, plans=[plan], clock=world.clock, work=False)
    web.skip("acme", "a")
    turn_for(world, 10, engine)
    stored = world.memory.load(run.id)
    assert (stored.run.status, stored.steps["a"].status, stored.requests) == ("FAILED", "SKIPPED", ())
    assert stored.run.owner is not None, "the engine has let go of it"
    assert stored.run.runnable_at is None


def test_an_engine_lets_go_of_a_run_that_another_has_taken_though_it_has_nothing_to_record(world: VirtualWorld) -> None:
    """The store's clock had ended its lease. It went on to judge what people asked of the run by what it had in memory."""
    plan = Plan("p", steps=[nothing()])
    store_clock = OwnClock(world.clock)
    world.memory._clock = store_clock
    first, other = world.engine(plan, host="one"), world.engine(plan, host="two")
    run = first.engine.start("p", subject="acme")
    turn_for(world, 1, first)
    store_clock.offset = 3600.0
    turn_for(world, 1, other)
    assert (first.loop.runs_in_memory, other.loop.runs_in_memory) == (1, 1)
    turn_for(world, 60, other, first)
    owner = world.memory.load(run.id).run.owner
    assert {each.name: each.loop.runs_in_memory for each in (first, other)} == {
        each.name: int(each.name == owner) for each in (first, other)
    }
