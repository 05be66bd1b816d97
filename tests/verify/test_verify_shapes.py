"""Whatever a run has been through, its records, its history and what its steps wrote outside hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from verify_shop import Shop

from provisioning_core import Engine, RunStatus
from provisioning_core.testing import VirtualEngine, verify_history

R = RunStatus
Shape = Callable[[Shop, Engine], None]


def straight(shop: Shop, front: Engine) -> None:
    shop.start(front, input={"pro": True})


def skipped_by_its_condition(shop: Shop, front: Engine) -> None:
    shop.start(front)


def retried_after_a_while(shop: Shop, front: Engine) -> None:
    shop.failing["b"] = 1
    shop.start(front)


def failed(shop: Shop, front: Engine) -> None:
    shop.failing["b"] = -1
    shop.start(front)


def retried_by_a_person(shop: Shop, front: Engine) -> None:
    shop.failing["b"] = 2
    shop.start(front)
    front.retry("acme")


def continued(shop: Shop, front: Engine) -> None:
    shop.failing["a"] = 1
    shop.start(front)
    front.continue_("acme")


def an_optional_step_failed(shop: Shop, front: Engine) -> None:
    shop.failing["extra"] = -1
    shop.start(front)


def skipped_by_hand(shop: Shop, front: Engine) -> None:
    shop.failing["a"] = -1
    shop.start(front)
    front.skip("acme", "a", output="by hand")
    front.continue_("acme")


def named_steps_again(shop: Shop, front: Engine) -> None:
    shop.start(front)
    front.retry("acme", steps=["b"])


def named_steps_again_in_spite_of_trouble(shop: Shop, front: Engine) -> None:
    shop.start(front)
    shop.failing["undo last"] = 1
    front.retry("acme", steps=["a"])
    shop.world.settle()
    front.retry("acme")


def rolled_back(shop: Shop, front: Engine) -> None:
    shop.failing["b"] = -1
    shop.start(front)
    front.rollback("acme")


def rolled_back_in_part(shop: Shop, front: Engine) -> None:
    shop.start(front)
    front.rollback("acme", to="a")
    shop.world.settle()
    front.continue_("acme")


def a_compensation_failed(shop: Shop, front: Engine) -> None:
    shop.start(front)
    shop.failing["undo b"] = 1
    front.rollback("acme")
    shop.world.settle()
    front.retry("acme")


def a_failed_compensation_was_settled_by_hand(shop: Shop, front: Engine) -> None:
    shop.start(front)
    shop.failing["undo b"] = -1
    front.rollback("acme")
    shop.world.settle()
    front.resolve("acme", "b", as_="compensated")
    shop.world.settle()
    front.retry("acme")


def deprovisioned(shop: Shop, front: Engine) -> None:
    shop.start(front)
    front.deprovision("acme")


def provisioned_anew_in_the_same_run(shop: Shop, front: Engine) -> None:
    shop.start(front)
    front.rollback("acme")
    shop.world.settle()
    front.retry("acme")


def provisioned_anew_in_another_run(shop: Shop, front: Engine) -> None:
    shop.start(front)
    front.deprovision("acme")
    shop.world.settle()
    shop.start(front)


def cancelled(shop: Shop, front: Engine) -> None:
    shop.begin(front)
    shop.world.turn()
    front.cancel("acme")


def cancelled_and_rolled_back(shop: Shop, front: Engine) -> None:
    shop.begin(front)
    shop.world.turn()
    shop.world.calls[0].run()
    shop.world.turn()
    front.cancel("acme", rollback=True)


def paused(shop: Shop, front: Engine) -> None:
    shop.begin(front)
    shop.world.turn()
    front.pause("acme")
    shop.world.settle()
    front.continue_("acme")


def a_gate_opened(shop: Shop, front: Engine) -> None:
    shop.start(front, "gated")
    front.signal("acme", "approval", {"by": "ana"})


def a_gate_waited_too_long(shop: Shop, front: Engine) -> None:
    run_id = shop.start(front, "gated")
    shop.world.settle(until=lambda: shop.status(run_id) is R.FAILED)
    front.retry("acme")
    front.signal("acme", "approval")


def a_gate_was_rolled_back_and_passed_again(shop: Shop, front: Engine) -> None:
    shop.start(front, "gated")
    front.signal("acme", "approval")
    shop.world.settle()
    front.rollback("acme")
    shop.world.settle()
    front.retry("acme")
    shop.world.settle()
    front.signal("acme", "approval")


def the_input_was_corrected(shop: Shop, front: Engine) -> None:
    shop.failing["b"] = 2
    shop.start(front)
    front.retry("acme", input={"pro": True})


def rolled_back_by_its_plan(shop: Shop, front: Engine) -> None:
    shop.failing["b"] = -1
    shop.start(front, "careful")


SHAPES: list[Shape] = [each for each in list(globals().values()) if callable(each) and getattr(each, "__module__", "") == __name__]


def engine_of(shop: Shop) -> VirtualEngine:
    return shop.engine(shop.plan(), shop.gated(), shop.plan(name="careful", on_failure="rollback"))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_everything_holds_of_a_run_that_was(shape: Shape, shop: Shop) -> None:
    engine = engine_of(shop)
    shape(shop, engine.engine)
    shop.world.settle()
    assert verify_history(shop.world.store, ledger=shop.ledger) == []
    assert engine.engine.verify() == ()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_everything_holds_at_every_moment_of_it(shape: Shape, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked from outside after every single commit."""
    store, looked = shop.world.memory, []
    commit = type(store).commit

    def commit_and_look(*arguments: object, **options: object) -> object:
        result = commit(*arguments, **options)  # type: ignore[arg-type]
        looked.append(verify_history(store))
        return result

    monkeypatch.setattr(type(store), "commit", commit_and_look)
    shape(shop, engine_of(shop).engine)
    shop.world.settle()
    assert looked
    assert [found for found in looked if found] == []


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_everything_holds_when_its_engine_dies_in_the_midst_of_it(shape: Shape, shop: Shop) -> None:
    first = engine_of(shop)
    run_id = shop.begin(first.engine, "gated" if "gate" in shape.__name__ else "tenant")
    shop.world.turn()
    shop.world.calls[0].act()
    first.crash()
    second = engine_of(shop)
    shop.world.settle(until=lambda: not shop.status(run_id).moves)
    front = second.engine
    front.rollback("acme")
    shop.world.settle()
    shape(shop, front)
    shop.world.settle()
    assert verify_history(shop.world.store, ledger=shop.ledger) == []
