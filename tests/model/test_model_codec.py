from __future__ import annotations

import json
import math
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from provisioning_core import ProvisioningError
from provisioning_core.model import MAX_BYTES, MAX_DEPTH, Codec, EncodingFault, Retry, Vault, mask_in, masked, secrets_in

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


class Colour(Enum):
    RED = "red"


class Deep(BaseModel):
    when: datetime
    day: date
    price: Decimal
    colour: Colour
    pair: tuple[int, str]
    tags: frozenset[str]


class Login(BaseModel):
    user: str
    password: SecretStr
    key: SecretBytes | None = None
    others: dict[str, list[SecretStr]] = {}


@given(json_values)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    codec = Codec(Any)
    assert codec.decode(codec.encode(value)) == value
    assert masked(codec.encode(value)) == value


@given(st.dictionaries(st.sampled_from(["$secret", "$$secret", "$$$secret", "x"]), json_values, max_size=2))
def test_data_that_looks_like_a_sealed_secret_stays_data(value: Any) -> None:
    codec = Codec(Any)
    assert codec.decode(codec.encode(value)) == value
    assert masked(codec.encode(value)) == value


def test_rich_types_come_back_typed() -> None:
    value = Deep(
        when=datetime(2026, 1, 2, tzinfo=UTC),
        day=date(2026, 1, 2),
        price=Decimal("1.10"),
        colour=Colour.RED,
        pair=(1, "a"),
        tags=frozenset("a"),
    )
    codec = Codec(Deep)
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1.0, math.nan]}, "$.a[1]"),
        ({"a": math.inf}, "$.a"),
        ({"a": {"b": "\udfff"}}, "$.a.b"),
        ({"a": "x\x00"}, "$.a"),
        ({"k\x00": 1}, "$"),
        ({(1, 2): "x"}, "$"),
        ([{1: 2}], "$[0]"),
        ({"a": object()}, "$.a"),
        ("x" * MAX_BYTES, "$"),
    ],
)
def test_what_json_would_change_in_silence_is_refused_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(EncodingFault) as caught:
        Codec(Any).encode(value)
    assert caught.value.path == path


def test_the_depth_and_the_size_have_limits_and_circles_are_refused() -> None:
    fits: Any = 0
    for _ in range(MAX_DEPTH):
        fits = [fits]
    assert Codec(Any).decode(Codec(Any).encode(fits)) == fits
    deep: Any = 0
    for _ in range(5000):
        deep = [deep]
    circular: list[Any] = []
    circular.append(circular)
    for value in ([fits], deep, circular):
        with pytest.raises(EncodingFault):
            Codec(Any).encode(value)
    assert len(Codec(str).encode("x" * (MAX_BYTES - 2))) == MAX_BYTES


@pytest.mark.parametrize(
    ("annotation", "value"), [(int, "5"), (str, 5), (bool, 1), (list[int], [1, "2"]), (Login, {"user": "x"}), (type(None), 0)]
)
def test_outputs_are_validated_strictly_and_the_value_is_not_shown(annotation: Any, value: Any) -> None:
    with pytest.raises(EncodingFault, match="declared type"):
        Codec(annotation).encode(value)


class Shade(StrEnum):
    RED = "red"


class Seconds(int):
    pass


PLAIN = (None, True, 0, 7, 10**30, "", "text", "é", "a\x00b", "\ud800", 1.5, math.nan, Shade.RED, Seconds(3), [1])


@pytest.mark.parametrize("annotation", [Any, None, bool, int, str, float, int | None], ids=str)
@pytest.mark.parametrize("value", PLAIN, ids=ascii)
def test_plain_values_are_written_and_refused_as_pydantic_would_have_it(annotation: Any, value: Any) -> None:
    def outcome(codec: Codec) -> str:
        try:
            return codec.encode(value)
        except EncodingFault as fault:
            return f"refused: {fault}"

    asked = Codec(annotation)
    asked._plain = ()  # so that pydantic is asked whatever the value
    assert outcome(Codec(annotation)) == outcome(asked)


