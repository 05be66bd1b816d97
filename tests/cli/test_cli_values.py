"""Values from the command line."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from provisioning_cli._values import parse_pairs, parse_value, read_input
from pydantic import BaseModel, SecretStr

from provisioning_core import Plan, step


def test_no_input_is_none() -> None:
    assert read_input([]).value() is None


def test_pairs_nest_and_are_json_where_they_can_be() -> None:
    parts = ["slug=acme", "seats=5", "plan.tier=pro", "plan.trial=true", "tags=[1, 2]", "note=a=b", "empty=", "big=1e3", "odd=NaN"]

    assert read_input(parts).value() == {
        "slug": "acme",
        "seats": 5,
        "plan": {"tier": "pro", "trial": True},
        "tags": [1, 2],
        "note": "a=b",
        "empty": "",
        "big": 1000.0,
        "odd": "NaN",
    }


def test_pairs_are_laid_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"slug": "acme", "plan": {"tier": "free", "seats": 1}}', encoding="utf-8")

    assert read_input([str(file), "plan.tier=pro"]).value() == {"slug": "acme", "plan": {"tier": "pro", "seats": 1}}


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"slug": "acme"}'), encoding="utf-8"))

    assert read_input(["-"]).value() == {"slug": "acme"}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (["nowhere.json"], "'nowhere.json' is neither a file nor key=value nor `-`."),
        (['{"a": }'], "What --input holds is not JSON: Expecting value in line 1, column 7."),
        (['{"a": NaN}'], "What --input holds is not JSON that can be kept: NaN, Infinity or too deep."),
        (["[1]", "a=1"], "--input '[1]' is not a JSON object, so nothing can be laid over it. Give it alone."),
        (["a..b=1"], "--input a..b= has an empty name between its dots. Write a.b=value."),
    ],
)
def test_an_unusable_input_is_told_with_what_to_do(parts: list[str], told: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        read_input(parts)

    assert caught.value.message.startswith(told)


def test_what_is_wrong_in_a_file_is_told_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"password": "hunter2"', encoding="utf-8")

    with pytest.raises(click.UsageError) as caught:
        read_input([str(file)])

    assert "hunter2" not in caught.value.message
    assert "is not JSON: " in caught.value.message


def test_a_payload_is_json_or_text() -> None:
    given = [None, "5", "true", '"yes"', "approved", "by=ana", '{"a": 1}']
    assert [parse_value(each) for each in given] == [None, 5, True, "yes", "approved", {"by": "ana"}, {"a": 1}]


def test_a_payload_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text("[1]", encoding="utf-8")

    assert parse_value(f"@{file}") == [1]


def test_labels_are_texts() -> None:
    assert parse_pairs(["team=payments", "n=1"], "--label") == {"team": "payments", "n": "1"}
    with pytest.raises(click.UsageError, match="--label 'oops' is not key=value"):
        parse_pairs(["oops"], "--label")


class Size(BaseModel):
    unit: str
    most: int | None = None


class Wide(BaseModel):
    """One field of each kind that matters for text that looks like JSON."""

    slug: str = "acme"
    key: SecretStr | None = None
    seats: int = 1
    either: int | str = 1
    anything: Any = None
    wait: timedelta = timedelta(0)
    size: Size | None = None
    labels: dict[str, str] = {}


@step
def one() -> None: ...


WIDE, BARE = Plan("wide", input=Wide, steps=[one]), Plan("bare", steps=[one])


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ("slug=123", {"slug": "123"}),
        ("slug=true", {"slug": "true"}),
        ("slug=null", {"slug": "null"}),
        ('slug="123"', {"slug": "123"}),
        ("key=1e3", {"key": "1e3"}),
        ("key=null", {"key": None}),
        ("seats=5", {"seats": 5}),
        ("either=5", {"either": 5}),
        ("anything=5", {"anything": 5}),
        ("wait=5", {"wait": 5}),
        ("size.unit=5", {"size": {"unit": "5"}}),
        ("size.most=5", {"size": {"most": 5}}),
        ("labels.team=5", {"labels": {"team": "5"}}),
        ("unknown=5", {"unknown": 5}),
    ],
)
def test_where_the_plan_wants_text_a_pair_gives_text(part: str, read: dict[str, Any]) -> None:
    assert read_input([part]).to_start(WIDE) == read


def test_without_an_input_a_run_starts_with_an_empty_one_where_its_plan_takes_one() -> None:
    assert [read_input([]).to_start(plan) for plan in (WIDE, BARE, None)] == [{}, None, None]


def test_an_empty_input_is_none_where_the_plan_takes_none() -> None:
    assert [read_input(["{}"]).to_start(plan) for plan in (WIDE, BARE, None)] == [{}, None, {}]
