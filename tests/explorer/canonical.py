"""Takes out of a state what differs without making a difference.

Dead processes are gone, and so are those that hold nothing and that nobody waits for: any may come again. The others are numbered
anew. Tokens count from the oldest that matters; or, while the protocol is not broken, for each step by their order alone: they are
compared with others of the same step only, and new ones are larger than all that an attempt ever began under.
"""

from __future__ import annotations

from typing import Any

from explorer.model import DEAD, Moved, Process, Records, State, Step

Numbers = dict[int | None, int | None]
"""From a process's number before to the one after."""


def canonical(state: State, *, by_order: bool = False) -> tuple[State, Numbers]:
    """The state that stands for all that behave like this one, and how its processes are numbered now.

    ``by_order``: of tokens only the order counts, step by step.
    """
    kept = [_without_what_is_over(each, state) for each in state.processes if _matters(each, state)]
    kept.sort(key=lambda each: (not each.is_current, each.records is None))
    numbers: Numbers = {each.id: number for number, each in enumerate(kept)}
    numbers[None], numbers[DEAD] = None, DEAD
    renaming = _Renaming(state, kept, numbers, by_order=by_order)
    return renaming.state(state, kept), numbers


def _matters(process: Process, state: State) -> bool:
    if process.records is not None or process.id == state.row.owner or process.id in state.row.engines:
        return True
    if any(attempt.process == process.id for attempt in state.attempts):
        return True
    return any(process.id in each.engines for each in state.processes)


def _without_what_is_over(process: Process, state: State) -> Process:
    """What need not be committed any more: all of an engine that lost the run, and requests that are struck off by now."""
    if process.records is not None and not process.is_current:
        return process._replace(moves=(), known=0, orders=(), done=())
    if process.done:
        return process._replace(done=tuple(wish for wish in process.done if wish in state.row.wishes or wish in state.owed))
    return process


class _Renaming:
    """New names for the processes and tokens of one state."""

    def __init__(self, state: State, kept: list[Process], numbers: Numbers, *, by_order: bool) -> None:
        self._numbers = numbers
        found = [_tokens(state, kept, i) for i in range(len(state.world))]
        self._by_order = by_order
        if by_order:
            self._base = state.row.records.run.token
            self._tokens = [_ranks(tokens | {state.newest[i]}) for i, tokens in enumerate(found)]
        else:
            self._base = _oldest(state, kept, found) - 1
            self._tokens = [
                {token: token - self._base for token in tokens} | {state.newest[i]: max(state.newest[i] - self._base, 0)}
                for i, tokens in enumerate(found)
            ]

    def state(self, state: State, kept: list[Process]) -> State:
        row, numbers = state.row, self._numbers
        row = row._replace(
            records=self._records(row.records, self._base),
            engines=tuple([numbers.get(engine, DEAD) for engine in row.engines]),
            owner=numbers.get(row.owner, DEAD),
            wishes=self._each(row.wishes),
        )
        attempts = [
            each._replace(process=numbers[each.process], token=self._tokens[each.step][each.token]) for each in state.attempts
        ]
        newest = tuple([tokens[token] for tokens, token in zip(self._tokens, state.newest, strict=True)])
        processes = tuple([self._process(each) for each in kept])
        return State(row, processes, tuple(sorted(attempts)), state.world, state.faults, newest, sorted_by_text(state.owed))

    def _process(self, process: Process) -> Process:
        number = self._numbers[process.id]
        assert number is not None
        if process.records is None:
            return Process(number)
        base = process.records.run.token if self._by_order and not process.is_current else self._base
        return Process(
            number,
            process.is_current,
            self._records(process.records, base),
            tuple([self._numbers.get(engine, DEAD) for engine in process.engines]),
            process.is_dirty,
            in_order(process.moves, process.known),
            process.known,
            self._each(process.orders),
            self._each(process.outbox),
            self._each(process.done),
        )

    def _records(self, records: Records, base: int) -> Records:
        steps = [self._step(i, step) if step.token else step for i, step in enumerate(records.steps)]
        return Records(records.run._replace(token=records.run.token - base), tuple(steps))

    def _step(self, i: int, step: Step) -> Step:
        token = 0 if step.live is None else self._tokens[i][step.token]
        return step if token == step.token else step._replace(token=token)

    def _each(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            return values
        new = tuple([each._replace(token=self._tokens[each.step][each.token]) if each.token else each for each in values])
        return sorted_by_text(new)


def _tokens(state: State, kept: list[Process], i: int) -> set[int]:
    """All tokens of a step that something depends on."""
    found = {each.token for each in state.attempts if each.step == i}
    if state.row.wishes:
        found.update(each.token for each in state.row.wishes if each.step == i)
    for records in [state.row.records, *(each.records for each in kept if each.records is not None)]:
        step = records.steps[i]
        if step.live is not None:
            found.add(step.token)
    for process in kept:
        if process.orders or process.outbox or process.done:
            found.update(each.token for each in (*process.orders, *process.outbox, *process.done) if each.step == i)
    found.discard(0)
    return found


def _ranks(tokens: set[int]) -> dict[int, int]:
    return {token: -1 - number for number, token in enumerate(sorted(tokens, reverse=True))}


def _oldest(state: State, kept: list[Process], found: list[set[int]]) -> int:
    runs = [state.row.records.run.token, *(each.records.run.token for each in kept if each.records is not None)]
    return min([*runs, *(token for tokens in found for token in tokens)])


def in_order(moves: tuple[Moved, ...], known: int) -> tuple[Moved, ...]:
    """Lines of different steps may stand in any order; but those that are written already (``known``) come first."""
    if len(moves) < 2:
        return moves
    return (*sorted(moves[:known], key=_by_step), *sorted(moves[known:], key=_by_step))


def _by_step(move: Moved) -> int:
    return -1 if move.step is None else move.step


def sorted_by_text(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """In one order, whatever they are."""
    return tuple(sorted(values, key=str)) if len(values) > 1 else values
