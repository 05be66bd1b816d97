"""Whose step is next when there are fewer workers than runs that want one; and what a start asks the store for."""

from __future__ import annotations

import pytest

from provisioning_core import Engine, Plan, Step, step
from provisioning_core.engine._roster import TURN
from provisioning_core.stores import MemoryStore
from provisioning_core.testing import FaultyStore, VirtualWorld


def chain(length: int) -> Plan:
    steps: list[Step[int]] = []
    for number in range(length):
        steps.append(step(name=f"s{number}", needs=steps[-1:])(lambda: 1))
    return Plan("chain", steps=steps)


def order_of_service(seconds: float) -> list[str]:
    """Subjects in the order in which their steps ran, with one worker and steps that take so long."""
    world, served = VirtualWorld(), []
    engine = world.engine(chain(4), max_workers=1)
    for subject in ("acme", "globex", "initech"):
        engine.engine.start("chain", subject=subject)
    while not world.is_at_rest or world.calls:
        world.turn()
        for call in world.calls:
            served.append(call.attempt.subject)
            world.clock.advance(seconds)
            call.run()
    return served


def test_a_run_with_short_steps_is_served_for_a_turn() -> None:
    assert order_of_service(0.0) == ["acme"] * 4 + ["globex"] * 4 + ["initech"] * 4


@pytest.mark.parametrize("seconds", [1.01 * TURN, 60.0])
def test_runs_with_long_steps_take_turns_step_by_step(seconds: float) -> None:
    assert order_of_service(seconds) == ["acme", "globex", "initech"] * 4


def test_a_turn_ends() -> None:
    served = order_of_service(0.6 * TURN)
    assert served[:6] == ["acme", "acme", "globex", "globex", "initech", "initech"]


def test_starts_that_follow_each_other_ask_for_past_durations_once() -> None:
    store = FaultyStore(MemoryStore())
    with Engine(store=store, plans=[chain(2)], work=False) as engine:
        for number in range(20):
            engine.start("chain", subject=f"tenant-{number}")
    assert (store.calls["create"], store.calls["durations"]) == (20, 1)
