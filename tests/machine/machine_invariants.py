"""What must hold after every event, whatever happened. Written anew from the promises, not from the machine's own bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from provisioning_core import machine as m
from provisioning_core.model import Direction, Node, Phase, RunStatus, StepStatus

if TYPE_CHECKING:
    from machine_world import Attempt, World

R, S = RunStatus, StepStatus
COUNTERS = ("status", "phase", "token", "live", "zombies", "failed_required", "_done")


def check(world: World, decision: m.Decision, before: dict[int, Attempt]) -> None:
    """All of them. ``before`` is what was alive when the event came."""
    what_is_recorded_is_what_the_machine_knows(world)
    no_attempt_begins_too_early(world, decision, before)
    doubts_are_settled_first(world, decision)
    tokens_only_grow(decision, before)
    the_run_is_where_it_says(world, decision)
    something_will_move_it(world)
    every_cell_makes_sense(world)


def what_is_recorded_is_what_the_machine_knows(world: World) -> None:
    """The records that were touched are all that changed, and every counter equals a recount from scratch."""
    board, anew = world.machine._board, world.reloaded()._board
    for name in COUNTERS:
        assert getattr(board, name) == getattr(anew, name), f"{name} is not what a recount gives"
    assert _filled(board._members) == _filled(anew._members)
    assert abs(board._done_weight - anew._done_weight) < 1e-9
    for node, cell, stored in zip(board.nodes, board.cells, anew.cells, strict=True):
        stored.queued, stored.doubted = cell.queued, cell.doubted
        assert cell == stored, f"{node.name} changed without being recorded: {cell}, but {stored}"
    queued = sum(cell.queued is not None for cell in board.cells)
    assert len(world.machine._ready) == queued


def _filled(members: Mapping[StepStatus, set[int]]) -> dict[StepStatus, set[int]]:
    return {status: steps for status, steps in members.items() if steps}


def no_attempt_begins_too_early(world: World, decision: m.Decision, before: dict[int, Attempt]) -> None:
    launches = [command for command in decision.commands if isinstance(command, m.Launch)]
    alive = {attempt.step for attempt in before.values()}
    for launch in launches:
        assert launch.step not in alive, f"{launch.step} is launched beside a living attempt"
        assert sum(each.step == launch.step for each in launches) == 1
        if launch.direction is Direction.COMPENSATE:
            all_dependents_are_undone(world, launch.step, alive)
        else:
            all_needs_are_settled(world, launch, alive)


def doubts_are_settled_first(world: World, decision: m.Decision) -> None:
    """Straight from a doubt only a step runs again whose policy says so; others were asked about, or a person settled them."""
    for move in decision.moves:
        if isinstance(move, m.StepMoved) and (move.old, move.new) == (S.IN_DOUBT, S.RUNNING):
            assert node_of(world, move.step).in_doubt == "rerun", f"{move.step} runs again though it is in doubt"


def all_dependents_are_undone(world: World, step: str, alive: set[str]) -> None:
    assert world.machine.run_fields()["phase"] is not Phase.FORWARD
    for name in world.graph.descendants([step]) - {step}:
        cell = world.machine.cell(name)
        assert name not in alive, f"{step} is undone while {name} is alive"
        assert not cell.effect, f"{step} is undone before {name}"
        assert cell.live is None


def all_needs_are_settled(world: World, launch: m.Launch, alive: set[str]) -> None:
    phase = world.machine.run_fields()["phase"]
    if phase is not Phase.FORWARD:
        assert launch.direction is Direction.PROBE, f"{launch.step} starts while others are undone"
        all_dependents_are_undone(world, launch.step, alive)
        return
    assert world.machine.status is R.RUNNING
    assert not world.machine.run_fields()["pausing"], f"{launch.step} starts although a pause was asked for"
    node = world.graph.nodes[world.graph.index[launch.step]]
    for need in node.needs:
        assert is_settled(world, need), f"{launch.step} starts before {need}"
        assert need in node.tolerates or delivers(world, need), f"{launch.step} starts though {need} delivered nothing"


def is_settled(world: World, step: str) -> bool:
    status = world.machine.cell(step).status
    return status in (S.SUCCEEDED, S.SKIPPED) or (status is S.FAILED and node_of(world, step).optional)


def delivers(world: World, step: str) -> bool:
    cell = world.machine.cell(step)
    return cell.status is S.SUCCEEDED or (cell.status is S.SKIPPED and cell.skip_reason == "person")


def node_of(world: World, step: str) -> Node:
    return world.graph.nodes[world.graph.index[step]]


def tokens_only_grow(decision: m.Decision, before: dict[int, Attempt]) -> None:
    given = [command.token for command in decision.commands if isinstance(command, m.Launch)]
    assert given == sorted(set(given))
    assert not given or min(given) > max(before, default=0)


def the_run_is_where_it_says(world: World, decision: m.Decision) -> None:
    """Whenever the run's status changes, the new one is explained by its steps."""
    if not any(isinstance(move, m.RunMoved) for move in decision.moves):
        return
    statuses = {node.name: world.machine.cell(node.name).status for node in world.graph.nodes}
    explained = EXPLANATIONS.get(world.machine.status)
    assert explained is None or explained(world, statuses), f"{world.machine.status} is not explained by {statuses}"
    if not world.machine.status.moves:
        only_zombies_are_alive(world)


