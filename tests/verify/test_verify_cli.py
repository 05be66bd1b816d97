"""``provision verify``."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group
from provisioning_cli.commands import _verify
from verify_shop import Shop

from provisioning_core import Engine


@pytest.fixture
def runs(shop: Shop) -> list[str]:
    """Three that hold."""
    front = shop.engine().engine
    return [shop.start(front, subject=subject) for subject in ("acme", "other", "third")]


def verify(shop: Shop, *words: str) -> Result:
    group = create_group(lambda: Engine(store=shop.world.store, plans=[], work=False))
    return CliRunner().invoke(group, ["verify", *words])


def damage(shop: Shop, run_id: str) -> None:
    kept = shop.kept(run_id)
    kept.steps["a"] = replace(kept.steps["a"], effect=False)


def lines_of(shop: Shop, *runs: str) -> int:
    return sum(len(shop.kept(run_id).events) for run_id in runs)


def test_everything_holds(shop: Shop, runs: list[str]) -> None:
    result = verify(shop, "--all")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"✓ 3 runs with {lines_of(shop, *runs)} events looked at: everything holds.\n"


def test_what_does_not_hold_is_listed_with_a_sentence(shop: Shop, runs: list[str]) -> None:
    damage(shop, runs[1])
    result = verify(shop, "--all")
    assert result.exit_code == 1
    first, last = result.stdout.splitlines()
    assert first.startswith(f"✗ effect_fits_status  Step 'a' of run {runs[1]}: it is SUCCEEDED, but without effect")
    assert last == f"✗ 3 runs with {lines_of(shop, *runs)} events looked at: 1 violation."


def test_one_subject_or_one_run(shop: Shop, runs: list[str]) -> None:
    damage(shop, runs[1])
    assert [verify(shop, *words).exit_code for words in (["acme"], ["other"], ["--run", runs[0]], ["--run-id", runs[1]])] == [
        0,
        1,
        0,
        1,
    ]
    assert verify(shop, "acme").stdout == f"✓ 1 run with {lines_of(shop, runs[0])} events looked at: everything holds.\n"


def test_as_json(shop: Shop, runs: list[str]) -> None:
    damage(shop, runs[0])
    result = verify(shop, "--all", "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (1, "")
    assert (document["ok"], document["runs"], document["events"], document["is_complete"]) == (False, 3, lines_of(shop, *runs), True)
    assert [(each["code"], each["run_id"], each["step"]) for each in document["violations"]] == [("effect_fits_status", runs[0], "a")]
    assert json.loads(verify(shop, "other", "--json").stdout)["ok"] is True


def test_it_stops_when_enough_was_found(shop: Shop, runs: list[str]) -> None:
    for run_id in runs:
        damage(shop, run_id)
    result = verify(shop, "--all", "--limit", "2")
    assert len(result.stdout.splitlines()) == 3
    assert result.stdout.endswith("2 violations; there may be more, --limit ended it.\n")
    assert json.loads(verify(shop, "--all", "--limit", "2", "--json").stdout)["is_complete"] is False


def test_how_far_it_is_goes_to_stderr(shop: Shop, runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_verify, "_EVERY", 2)
    result = verify(shop, "--all")
    assert result.stderr == f"2 runs with {lines_of(shop, *runs[1:])} events looked at ...\n"
    assert verify(shop, "--all", "--json").stderr == ""


@pytest.mark.parametrize("words", [[], ["acme", "--all"], ["acme", "--run", "x"], ["--all", "--limit", "0"]])
def test_what_to_look_at_must_be_said(shop: Shop, words: list[str]) -> None:
    assert verify(shop, *words).exit_code == 2


def test_what_is_not_there_is_told(shop: Shop, runs: list[str]) -> None:
    assert [verify(shop, *words).exit_code for words in (["nobody"], ["--run", "none"])] == [8, 8]


def test_what_comes_from_the_store_is_cleaned(shop: Shop, runs: list[str]) -> None:
    kept = shop.kept(runs[0])
    kept.steps["\x1b[31mz"] = replace(kept.steps["a"], name="\x1b[31mz")
    assert "\x1b" not in verify(shop, "acme").stdout