def test_a_model_that_was_made_unfit_afterwards_is_refused() -> None:
    login = Login.model_construct(user=5, password="plain-text-pw")
    with pytest.raises(EncodingFault) as caught:
        Codec(Login).encode(login, vault=Vault(os.urandom(32)))
    assert "plain-text-pw" not in str(caught.value)


def test_secrets_are_sealed_shown_masked_and_come_back() -> None:
    vault, codec = Vault(os.urandom(32)), Codec(Login)
    login = Login(user="bob", password=SecretStr("hunter22"), key=SecretBytes(b"key-bytes"), others={"a": [SecretStr("third-one")]})
    text = codec.encode(login, vault=vault, bound_to="run/step")
    assert codec.has_secrets
    assert not any(secret in text for secret in ("hunter22", "key-bytes", "third-one"))
    assert masked(text) == {"user": "bob", "password": "*" * 10, "key": "*" * 10, "others": {"a": ["*" * 10]}}
    assert codec.decode(text, vault=vault, bound_to="run/step") == login
    assert sorted(secrets_in(login)) == ["hunter22", "key-bytes", "third-one"]
    assert mask_in("a hunter22 b key-bytes", secrets_in(login)) == "a ********** b **********"


def test_a_secret_can_not_be_moved_changed_or_opened_with_another_key() -> None:
    key = os.urandom(32)
    vault, codec = Vault(key), Codec(Login)
    text = codec.encode(Login(user="bob", password=SecretStr("hunter22")), vault=vault, bound_to="run/step")
    swapped = json.loads(text)
    swapped["others"] = {"a": [swapped["password"]]}
    for refused, bound_to, with_vault in (
        (text, "other/step", vault),
        (_tampered(text), "run/step", vault),
        (json.dumps(swapped), "run/step", vault),
        (text, "run/step", Vault(os.urandom(32))),
        (text, "run/step", None),
    ):
        with pytest.raises((ProvisioningError, ValueError)):
            codec.decode(refused, vault=with_vault, bound_to=bound_to)


def test_a_secret_needs_a_key_and_an_annotation() -> None:
    with pytest.raises(EncodingFault, match="no key"):
        Codec(SecretStr).encode(SecretStr("hunter22"))
    with pytest.raises(EncodingFault, match="annotate"):
        Codec(Any).encode({"a": SecretStr("hunter22")}, vault=Vault(os.urandom(32)))
    with pytest.raises(ValueError, match=r"os\.urandom"):
        Vault(b"too short")


def test_digests_tell_equal_from_different_and_give_no_secret_away() -> None:
    codec, vault = Codec(Login), Vault(os.urandom(32))
    one = Login(user="bob", password=SecretStr("hunter22"))
    assert codec.digest(one, vault=vault) == codec.digest(one.model_copy(), vault=vault)
    assert codec.digest(one, vault=vault) != codec.digest(one.model_copy(update={"password": SecretStr("other")}), vault=vault)
    assert codec.digest(one, vault=vault) != codec.digest(one, vault=Vault(os.urandom(32)))
    assert Codec(Any).digest({"a": 1, "b": 2}) == Codec(Any).digest({"b": 2, "a": 1})


def test_backoff_grows_is_clamped_and_never_overflows() -> None:
    retry = Retry(attempts=9, initial=0.5, factor=2.0, maximum=60.0, jitter=0.2)
    assert [retry.delay(failures, 0.5) for failures in (1, 2, 3, 8, 10_000)] == [0.5, 1.0, 2.0, 60.0, 60.0]
    assert (retry.delay(1, 0.0), retry.delay(1, 1.0)) == pytest.approx((0.4, 0.6))
    assert Retry(initial=1e308, factor=1e10, maximum=5.0, jitter=0).delay(50, 0.5) == 5.0


def _tampered(text: str) -> str:
    document = json.loads(text)
    sealed = document["password"]["$secret"]
    document["password"]["$secret"] = sealed[:-6] + ("AAAA" if sealed[-6:-2] != "AAAA" else "BBBB") + sealed[-2:]
    return json.dumps(document)
