"""Whatever happens to a run, in whatever order: the promises hold after every single event."""

from __future__ import annotations

import machine_invariants as invariants
from hypothesis import given
from hypothesis import strategies as st
from machine_world import World, state_of
from wild_runs import CHOICES, NAMES, accepted, apply, live_on, plans, skippable, verbs

from provisioning_core import machine as m
from provisioning_core.errors import Conflict
from provisioning_core.model import Direction, StepStatus

S = StepStatus


def a_run(data: st.DataObject) -> World:
    graph = data.draw(plans())
    return World(graph, skipped=data.draw(skippable(graph)))


@given(st.data(), CHOICES)
def test_the_promises_hold_after_every_event(data: st.DataObject, choices: list[int]) -> None:
    world = a_run(data)
    live_on(world, choices)
    invariants.a_replay_decides_the_same(world)


@given(st.data(), CHOICES)
def test_with_no_more_faults_a_run_rests_and_what_is_allowed_leads_to_a_good_end(data: st.DataObject, choices: list[int]) -> None:
    world = a_run(data)
    live_on(world, choices)
    for _ in range(6 * len(world.graph.nodes) + 6):
        if world.finish() in ("SUCCEEDED", "ROLLED_BACK"):
            break
        apply(world, what_a_person_would_do(world))
    assert world.status in ("SUCCEEDED", "ROLLED_BACK"), f"no way out of {world.status}: {world.steps}"


def what_a_person_would_do(world: World) -> m.Verb:
    """The first of these that is accepted: signal, resolve, go on, try again."""
    can = {(NAMES[type(verb)], getattr(verb, "step", None), getattr(verb, "as_", None)): verb for verb in accepted(world)}
    for (name, _, as_), verb in sorted(can.items(), key=repr):
        if name == "signal" and world.machine.cell(verb.step).status is S.WAITING:  # type: ignore[union-attr]
            return verb
        if name == "resolve" and as_ in ("succeeded", "compensated"):
            return verb
    for name in ("continue", "retry"):
        if (name, None, None) in can:
            return can[(name, None, None)]
    raise AssertionError(f"nothing can be done: {world.status} {world.steps} {world.machine.allowed_actions()}")


@given(st.data(), CHOICES)
def test_the_allowed_actions_tell_the_truth(data: st.DataObject, choices: list[int]) -> None:
    world = a_run(data)
    live_on(world, choices)
    listed = set(world.machine.allowed_actions())
    taken = {NAMES[type(verb)] for verb in accepted(world)}
    by_name_only = {"retry"}
    assert listed <= taken
    assert taken - listed <= by_name_only
    unnamed = {NAMES[type(verb)] for verb in accepted(world) if not getattr(verb, "steps", None)}
    assert unnamed == listed


@given(st.data(), CHOICES)
def test_another_engine_sees_the_same_run(data: st.DataObject, choices: list[int]) -> None:
    """With nothing under way, a machine made from the records stands exactly where the old one stood."""
    world = a_run(data)
    live_on(world, choices)
    if world.alive:
        world.crash()
    here, there = world.twin(), world.reloaded()
    there.handle(m.TakenUp(at=world.now))
    for machine in (here, there):
        machine.handle(m.TimePassed(at=world.now))
    assert outline(there) == outline(here)


@given(st.data(), CHOICES)
def test_another_engine_decides_the_same_from_then_on(data: st.DataObject, choices: list[int]) -> None:
    """Whatever is asked of a run next, a machine made from its records moves the same, launches the same and waits for the same."""
    world = a_run(data)
    live_on(world, choices)
    world.crash()
    for verb in verbs(world):
        here, there = world.twin(), world.reloaded()
        there.handle(m.TakenUp(at=world.now))
        assert what_follows(there, verb) == what_follows(here, verb), verb


def what_follows(machine: m.Machine, verb: m.Verb) -> tuple[object, ...]:
    """Launches without their tokens: what waits for a worker may stand in another order."""
    refusal = refusal_of(machine, verb)
    offered = machine.handle(m.CapacityOffered(at=verb.at, slots=1000))
    launches = {
        (each.step, each.direction, each.attempt, each.deadline_at) for each in offered.commands if isinstance(each, m.Launch)
    }
    return refusal, launches, outline(machine), machine.next_timer_at, machine.run_fields()


def outline(machine: m.Machine) -> tuple[object, ...]:
    cells = [(cell.status, cell.queued if machine.status.moves else None) for cell in machine._board.cells]
    return machine.status, machine.wanting, cells, machine.progress


@given(st.data(), CHOICES)
def test_only_looking_changes_no_answer(data: st.DataObject, choices: list[int]) -> None:
    """A process that only reads the records allows the same verbs as the engine that owns the run."""
    world = a_run(data)
    live_on(world, choices)
    there = world.reloaded()
    there.handle(m.TakenUp(at=world.now, only_look=True))
    assert there.status is world.machine.status
    assert there.allowed_actions() == world.machine.allowed_actions()
    for verb in verbs(world):
        refusal = world.refuses(verb)
        assert refusal_of(world.copy_of(there), verb) == (refusal and (refusal.code, refusal.message)), verb


def refusal_of(machine: m.Machine, verb: m.Verb) -> tuple[str, str] | None:
    try:
        machine.handle(verb)
    except Conflict as refusal:
        return refusal.code, refusal.message
    return None


@given(st.data(), CHOICES)
def test_a_result_that_comes_twice_or_too_late_changes_nothing(data: st.DataObject, choices: list[int]) -> None:
    world = a_run(data)
    live_on(world, choices)
    ended = [(step, token) for step, token in all_tokens(world) if token not in world.alive]
    for step, token in ended:
        before = state_of(world.machine)
        decision = world.machine.handle(m.AttemptSucceeded(at=world.now, step=step, token=token))
        assert decision == m.Decision()
        assert state_of(world.machine) == before


def all_tokens(world: World) -> list[tuple[str, int]]:
    last = int(str(world.machine.run_fields()["token"]))
    return [(node.name, token) for node in world.graph.nodes for token in range(last + 1)]


@given(st.data(), CHOICES)
def test_what_succeeded_is_not_started_again_unless_a_person_asks(data: st.DataObject, choices: list[int]) -> None:
    """Faults and crashes alone never lead to a second forward attempt of a step that is recorded as done."""
    world = a_run(data)
    for choice in choices:
        done = {name for name, status in world.steps.items() if status == "SUCCEEDED"}
        begun = len(world.launched)
        live_on(world, [choice % 16_000])
        assert not done & set(world.launched[begun:])
    assert all(attempt.direction in tuple(Direction) for attempt in world.alive.values())
