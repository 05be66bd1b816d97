"""What can happen next in a state: each action gives the state after it, and what there is to check about it.

Theory of operation. The functions here say what engines, store, attempts, persons and faults do; what an engine *decides* is asked of
the real machine. Whatever may happen in more than one order is left open: the search takes them all.
"""

from __future__ import annotations

from collections.abc import Iterator

from explorer import engines
from explorer.model import DEAD, DEADLINE, DUE, FAULTS, LATER, Attempt, Process, Records, State, process_of, with_process
from explorer.protocol import Protocol, Transition, event_of
from provisioning_core import machine as m
from provisioning_core.model import MOVING, Direction

_KIND = {kind: number for number, kind in enumerate(FAULTS)}


def transitions(state: State, protocol: Protocol) -> Iterator[Transition]:
    """All that can happen now."""
    for process in state.processes:
        yield from _engine(state, process, protocol)
    for attempt in state.attempts:
        yield from _attempt(state, attempt, protocol)
    yield from _claims(state, protocol)
    yield from _time(state, protocol)
    yield from _persons(state, protocol)


# engines


def _engine(state: State, process: Process, protocol: Protocol) -> Iterator[Transition]:
    if process.outbox:
        yield engines.launch(state, process)
    elif process.records is not None:
        yield from _turn(state, process, protocol)
        yield from _news(state, process, protocol)
    if _may(state, "crash"):
        yield Transition(("crash", process.id), engines.without(_spent(state, "crash"), process), "crash")


def _turn(state: State, process: Process, protocol: Protocol) -> Iterator[Transition]:
    ready = process
    if not protocol.decides_apart:
        ready = engines.prepared(process, protocol)
    elif (prepared := engines.prepared(process, protocol)) != process:
        yield engines.decide(state, prepared, protocol)
    if not ready.is_dirty:
        return
    yield engines.commit(state, ready, protocol)
    if _may(state, "unknown") and engines.owns(state, ready):
        yield engines.commit_unknown(_spent(state, "unknown"), ready, protocol)


def _news(state: State, process: Process, protocol: Protocol) -> Iterator[Transition]:
    """What the owner learns from the store: verbs, and that attempts it waits for are over."""
    assert process.records is not None
    if state.row.owner == process.id:
        for wish in state.row.wishes:
            if wish not in process.done:
                yield engines.carry_out(state, process, wish, protocol)
    for i, step in enumerate(process.records.steps):
        if step.live is not None and process.engines[i] == DEAD:
            event = m.AttemptLost(at=DUE, step=protocol.name(i), token=step.token)
            yield Transition(("gone", process.id, i), engines.heard(state, process, event, protocol))


# attempts


def _attempt(state: State, attempt: Attempt, protocol: Protocol) -> Iterator[Transition]:
    if any(each.id == attempt.process and each.outbox for each in state.processes):
        return
    if not attempt.has_acted:
        yield Transition(("act", attempt.process, attempt.step, attempt.direction), _acted(state, attempt))
    else:
        yield _ended(state, attempt, _success(attempt, protocol), "returns", protocol)
    fault = "undo_failure" if attempt.direction is Direction.COMPENSATE else "failure"
    if _may(state, fault) and (not attempt.has_acted or protocol.fails_after_effect):
        failed = m.AttemptFailed(at=DUE, step=protocol.name(attempt.step), token=attempt.token)
        yield _ended(_spent(state, fault), attempt, failed, "fails", protocol, fault)
    if _may(state, "break_off") and engines.holds(state, attempt):
        lost = m.AttemptLost(at=DUE, step=protocol.name(attempt.step), token=attempt.token)
        yield _ended(_spent(state, "break_off"), attempt, lost, "breaks off", protocol, "break_off")


def _acted(state: State, attempt: Attempt) -> State:
    """The attempt does outside what it is for; a probe looks."""
    there = state.world[attempt.step]
    done = attempt._replace(has_acted=True, found=there and attempt.direction is Direction.PROBE)
    attempts = tuple(done if each is attempt else each for each in state.attempts)
    if attempt.direction is Direction.PROBE:
        return state._replace(attempts=attempts)
    is_there = attempt.direction is Direction.FORWARD
    world = tuple(is_there if i == attempt.step else each for i, each in enumerate(state.world))
    return state._replace(attempts=attempts, world=world)


