"""What the search found in the engine, played through with the real one. Each run here was stuck for as long as an engine lived."""

from __future__ import annotations

from provisioning_core import Plan, RunStatus, step
from provisioning_core.testing import FaultyStore, VirtualEngine, VirtualWorld

LEASE = 30.0


def a_plan() -> Plan:
    return Plan("one", steps=[step(name="a")(lambda: None)])


def wait(world: VirtualWorld, seconds: float) -> None:
    for _ in range(round(seconds)):
        world.clock.advance(1.0)
        world.turn()


def launched(engine: VirtualEngine) -> list[str]:
    return [call.step for call in engine.calls]


def test_what_was_recorded_but_never_launched_is_not_waited_for_when_the_run_is_lost() -> None:
    """The answer to the commit is lost; before it can be offered again another engine takes the run over."""
    world = VirtualWorld()
    store = FaultyStore(world.memory)
    first, second = world.engine(a_plan(), store=store), world.engine(a_plan())
    first.engine.start("one", subject="acme")
    store.fail(method="commit", when="after")
    first.turn()
    first.pause()
    wait(world, LEASE + 5)
    assert (launched(first), launched(second)) == ([], []), "the first may have launched it, for all that the second knows"
    first.resume()
    wait(world, 10)
    assert (launched(first), launched(second)) == ([], ["a"])


def test_an_engine_that_claims_a_run_again_does_not_go_on_with_what_it_knew() -> None:
    """It had lost the run while it was paused, and waited for an attempt whose end was told to the owner after it."""
    world = VirtualWorld()
    first, second = world.engine(a_plan()), world.engine(a_plan())
    first.engine.start("one", subject="acme")
    first.turn()
    first.pause()
    wait(world, LEASE + 5)
    second.pause()
    third = world.engine(a_plan())
    wait(world, LEASE + 5)
    first.resume()
    first.calls[0].run()
    wait(world, 5)
    assert launched(third) == ["a"]
    first.pause()
    third.crash()
    second.resume()
    wait(world, LEASE)
    assert launched(second) == ["a"]
    world.settle()
    assert second.engine.status("acme").status is RunStatus.SUCCEEDED
