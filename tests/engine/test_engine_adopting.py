"""A run that goes on by another plan: keys are never used twice, and what waits for a run that can't be read is refused once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from provisioning_core import Plan, RunStatus, Step, StepContext, step
from provisioning_core.testing import VirtualWorld


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


def keyed(name: str, keys: list[str], *needs: Step[None]) -> Step[None]:
    @step(name=name, needs=needs)
    def work(ctx: StepContext) -> None:
        keys.append(ctx.idempotency_key.partition("/")[2])

    @work.compensate
    def undo(ctx: StepContext) -> None:
        keys.append(ctx.idempotency_key.partition("/")[2])

    return work


def versions(keys: list[str]) -> Iterator[Plan]:
    """With ``extra``, without it, and with it again."""
    for number, has_extra in enumerate([True, False, True], start=1):
        first = keyed("first", keys)
        yield Plan("plan", version=str(number), steps=[first, keyed("extra", keys, first)] if has_extra else [first])


def test_a_step_that_leaves_the_plan_and_comes_back_has_a_key_of_its_own(world: VirtualWorld) -> None:
    keys: list[str] = []
    with_it, without_it, with_it_again = versions(keys)
    engine = world.engine(with_it)
    engine.engine.start("plan", subject="acme")
    world.settle()
    engine.engine.rollback("acme", to="first")
    world.settle()
    for plan in (without_it, with_it_again):
        world.engines[-1].close()
        engine = world.engine(plan)
        engine.engine.adopt_plan("acme")
        world.settle()
    engine.engine.continue_("acme")
    world.settle()
    assert engine.engine.status("acme").status is RunStatus.SUCCEEDED
    assert keys[:3] == ["first/forward", "extra/forward", "extra/compensate"]
    assert keys[3].startswith("extra/forward/")
    assert len(keys) == len(set(keys)) == 4


def test_a_verb_that_waits_for_a_run_that_can_not_be_read_is_refused_once(world: VirtualWorld) -> None:
    @step
    def broken() -> None:
        raise RuntimeError("no")

    plan = Plan("plan", steps=[broken])
    engine = world.engine(plan)
    run = engine.engine.start("plan", subject="acme")
    world.settle()
    engine.close()
    beside = world.engine(plan)
    beside.pause()
    kept = world.memory._kept[run.id]
    beside.engine._running = None
    beside.engine._settings = replace(beside.engine._settings, work=False)
    beside.engine.retry("acme", actor="ana")
    kept.run = replace(kept.run, weights="no json")
    beside.resume()
    for _ in range(30):
        world.turn()
        world.clock.advance(1.0)
    told = [event.type for event in beside.engine.events("acme")]
    assert told[-2:] == ["run.set_aside", "request.refused"]
    assert told.count("run.set_aside") == 1