def _success(attempt: Attempt, protocol: Protocol) -> m.Report:
    kind = m.AttemptSucceeded
    if attempt.direction is Direction.PROBE:
        kind = m.ProbeFound if attempt.found else m.ProbeMissed  # type: ignore[assignment]
    return kind(at=DUE, step=protocol.name(attempt.step), token=attempt.token)


def _ended(state: State, attempt: Attempt, event: m.Report, how: str, protocol: Protocol, fault: str | None = None) -> Transition:
    at = state.attempts.index(attempt)
    state = state._replace(attempts=state.attempts[:at] + state.attempts[at + 1 :])
    process = process_of(state, attempt.process)
    label = ("end", attempt.process, attempt.step, attempt.direction, how)
    if process.records is None:
        return Transition(label, engines.farewells(state, process.id), fault)
    return Transition(label, engines.heard(state, process, event, protocol), fault)


# runs change hands


def _claims(state: State, protocol: Protocol) -> Iterator[Transition]:
    row = state.row
    if row.owner in (None, DEAD):
        if row.records.run.status in MOVING or row.wishes:
            for process in _takers(state, protocol):
                yield Transition(("claim", process.id), engines.claim(state, process, protocol))
        return
    for process in state.processes:
        if process.id == row.owner and process.records is None:  # it claimed the run, and was not told; or holds it no more
            yield Transition(("claim", process.id), engines.claim(state, process, protocol))
    if _may(state, "lease"):
        spent = _spent(state, "lease")
        for process in _takers(state, protocol):
            if process.id != row.owner:
                yield Transition(("steal", process.id, row.owner), engines.claim(spent, process, protocol), "lease")


def _takers(state: State, protocol: Protocol) -> Iterator[Process]:
    yield from (process for process in state.processes if not process.outbox)
    if len(state.processes) < protocol.processes:
        yield Process(1 + max((process.id for process in state.processes), default=-1))


# time


def _time(state: State, protocol: Protocol) -> Iterator[Transition]:
    """A tick makes due what is to come later. Deadlines are far away; an attempt that passes its own is a fault."""
    if any(step.next_attempt_at == LATER for step in state.row.records.steps) or any(
        step.next_attempt_at == LATER for each in state.processes if each.records for step in each.records.steps
    ):
        row = state.row._replace(records=_ticked(state.row.records))
        processes = tuple(each if each.records is None else each._replace(records=_ticked(each.records)) for each in state.processes)
        yield Transition(("tick",), state._replace(row=row, processes=processes))
    if _may(state, "timeout"):
        for process in state.processes:
            if process.records is not None and not process.outbox:
                yield from _timeouts(_spent(state, "timeout"), process, protocol)


def _ticked(records: Records) -> Records:
    return Records(
        records.run,
        tuple([step._replace(next_attempt_at=DUE) if step.next_attempt_at == LATER else step for step in records.steps]),
    )


def _timeouts(state: State, process: Process, protocol: Protocol) -> Iterator[Transition]:
    assert process.records is not None
    for i, step in enumerate(process.records.steps):
        if step.live is not None and step.deadline_at == DEADLINE:
            steps = (*process.records.steps[:i], step._replace(deadline_at=DUE), *process.records.steps[i + 1 :])
            late = process._replace(records=process.records._replace(steps=steps))
            event = m.TimePassed(at=DUE)
            yield Transition(("timeout", process.id, i), engines.heard(with_process(state, late), late, event, protocol), "timeout")


# persons


def _persons(state: State, protocol: Protocol) -> Iterator[Transition]:
    """A verb is recorded if the run, as it is stored, would accept it."""
    if not _may(state, "verb"):
        return
    for wish in protocol.verbs:
        if wish not in state.row.wishes and not any(wish in each.done for each in state.processes):
            answer = protocol.decider.decide(state.row.records, event_of(wish, protocol))
            if not answer.is_refused:
                row = state.row._replace(wishes=(*state.row.wishes, wish))
                yield Transition(("ask", wish), _spent(state, "verb")._replace(row=row, owed=(*state.owed, wish)), "verb")


def _may(state: State, kind: str) -> bool:
    return state.faults[_KIND[kind]] > 0


def _spent(state: State, kind: str) -> State:
    number = _KIND[kind]
    return state._replace(faults=tuple(left - (i == number) for i, left in enumerate(state.faults)))
