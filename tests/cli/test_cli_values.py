"""Values from the command line."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest
from provisioning_cli._values import parse_input, parse_pairs, parse_value


def test_no_input_is_none() -> None:
    assert parse_input([]) is None


def test_pairs_nest_and_are_json_where_they_can_be() -> None:
    parts = ["slug=acme", "seats=5", "plan.tier=pro", "plan.trial=true", "tags=[1, 2]", "note=a=b", "empty=", "big=1e3", "odd=NaN"]

    assert parse_input(parts) == {
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

    assert parse_input([str(file), "plan.tier=pro"]) == {"slug": "acme", "plan": {"tier": "pro", "seats": 1}}


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"slug": "acme"}'), encoding="utf-8"))

    assert parse_input(["-"]) == {"slug": "acme"}


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
        parse_input(parts)

    assert caught.value.message.startswith(told)


def test_what_is_wrong_in_a_file_is_told_without_showing_it(tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"password": "hunter2"', encoding="utf-8")

    with pytest.raises(click.UsageError) as caught:
        parse_input([str(file)])

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
