"""The tables of legal moves: one gate, and the page that is generated from them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from machine_world import World, plan, state_of

from provisioning_core.errors import IllegalMove
from provisioning_core.machine import RUN_MOVES, STEP_MOVES
from provisioning_core.model import RunStatus, StepStatus

ROOT = Path(__file__).parents[2]


def test_every_status_has_a_row() -> None:
    assert (set(RUN_MOVES), set(STEP_MOVES)) == (set(RunStatus), set(StepStatus))
    assert all(status not in targets for table in (RUN_MOVES, STEP_MOVES) for status, targets in table.items())


@pytest.mark.parametrize("old", StepStatus)
def test_an_illegal_move_of_a_step_is_an_error_that_changes_nothing(old: StepStatus) -> None:
    for new in set(StepStatus) - STEP_MOVES[old]:
        world = World(plan("a, b"))
        board = world.machine._board
        board.cells[0].status = old
        before = state_of(world.machine)
        with pytest.raises(IllegalMove, match=f"step 'a' can't go from {old} to {new}"):
            board.move_step(0, new, 1.0)
        assert state_of(world.machine) == before


@pytest.mark.parametrize("old", RunStatus)
def test_an_illegal_move_of_a_run_is_an_error_that_changes_nothing(old: RunStatus) -> None:
    for new in set(RunStatus) - RUN_MOVES[old] - {old}:
        world = World(plan("a"))
        board = world.machine._board
        board.status = old
        before = state_of(world.machine)
        with pytest.raises(IllegalMove, match=f"the run can't go from {old} to {new}"):
            board.move_run(new, 1.0)
        assert state_of(world.machine) == before


def test_staying_where_it_is_is_no_move_of_a_run() -> None:
    world = World(plan("a"))
    before = state_of(world.machine)
    world.machine._board.move_run(RunStatus.RUNNING, 5.0)
    assert state_of(world.machine) == before


def test_the_page_of_states_is_what_the_tables_say() -> None:
    spec = importlib.util.spec_from_file_location("states", ROOT / "tools" / "states.py")
    assert spec is not None
    assert spec.loader is not None
    states = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(states)
    assert (ROOT / "docs" / "states.md").read_text(encoding="utf-8") == states.page(), "run `make docs`"