def only_zombies_are_alive(world: World) -> None:
    for attempt in world.alive.values():
        assert world.machine.cell(attempt.step).zombie, f"the run rests while {attempt} is alive"


def _all_settled(world: World, statuses: dict[str, S]) -> bool:
    return all(is_settled(world, step) for step in statuses)


def _has_failed(world: World, statuses: dict[str, S]) -> bool:
    required = any(status is S.FAILED and not node_of(world, step).optional for step, status in statuses.items())
    return required or S.COMPENSATION_FAILED in statuses.values()


def _waits(world: World, statuses: dict[str, S]) -> bool:
    doubt = any(status is S.IN_DOUBT and world.machine.cell(step).live is None for step, status in statuses.items())
    return doubt or S.WAITING in statuses.values()


def _is_all_undone(world: World, statuses: dict[str, S]) -> bool:
    """Nothing that could be undone exists outside, and nothing is alive that could still make it."""
    left = {step for step in world.effects if node_of(world, step).has_compensation}
    assert not left, f"ROLLED_BACK, but {sorted(left)} exist outside"
    assert not any(world.machine.cell(step).effect for step in statuses)
    open_ones = {S.PENDING, S.RUNNING, S.RETRYING, S.WAITING, S.IN_DOUBT, S.COMPENSATING, S.COMPENSATION_FAILED}
    return not world.alive and not open_ones & set(statuses.values())


def _is_quiet(world: World, statuses: dict[str, S]) -> bool:
    return not world.alive


def _undo_failed(world: World, statuses: dict[str, S]) -> bool:
    return not world.alive and S.COMPENSATION_FAILED in statuses.values()


EXPLANATIONS: dict[R, Any] = {
    R.SUCCEEDED: _all_settled,
    R.FAILED: _has_failed,
    R.WAITING: _waits,
    R.ROLLED_BACK: _is_all_undone,
    R.ROLLBACK_FAILED: _undo_failed,
    R.CANCELLED: _is_quiet,
}


def something_will_move_it(world: World) -> None:
    """A run that moves has something alive, or something to launch, or a timer; a run that rests says what can be done."""
    machine = world.machine
    if machine.status.moves:
        moved_by = machine.live or machine.wanting or machine.next_timer_at is not None
        assert moved_by, f"{machine.status} for ever: {world.steps}"
    else:
        assert machine.wanting == 0
        assert machine.allowed_actions()


def every_cell_makes_sense(world: World) -> None:
    for node in world.graph.nodes:
        cell = world.machine.cell(node.name)
        alive = {attempt.token for attempt in world.alive.values() if attempt.step == node.name}
        assert alive <= {cell.token}, f"more than one attempt of {node.name} is alive"
        assert (cell.live is not None) == bool(alive)
        assert cell.status is not S.RUNNING or alive
        assert not cell.zombie or alive
        assert cell.status is not S.RETRYING or cell.next_attempt_at is not None
        if cell.status is S.WAITING:
            assert all(is_settled(world, need) for need in node.needs), f"gate {node.name} waits before what it needs is settled"


def a_replay_decides_the_same(world: World) -> None:
    """The machine is a function of its events."""
    run, records = world.beginning
    machine = m.Machine(world.graph, run, records)
    for event, decision in world.history:
        assert machine.handle(event) == decision
