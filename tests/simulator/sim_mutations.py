"""Rules of the protocol, switched off one by one. Each must be missed: some seed sees what it was for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from sim_weather import CALM, Weather

from provisioning_core.engine import _quarantine
from provisioning_core.engine._attempts import Attempt
from provisioning_core.engine._committer import Committer
from provisioning_core.engine._custody import Custody
from provisioning_core.engine._identity import is_same_host
from provisioning_core.engine._loop import Loop
from provisioning_core.engine._neighbours import Neighbours
from provisioning_core.engine._promises import Promises
from provisioning_core.errors import StoreUnavailable
from provisioning_core.machine import Launch
from provisioning_core.machine._again import Again
from provisioning_core.machine._back import Back
from provisioning_core.machine._board import Board
from provisioning_core.machine._commands import Note
from provisioning_core.machine._forward import Forward
from provisioning_core.model import EngineRecord, StepStatus
from provisioning_core.stores.memory import MemoryStore


@dataclass(frozen=True, slots=True)
class Mutation:
    """``instead`` stands for ``owner.name``; it gets the original first."""

    what: str
    owner: Any
    name: str
    instead: Callable[..., Any]
    seen_as: tuple[str, ...]
    """What the promises that it breaks begin with."""
    weather: Weather | None = None
    """In which it shows soon."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        original = getattr(self.owner, self.name)
        instead = self.instead
        with patch.object(self.owner, self.name, lambda *args, **kwargs: instead(original, *args, **kwargs)):
            yield


def _launch_first(commit: Any, loop: Loop) -> None:
    for live in loop._roster.take_dirty():
        commands = live._open().commands
        launches = [command for command in commands if isinstance(command, Launch)]
        commands[:] = [command for command in commands if not isinstance(command, Launch)]
        for command in launches:
            loop._launch(live, command)
    commit(loop)


def _take_silence_for_yes(write: Any, committer: Committer, pairs: Any, result: Any) -> None:
    try:
        write(committer, pairs, result)
    except StoreUnavailable:
        result.written.extend(pairs)


def _answer_first(add: Any, promises: Promises, message: Any) -> None:
    (message.done if hasattr(message, "done") else message.durable).set_result(True)


def _blame_the_step(doubt: Any, forward: Forward, i: int, at: float, note: Note, chance: float) -> None:
    cell = forward._board.cells[i]
    cell.failures += note is Note.ENGINE_LOST
    if note is Note.ENGINE_LOST and cell.failures >= forward._board.nodes[i].retry.attempts:
        forward.exhaust(i, at, note)
    else:
        doubt(forward, i, at, note, chance)


def _reopen_success(is_open: Any, again: Again, i: int, **options: Any) -> bool:
    return again._board.cells[i].status is StepStatus.SUCCEEDED or is_open(again, i, **options)


def _undo_success_only(undo: Any, back: Back, i: int, at: float) -> bool:
    cell = back._board.cells[i]
    cell.effect = cell.effect and (cell.has_output or cell.live is not None or cell.status is StepStatus.COMPENSATING)
    return undo(back, i, at)


def _undo_the_living(undo: Any, back: Back, i: int, at: float) -> bool:
    if back._board.cells[i].live is not None and back._board.cells[i].status is StepStatus.RUNNING:
        back._board.end(i)
        back._board.move_step(i, StepStatus.FAILED, at)
    return undo(back, i, at)


def _forget_the_given_up(give_up_on: Any, board: Board, i: int) -> None:
    give_up_on(board, i)
    board.end(i)


def _ignore_needs(rebuild: Any, forward: Forward, at: float) -> None:
    rebuild(forward, at)
    for i, cell in enumerate(forward._board.cells):
        if cell.status is StepStatus.PENDING:
            forward._unmet[i] = 0
            forward._become_ready(i, at)


def _go_by_the_store(is_gone: Any, neighbours: Neighbours, other: EngineRecord) -> bool:
    if is_same_host(other, neighbours._me):
        return is_gone(neighbours, other)
    return other.overdue > neighbours._quarantine


def _lose_the_verb(carry_out: Any, custody: Custody, live: Any, request: Any) -> None:
    live.request_done(request.id)
    custody._roster.touch(live)


HASTY = replace(CALM, verb_every=2.0, commit_before=0.1, crash_in_store=0.02)
"""Many verbs, and many that can't be recorded."""

MUTATIONS = (
    Mutation(
        "the quarantine is dropped: what another engine began counts as ended",
        _quarantine.Quarantine,
        "zombies",
        lambda _original, *_: {},
        ("7 ",),
    ),
    Mutation(
        "silence counts as death while the store is away or its clock is set", Neighbours, "_is_gone", _go_by_the_store, ("7 ",)
    ),
    Mutation("the epoch is not checked", MemoryStore, "_is_fresh", lambda _original, store, run: run.id in store._kept, ("6 ",)),
    Mutation("attempts are launched before their intent is recorded", Loop, "_commit", _launch_first, ("7 ",)),
    Mutation("an answer that was lost is taken for a yes", Committer, "_write", _take_silence_for_yes, ("7 ", "9 ", "1 ", "verify")),
    Mutation("verbs are acknowledged before they are recorded", Promises, "add", _answer_first, ("1 ",), HASTY),
    Mutation("a recorded verb is forgotten", Custody, "_carry_out_recorded", _lose_the_verb, ("1 ",)),
    Mutation("a dead engine counts as a failure of the step", Forward, "doubt", _blame_the_step, ("8 ",)),
    Mutation("what succeeded runs again", Again, "_is_open", _reopen_success, ("verify: success_final", "2 ")),
    Mutation("only what succeeded is undone", Back, "_undo", _undo_success_only, ("5 ", "4 ")),
    Mutation("a rollback does not wait for what runs", Back, "_undo", _undo_the_living, ("7 ", "4 ", "5 ")),
    Mutation("an attempt that was given up counts as ended", Board, "give_up_on", _forget_the_given_up, ("7 ",)),
    Mutation("needs are ignored", Forward, "rebuild", _ignore_needs, ("4 ",)),
    Mutation(
        "every attempt has a key of its own",
        Attempt,
        "context_values",
        lambda original, attempt: original(attempt) | {"idempotency_key": f"{attempt.idempotency_key}/{attempt.key.token}"},
        ("3 ",),
    ),
    Mutation("the end of another's attempt is not told", Custody, "_say_farewells", lambda _original, _: None, ("8 ",)),
)
