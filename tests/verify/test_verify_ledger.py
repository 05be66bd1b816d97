"""What steps wrote outside the store, compared with what is recorded: good ledgers hold, broken ones are told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from verify_shop import Shop, a_line

from provisioning_core import Plan, StepContext, step
from provisioning_core.model import Direction
from provisioning_core.testing import LedgerFile, LedgerLine, VirtualWorld, verify_history

F, C = Direction.FORWARD, Direction.COMPENSATE
Script = Iterable[tuple[str, Direction, int, str]]


@pytest.fixture
def undone(shop: Shop) -> str:
    """A run of ``a``, ``b``, ``extra`` and ``last`` that is ROLLED_BACK; nobody wrote anything yet."""
    front = shop.engine().engine
    run_id = shop.start(front)
    front.rollback("acme")
    shop.world.settle()
    assert codes(shop, shop.ledger) == set()
    return run_id


def codes(shop: Shop, lines: Iterable[LedgerLine]) -> set[str]:
    return {violation.code for violation in verify_history(shop.world.store, ledger=lines)}


def written(run_id: str, script: Script) -> list[LedgerLine]:
    return [a_line(run_id, name, direction, token, what) for name, direction, token, what in script]


def whole(name: str, direction: Direction, token: int) -> list[tuple[str, Direction, int, str]]:
    return [(name, direction, token, what) for what in ("begin", "effect", "end")]


def token_of(shop: Shop, run_id: str, name: str) -> int:
    return shop.kept(run_id).steps[name].token


def test_an_attempt_that_the_store_does_not_know_is_told(shop: Shop, undone: str) -> None:
    late = a_line(undone, "a", C, token_of(shop, undone, "a") + 1, "begin")
    assert codes(shop, [*shop.ledger, late]) == {"ledger_intent_recorded"}


def test_a_forward_attempt_without_its_intent_is_told(shop: Shop, undone: str) -> None:
    """The history has one start of it; it began twice."""
    lines = [line for line in shop.ledger if line.step == "a" and line.direction is F]
    again = [a_line(undone, "a", F, lines[0].token + 1, "begin")]
    assert codes(shop, [*lines, *again]) >= {"ledger_intent_recorded"}


def test_an_attempt_that_begins_twice_is_told(shop: Shop, undone: str) -> None:
    assert codes(shop, [shop.ledger[0], *shop.ledger]) == {"ledger_begun_once"}


def test_tokens_that_go_back_are_told(shop: Shop, undone: str) -> None:
    latest = token_of(shop, undone, "a")
    script = [("a", C, latest, "begin"), ("a", C, latest - 1, "begin"), ("a", C, latest - 1, "effect")]
    assert codes(shop, written(undone, script)) == {"ledger_token_grows"}


def test_a_key_of_another_step_is_told(shop: Shop, undone: str) -> None:
    lines = [a_line(undone, "a", C, 5, "begin", key="same"), a_line(undone, "b", C, 6, "begin", key="same")]
    assert "ledger_key_stable" in codes(shop, lines)


def test_more_keys_than_rounds_are_told(shop: Shop, undone: str) -> None:
    lines = [a_line(undone, "last", C, 1, "begin"), a_line(undone, "last", C, 2, "begin", key="another")]
    assert "ledger_key_stable" in codes(shop, lines)


def test_a_key_that_comes_back_is_told(shop: Shop, undone: str) -> None:
    keys = ["one", "two", "one"]
    lines = [a_line(undone, "last", C, token, "begin", key=key) for token, key in enumerate(keys, 1)]
    assert "ledger_key_stable" in codes(shop, lines)


def test_a_key_that_comes_back_within_the_rounds_is_told(shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)
    front.retry("acme", steps=["last"])
    shop.world.settle()
    lines = [a_line(run_id, "last", F, token, "begin", key=key) for token, key in enumerate(["one", "two", "one"], 1)]
    assert "ledger_key_stable" in codes(shop, lines)


def test_a_step_that_is_done_anew_under_its_old_key_is_told(shop: Shop, undone: str) -> None:
    script = [*whole("a", F, 1), *whole("a", C, 2), ("a", F, 3, "begin")]
    assert "ledger_key_stable" in codes(shop, written(undone, script))


def test_attempts_that_overlap_are_told(shop: Shop, undone: str) -> None:
    script = [("a", F, 1, "begin"), ("a", C, 2, "begin"), ("a", F, 1, "effect"), ("a", C, 2, "effect"), ("a", C, 2, "end")]
    assert codes(shop, written(undone, script)) == {"ledger_no_overlap"}


def test_an_attempt_that_was_killed_overlaps_with_nothing(shop: Shop, undone: str) -> None:
    script = [("a", F, 1, "begin"), *whole("a", C, 2)]
    assert codes(shop, written(undone, script)) == set()


@pytest.mark.parametrize(
    "late",
    [[("b", C, 4, "begin")], [("b", C, 4, "effect")], [("b", F, 2, "effect"), *whole("b", C, 4)]],
    ids=["it begins later", "it is not through", "an attempt of it is alive"],
)
def test_a_compensation_before_its_dependent_s_is_told(shop: Shop, undone: str, late: list[tuple[str, Direction, int, str]]) -> None:
    script = [*whole("a", F, 1), ("b", F, 2, "begin"), *whole("a", C, 5), *late, ("b", C, 4, "end")]
    assert "ledger_order_back" in codes(shop, written(undone, script))


def test_a_new_round_of_a_dependent_is_no_fault(shop: Shop) -> None:
    front = shop.engine().engine
    shop.start(front)
    front.retry("acme", steps=["a"])
    shop.world.settle()
    assert codes(shop, shop.ledger) == set()


@pytest.mark.parametrize(
    "script",
    [whole("a", F, 1), [*whole("a", C, 2), *whole("a", F, 3)], [("a", F, 1, "begin"), ("a", F, 1, "effect")]],
    ids=["never undone", "done after it was undone", "half done"],
)
def test_what_is_left_behind_is_told(shop: Shop, undone: str, script: list[tuple[str, Direction, int, str]]) -> None:
    assert "ledger_nothing_left" in codes(shop, written(undone, script))


def test_what_a_person_undid_needs_no_line(shop: Shop) -> None:
    front = shop.engine().engine
    shop.failing["undo b"] = -1
    shop.start(front)
    front.rollback("acme")
    shop.world.settle()
    front.resolve("acme", "b", as_="compensated")
    shop.world.settle()
    front.retry("acme")
    shop.world.settle()
    assert codes(shop, shop.ledger) == set()


def test_lines_of_a_run_that_is_not_there_are_told(shop: Shop, undone: str) -> None:
    assert codes(shop, [a_line("lost", "a", F, 1, "begin")]) == {"ledger_intent_recorded"}
    assert verify_history(shop.world.store, [undone], ledger=[a_line("lost", "a", F, 1, "begin")]) == []


def test_a_file_of_lines_is_written_through_and_read_back(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.jsonl")
    assert ledger.lines() == []

    @step
    def database(ctx: StepContext) -> str:
        with ledger.attempt(ctx) as note:
            note.effect()
            if ctx.token == 1:
                raise RuntimeError("broken off")
        return "made"

    @database.compensate
    def drop(ctx: StepContext) -> None:
        with ledger.attempt(ctx) as note:
            note.effect()

    world = VirtualWorld()
    front = world.engine(Plan("p", steps=[database])).engine
    front.start("p", subject="acme")
    world.settle()
    front.retry("acme")
    world.settle()
    front.rollback("acme")
    world.settle()
    told = [(line.direction.value, line.token, line.what) for line in ledger.lines()]
    assert told == [
        ("forward", 1, "begin"),
        ("forward", 1, "effect"),
        ("forward", 2, "begin"),
        ("forward", 2, "effect"),
        ("forward", 2, "end"),
        ("compensate", 3, "begin"),
        ("compensate", 3, "effect"),
        ("compensate", 3, "end"),
    ]
    assert verify_history(front, ledger=ledger.lines()) == []


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    ledger = LedgerFile(tmp_path / "ledger.jsonl")
    first = a_line("r", "a", F, 1, "begin")
    ledger.write(first)
    with ledger.path.open("a") as file:
        file.write(json.dumps({"run_id": "r"})[:-1])
    assert ledger.lines() == [first]
    ledger.write(first)
    assert ledger.lines() == [first, first], "who writes next begins a line of its own"
    assert ledger.lines()[0].at == 0.0
