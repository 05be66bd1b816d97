"""The store: what one commit makes of the run's row."""

from __future__ import annotations

from explorer.model import Moved, Process, Records, Row, Told, Wish
from explorer.protocol import Protocol


def written(row: Row, process: Process, protocol: Protocol, *, release: bool) -> tuple[Row, str | None]:
    """The row after a commit; and what is wrong with the history then, if anything is."""
    assert process.records is not None
    rules = protocol.rules
    records = process.records if rules.intent_is_recorded else _without_intents(row.records, process)
    steps = tuple(step._replace(doubted=False) if step.doubted else step for step in records.steps)
    row = row._replace(
        records=Records(records.run, steps),
        engines=tuple(None if step.live is None else engine for step, engine in zip(steps, process.engines, strict=True)),
        owner=None if release else row.owner,
    )
    row = without_wishes(row, process.done)
    if not rules.one_transaction:
        return row, None
    told, broken = _told(row.told, _new_moves(process, protocol))
    return row._replace(told=told), broken


def without_wishes(row: Row, done: tuple[Wish, ...]) -> Row:
    """The row, with these requests struck off."""
    return row._replace(wishes=tuple(wish for wish in row.wishes if wish not in done)) if done else row


def after_commit(process: Process, protocol: Protocol) -> Process:
    """The engine, when it has learnt that its commit went through."""
    moves = () if protocol.rules.intent_is_recorded else _kept_moves(process)
    return process._replace(is_dirty=False, moves=moves, known=0, orders=(), done=())


def _new_moves(process: Process, protocol: Protocol) -> tuple[Moved, ...]:
    """Lines of the history that the store does not have."""
    moves = process.moves[process.known :] if protocol.rules.compares_versions else process.moves
    kept = () if protocol.rules.intent_is_recorded else _kept_moves(process)
    return tuple(move for move in moves if move not in kept)


def _told(told: Told, moves: tuple[Moved, ...]) -> tuple[Told, str | None]:
    run, steps = told.run, list(told.steps)
    for move in moves:
        before = run if move.step is None else steps[move.step]
        if before != move.old:
            return told, f"state and event together: the history has it {before}, and then from {move.old} to {move.new}"
        if move.step is None:
            run = type(run)(move.new)
        else:
            steps[move.step] = type(steps[move.step])(move.new)
    return Told(run, tuple(steps)), None


# an engine that does not record its intents


def _without_intents(stored: Records, process: Process) -> Records:
    assert process.records is not None
    begun = {order.step for order in process.orders}
    steps = tuple(stored.steps[i] if i in begun else step for i, step in enumerate(process.records.steps))
    return Records(process.records.run, steps)


def _kept_moves(process: Process) -> tuple[Moved, ...]:
    """The last move of each step that begins."""
    begun = {order.step for order in process.orders}
    return tuple(move for move in process.moves if move.step in begun and move.new in ("RUNNING", "COMPENSATING"))
