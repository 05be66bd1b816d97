"""A run that an engine gave up as it stood: no command may say that all is well with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group

from provisioning_core import Engine, Plan, step
from provisioning_core.stores import MemoryStore

Run = Callable[..., Result]


@pytest.fixture
def aside() -> Run:
    """Runs commands of a product whose only run can't be read by any engine."""
    store = MemoryStore()
    plan = Plan("tenant", steps=[step(name="database")(lambda: None)])
    group = create_group(lambda *, work: Engine(store=store, plans=[plan], work=work, poll=0.02))

    def run(*words: str) -> Result:
        return CliRunner().invoke(group, list(words))

    assert run("start", "acme", "tenant", "--detach").exit_code == 0
    (kept,) = store._kept.values()
    kept.run = replace(kept.run, weights="no json")
    return run


WATCHING = [["watch", "acme"], ["watch", "acme", "--json"], ["start", "acme", "tenant"], ["pause", "acme"]]


@pytest.mark.parametrize("words", WATCHING)
def test_it_ends_with_7(aside: Run, words: list[str]) -> None:
    assert [aside(*words).exit_code, aside("status", "acme", "--exit-status").exit_code] == [7, 7]


@pytest.mark.parametrize("word", ["watch", "status", "explain"])
def test_it_is_not_said_to_go_on(aside: Run, word: str) -> None:
    aside("watch", "acme")

    told = aside(word, "acme").stdout

    assert "acme was set aside and waits for somebody to act (PENDING)" in told
    assert "shows how it goes on" not in told


def test_the_view_says_that_nothing_moves(aside: Run) -> None:
    view = json.loads(aside("watch", "acme", "--json").stdout)

    assert (view["status"], view["is_resting"], view["errors"][0]["code"]) == ("PENDING", True, "unreadable_run")
