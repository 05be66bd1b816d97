"""What Python's own types become on their way into the store, and that they come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Secret,
    SecretBytes,
    SecretStr,
    Strict,
    field_serializer,
    field_validator,
)

from provisioning_core import Engine, InvalidInput, Plan, PlanError, RunStatus, gate, step
from provisioning_core.model import Codec, EncodingFault, Vault, mask_in, masked, secrets_in
from provisioning_core.stores import MemoryStore


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True)
    day: date


class Order(BaseModel):
    day: date
    price: Decimal
    id: UUID
    colour: Colour
    tags: set[str]
    inner: Inner
    password: SecretStr


class Key(BaseModel):
    key: SecretBytes
    day: date = date(2024, 1, 1)


ID = UUID(int=1)
TYPED = {
    "day": date(2024, 1, 1),
    "price": Decimal("1.10"),
    "id": ID,
    "colour": Colour.RED,
    "tags": {"a", "b"},
    "inner": Inner(day=date(2024, 1, 1)),
    "password": SecretStr("hunter22"),
}
TEXTS = {
    "day": "2024-01-01",
    "price": "1.10",
    "id": str(ID),
    "colour": "red",
    "tags": ["a", "b"],
    "inner": {"day": "2024-01-01"},
    "password": "hunter22",
}


@pytest.mark.parametrize(
    "given", [TYPED, TEXTS, Order(**TYPED), TYPED | {"day": "2024-01-01"}], ids=["typed", "texts", "model", "mixed"]
)
def test_values_from_outside_may_hold_python_s_own_types(given: Any) -> None:
    assert Codec(Order).validate(given) == Order(**TYPED)
    assert Codec(list[Order]).validate([given]) == [Order(**TYPED)]


def test_inputs_payloads_and_outputs_by_hand_may_be_dicts_of_python_s_types_and_are_refused_as_invalid_input() -> None:
    @step
    def work(order: Order) -> Order:
        raise RuntimeError("no")

    plan = Plan("p", input=Order, steps=[gate("go", payload=Inner), step(needs=["go"])(work.fn)])
    with Engine(store=MemoryStore(), plans=[plan], secrets_key=os.urandom(32), poll=0.02) as engine:
        for wrong in ({"day": object()}, TYPED | {"day": Decimal(1) / 3}, [TYPED], {date(2024, 1, 1): 1}):
            with pytest.raises(InvalidInput):
                engine.start("p", subject="wrong", input=wrong)
        run = engine.start("p", subject="acme", input=TYPED)
        engine.signal("acme", "go", payload={"day": date(2024, 1, 1)})
        assert run.wait(timeout=20).status is RunStatus.FAILED
        engine.skip("acme", "work", output=TYPED)
        engine.continue_("acme")
        assert run.wait(timeout=20).steps["work"].output == TEXTS | {"password": "*" * 10}


@pytest.mark.parametrize("secret", [bytes(range(256)), b"\xff", b"text", "é".encode(), b"", b"\x00"])
def test_secret_bytes_come_back_exactly(secret: bytes) -> None:
    vault, codec = Vault(os.urandom(32)), Codec(Key)
    value = Key(key=SecretBytes(secret))
    text = codec.encode(value, vault=vault, bound_to="run/step")
    assert codec.decode(text, vault=vault, bound_to="run/step") == value
    assert masked(text) == {"key": "*" * 10, "day": "2024-01-01"}
    assert codec.validate({"key": secret}) == value


def test_secret_bytes_are_masked_as_python_shows_them() -> None:
    value = Key(key=SecretBytes(bytes(range(256))))
    assert mask_in(f"not {value.key.get_secret_value()!r}", secrets_in(value)) == "not b'**********'"


def test_digests_tell_secret_bytes_apart() -> None:
    vault, codec = Vault(os.urandom(32)), Codec(Key)
    keys = [b"\xff", b"\xfe", b"ff", b"fe", b'{"bytes":"ff"}']
    digests = [codec.digest(Key(key=SecretBytes(key)), vault=vault) for key in keys]
    assert len(set(digests)) == len(keys)
    assert codec.digest(Key(key=SecretBytes(b"\xff")), vault=vault) == digests[0]


def test_a_secret_that_is_no_text_and_one_of_another_type_are_refused_with_their_path() -> None:
    vault = Vault(os.urandom(32))
    with pytest.raises(EncodingFault, match=r"^\$.password: a text with half a surrogate pair"):
        Codec(Order).encode(Order(**TYPED | {"password": SecretStr("\ud800")}), vault=vault)
    with pytest.raises(EncodingFault, match=r"^\$\[0\]: only SecretStr and SecretBytes"):
        Codec(list[Secret[str]]).encode([Secret[str]("hunter22")], vault=vault)


def in_another_process(hash_seed: str) -> str:
    code = (
        "from pydantic import SecretStr; from provisioning_core.model import Codec, Vault; "
        "v = {f'name-{n}' for n in range(20)}; c = Codec(dict[str, set[str]]); s = Codec(set[SecretStr]); "
        "print(c.encode({'a': v}), Codec(set[tuple[str, int]]).digest({(each, 1) for each in v}), "
        "s.digest({SecretStr(each) for each in v}, vault=Vault(b'k' * 32)))"
    )
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout


def test_sets_are_stored_in_one_order_in_every_process() -> None:
    assert in_another_process("1") == in_another_process("2")


def test_a_set_of_models_is_refused_clearly() -> None:
    with pytest.raises(EncodingFault, match="make it a list"):
        Codec(set[Inner]).encode({Inner(day=date(2024, 1, 1))})


class American(BaseModel):
    day: date

    @field_serializer("day")
    def us(self, day: date) -> str:
        return day.strftime("%m/%d/%Y")


class Python(BaseModel):
    day: str

    @field_validator("day", mode="before")
    @classmethod
    def parse(cls, given: Any) -> Any:
        return given.isoformat()


class Rigid(BaseModel):
    key: SecretBytes
    day: Annotated[date, Strict()]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (American(day=date(2024, 1, 2)), "$.day"),
        (Python(day=date(2024, 1, 2)), "$"),
        (Rigid(key=SecretBytes(b"\xff"), day=date(2024, 1, 2)), "$.day"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_could_not_be_read_again_is_refused_when_it_is_written(value: Any, path: str) -> None:
    with pytest.raises(EncodingFault, match="its type can't read what it writes") as caught:
        Codec(type(value)).encode(value, vault=Vault(os.urandom(32)))
    assert caught.value.path == path
    assert "01/02" not in str(caught.value)


def with_alias(**alias: Any) -> Any:
    return Field(default="x", **alias)


class OneWay(BaseModel):
    name: str = with_alias(validation_alias="in", serialization_alias="out")


class Path(BaseModel):
    name: str = with_alias(validation_alias=AliasPath("names", 0))


class Holder(BaseModel):
    many: dict[str, list[OneWay]] = {}


class Both(BaseModel):
    name: str = with_alias(alias="in")


class ByName(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    name: str = with_alias(validation_alias="in")


class Choices(BaseModel):
    name: str = with_alias(validation_alias=AliasChoices(AliasPath("names", 0), "name"))


def plan_with(returns: Any, plan_input: Any = None) -> Plan:
    def work() -> Any: ...

    work.__annotations__["return"] = returns
    return Plan("p", input=plan_input, steps=[step(work)])


@pytest.mark.parametrize("build", [plan_with, lambda model: plan_with(int, model)], ids=["output", "input"])
@pytest.mark.parametrize("model", [OneWay, Path, Holder])
def test_a_field_that_is_written_under_a_name_that_is_not_read_is_a_fault_of_the_plan(
    model: Any, build: Callable[[Any], Plan]
) -> None:
    with pytest.raises(PlanError, match=r"field 'name' is written as .* and read as"):
        build(model)


@pytest.mark.parametrize("model", [Both, ByName, Choices])
def test_other_aliases_are_none(model: Any) -> None:
    codec = plan_with(model).codec("work")
    value = codec.validate(json.loads('{"name": "a"}' if model is not Both else '{"in": "a"}'))
    assert codec.decode(codec.encode(value)).name == "a"
