"""What must hold after every action. Written from the promises, not from the machine's or the engine's own rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from explorer.model import Attempt, Row, State, Told
from explorer.protocol import Protocol, Transition
from provisioning_core.model import MOVING, Direction, RunStatus, StepStatus

R, S = RunStatus, StepStatus
_SETTLED = (S.SUCCEEDED, S.SKIPPED)


def violation(before: State, done: Transition, protocol: Protocol) -> str | None:
    """The first promise that this action broke; None when all hold."""
    if done.broken is not None:
        return done.broken
    after = done.after
    if done.writer is not None and (wrong := _wrong_commit(before, done)):
        return wrong
    for attempt in done.launched:
        others = [each for each in after.attempts if each is not attempt]
        if wrong := _wrong_launch(attempt, others, after, before.newest, protocol):
            return wrong
    if after.row is not before.row or after.world is not before.world or after.attempts is not before.attempts:
        return next(_wrong_state(after), None)
    return None


# an attempt begins


def _wrong_launch(attempt: Attempt, others: list[Attempt], after: State, newest: tuple[int, ...], protocol: Protocol) -> str | None:
    name = protocol.name(attempt.step)
    alive = {each.step for each in others}
    if attempt.step in alive:
        return f"no overlap: an attempt of {name} begins while an older one is alive"
    if attempt.token <= newest[attempt.step]:
        return f"tokens grow: an attempt of {name} begins under a token that was given out before"
    if attempt.direction is Direction.FORWARD:
        return _wrong_order_forward(attempt.step, after, protocol)
    return _wrong_order_back(attempt.step, alive, after, protocol) if attempt.direction is Direction.COMPENSATE else None


def _wrong_order_forward(step: int, after: State, protocol: Protocol) -> str | None:
    for need in protocol.decider.needs[step]:
        if after.row.records.steps[need].status not in _SETTLED or not after.world[need]:
            return f"order: {protocol.name(step)} begins before {protocol.name(need)}, which it needs, is recorded as done"
    return None


def _wrong_order_back(step: int, alive: set[int], after: State, protocol: Protocol) -> str | None:
    for dependent in protocol.decider.dependents[step]:
        if after.row.records.steps[dependent].effect or after.world[dependent]:
            return f"order: {protocol.name(step)} is undone before {protocol.name(dependent)}, which depends on it"
        if dependent in alive:
            return f"no overlap: {protocol.name(step)} is undone while {protocol.name(dependent)}, which depends on it, is alive"
    return None


# a commit


def _wrong_commit(before: State, done: Transition) -> str | None:
    writer = done.writer
    assert writer is not None
    if not writer.is_current:
        return "one writer: a commit under an old epoch was taken"
    for old, new in zip(before.row.records.steps, done.after.row.records.steps, strict=True):
        is_kept = new.status in (S.SUCCEEDED, S.COMPENSATING, S.COMPENSATED)
        if old.status is S.SUCCEEDED and not is_kept and new.round == old.round:
            return f"success is final: a step that had succeeded is {new.status}, and nobody named it"
        if old.zombie and new.live is None and new.status is S.SUCCEEDED is not old.status:
            return "the result of an attempt that was given up was taken for a success"
    return None


# what is stored, and what is there


def _wrong_state(state: State) -> Iterator[str]:
    row = state.row
    run, steps = row.records
    if run.status is R.ROLLED_BACK and any(state.world):
        yield "nothing left behind: ROLLED_BACK, and something is there"
    if run.status is R.SUCCEEDED and not all(state.world):
        yield "SUCCEEDED, and something is not there"
    if not _FITS.get(run.status, _anything)(row):
        yield f"status and steps: {run.status}, and the steps are {', '.join(step.status for step in steps)}"
    if row.told != Told(run.status, tuple([step.status for step in steps])):
        yield "state and event together: the history tells another status"
    if run.status not in MOVING and _is_moving_something(state):
        yield f"the run rests ({run.status}) while an attempt is alive that was not given up"
    if any(wish not in row.wishes for wish in state.owed):
        yield "acknowledged is kept: a verb that is not carried out was struck off"


def _is_moving_something(state: State) -> bool:
    row = state.row
    return any(
        row.records.steps[each.step].live is not None and not row.records.steps[each.step].zombie
        for each in state.attempts
        if row.engines[each.step] == each.process and row.records.steps[each.step].token == each.token
    )


def _anything(row: Row) -> bool:
    return True


def _statuses(row: Row) -> list[StepStatus]:
    return [step.status for step in row.records.steps]


_FITS: dict[RunStatus, Callable[[Row], bool]] = {
    R.SUCCEEDED: lambda row: all(status in _SETTLED for status in _statuses(row)),
    R.FAILED: lambda row: any(status in (S.FAILED, S.COMPENSATION_FAILED) for status in _statuses(row)),
    R.CANCELLED: lambda row: not any(status in (S.PENDING, S.RUNNING, S.RETRYING) for status in _statuses(row)),
    R.ROLLED_BACK: lambda row: not any(step.effect or step.live is not None for step in row.records.steps),
    R.ROLLBACK_FAILED: lambda row: S.COMPENSATION_FAILED in _statuses(row),
    R.WAITING: lambda row: any(status in (S.WAITING, S.IN_DOUBT) for status in _statuses(row)),
}
