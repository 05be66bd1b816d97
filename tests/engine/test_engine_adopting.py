"""A run that goes on by another plan: keys are never used twice, and what waits for a run that can't be read is refused once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, create_model

from provisioning_core import Plan, PlanChanged, RunStatus, Step, StepContext, gate, step
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


def made(title: str = "Account", *, doc: str = "", **fields: Any) -> type[BaseModel]:
    """A model with a name, a secret and more."""
    return create_model(
        title, __doc__=doc, __config__=ConfigDict(frozen=True), **{"name": (str, ...), "password": (SecretStr, ...)} | fields
    )


def accounts(version: str, model: Any, undone: list[Any], plan_input: Any = None) -> Plan:
    """Opens an account, and waits."""

    def account() -> Any:
        return model(name="acme", password=SecretStr("hunter22"))

    account.__annotations__["return"] = model
    opened = step(account)

    @opened.compensate
    def close(output: Any) -> None:
        undone.append(output)

    steps = [opened, gate("approval", needs=[opened], optional=version == "2")]
    return Plan("accounts", version=version, input=plan_input, steps=[*steps, step(name="late", needs=["approval"])(lambda: None)])


@pytest.mark.parametrize(
    "changed",
    [
        made(doc="Another docstring."),
        made(name=(str, Field(description="What it is called."))),
        made("AnotherName"),
        made(region=(str, "eu")),
        made(name=(str | None, None)),
    ],
    ids=["docstring", "description", "class", "field", "optional"],
)
def test_an_output_that_the_new_type_can_read_is_no_difference(world: VirtualWorld, changed: Any) -> None:
    undone: list[Any] = []
    world.engine(accounts("1", made(), undone), secrets_key=b"k" * 32).engine.start("accounts", subject="acme")
    world.settle()
    world.engines[-1].close()
    engine = world.engine(accounts("2", changed, undone), secrets_key=b"k" * 32).engine
    engine.signal("acme", "approval")
    world.settle()
    engine.deprovision("acme")
    world.settle()
    assert engine.status("acme").status is RunStatus.ROLLED_BACK
    assert [(type(each), each.name, each.password.get_secret_value()) for each in undone] == [(changed, "acme", "hunter22")]


@pytest.mark.parametrize("changed", [made(region=(str, ...)), made(name=(int, ...)), made(password=(int, ...))])
def test_an_output_that_the_new_type_can_not_read_blocks(world: VirtualWorld, changed: Any) -> None:
    undone: list[Any] = []
    world.engine(accounts("1", made(), undone), secrets_key=b"k" * 32).engine.start("accounts", subject="acme")
    world.settle()
    world.engines[-1].close()
    engine = world.engine(accounts("2", changed, undone), secrets_key=b"k" * 32).engine
    assert engine.status("acme").allowed_actions == ("adopt_plan",)
    with pytest.raises(PlanChanged, match="account: changed"):
        engine.rollback("acme")
    assert undone == []


def test_an_input_that_can_not_be_read_blocks_and_does_not_give_itself_away(world: VirtualWorld) -> None:
    undone: list[Any] = []
    key = b"k" * 32
    world.engine(accounts("1", made(), undone, made("In")), secrets_key=key).engine.start(
        "accounts", subject="acme", input={"name": "acme", "password": "hunter22"}
    )
    world.settle()
    world.engines[-1].close()
    engine = world.engine(accounts("2", made(), undone, made("In", region=(str, ...))), secrets_key=key).engine
    with pytest.raises(PlanChanged, match="the input: changed") as caught:
        engine.rollback("acme")
    assert "hunter22" not in str(caught.value)
    engine.adopt_plan("acme")
    world.settle()
    assert engine.status("acme").status is RunStatus.WAITING
