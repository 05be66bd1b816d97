"""Steps with the same needs and the same dependents are interchangeable: states that differ in their names only are one."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from explorer.canonical import in_order, sorted_by_text
from explorer.model import Process, Records, Row, State, Told
from explorer.shapes import Needs


def twins(needs: Needs) -> tuple[tuple[int, ...], ...]:
    """Groups of steps that are interchangeable."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, before in enumerate(needs):
        dependents = tuple(j for j, others in enumerate(needs) if i in others)
        groups[before, dependents].append(i)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def settled(state: State, groups: tuple[tuple[int, ...], ...]) -> State:
    """Of all states that differ from this one in the names of interchangeable steps only, always the same one."""
    new = list(range(len(state.world)))
    for group in groups:
        order = sorted(group, key=lambda i: hash(_portrait(state, i)))
        for place, i in zip(group, order, strict=True):
            new[i] = place
    return state if new == sorted(new) else _renamed(state, new)


def _portrait(state: State, i: int) -> tuple[Any, ...]:
    """All that a state knows of one step, without its name."""
    row = state.row
    of_processes = [_portrait_in(process, i) for process in state.processes if process.records is not None]
    attempts = [(each.process, each[2:]) for each in state.attempts if each.step == i]
    wishes = [(each.verb, each.token) for each in (*row.wishes, *state.owed) if each.step == i]
    here = (row.records.steps[i], row.engines[i], state.world[i], row.told.steps[i], state.newest[i])
    return (*here, tuple(attempts), tuple(wishes), tuple(of_processes))


def _portrait_in(process: Process, i: int) -> tuple[Any, ...]:
    assert process.records is not None
    lines = [each[1:] for each in (*process.orders, *process.outbox) if each.step == i]
    moves = [(number < process.known, each[1:]) for number, each in enumerate(process.moves) if each.step == i]
    done = [(each.verb, each.token) for each in process.done if each.step == i]
    return process.records.steps[i], process.engines[i], tuple(lines), tuple(moves), tuple(done)


def _renamed(state: State, new: list[int]) -> State:
    old = sorted(range(len(new)), key=new.__getitem__)
    row = state.row
    return State(
        Row(
            Records(row.records.run, _permuted(row.records.steps, old)),
            _permuted(row.engines, old),
            row.owner,
            sorted_by_text(_relabelled(row.wishes, new)),
            Told(row.told.run, _permuted(row.told.steps, old)),
        ),
        tuple(_renamed_in(process, old, new) for process in state.processes),
        tuple(sorted(_relabelled(state.attempts, new))),
        _permuted(state.world, old),
        state.faults,
        _permuted(state.newest, old),
        sorted_by_text(_relabelled(state.owed, new)),
    )


def _renamed_in(process: Process, old: list[int], new: list[int]) -> Process:
    if process.records is None:
        return process
    return process._replace(
        records=Records(process.records.run, _permuted(process.records.steps, old)),
        engines=_permuted(process.engines, old),
        moves=in_order(_relabelled(process.moves, new), process.known),
        orders=sorted_by_text(_relabelled(process.orders, new)),
        outbox=_relabelled(process.outbox, new),
        done=sorted_by_text(_relabelled(process.done, new)),
    )


def _permuted(values: tuple[Any, ...], old: list[int]) -> tuple[Any, ...]:
    return tuple([values[i] for i in old])


def _relabelled(values: tuple[Any, ...], new: list[int]) -> tuple[Any, ...]:
    return tuple([each if each.step is None else each._replace(step=new[each.step]) for each in values])
