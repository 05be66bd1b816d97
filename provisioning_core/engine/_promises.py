"""Those who wait until what they told is recorded: steps for a ledger entry or a checkpoint, callers for a verb."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any, TypeAlias

from provisioning_core.engine._attempts import Checkpointed, Recorded
from provisioning_core.engine._inbox import VerbPosted
from provisioning_core.errors import LeaseLost

Promise: TypeAlias = Recorded | Checkpointed | VerbPosted


class Promises:
    """Kept by the loop's thread alone."""

    def __init__(self) -> None:
        self._waiting: list[Promise] = []

    def add(self, message: Promise) -> None:
        """It was taken in; whoever told it waits for the commit."""
        self._waiting.append(message)

    def keep(self, written: Collection[str] | None = None) -> None:
        """These runs were committed (all, when none are named)."""
        for message in self._taken(lambda each: written is None or run_of(each) in written):
            future = _future_of(message)
            if not future.done():
                future.set_result(isinstance(message, VerbPosted))

    def break_one(self, message: Promise, error: Exception) -> None:
        """It could not be kept at once, and whoever waits for it keeps the loop from turning."""
        for each in self._taken(lambda other: other is message):
            _future_of(each).set_exception(error)

    def break_all_of(self, run_id: str, error: Exception) -> None:
        """Nothing more of this run will be committed here. Its verbs are left for the new owner, if it has one."""
        for message in self._taken(lambda each: run_of(each) == run_id):
            if isinstance(message, VerbPosted) and isinstance(error, LeaseLost):
                message.done.set_result(False)
            else:
                _future_of(message).set_exception(error)

    def fail_verbs_of(self, run_id: str, error: Exception) -> None:
        """A verb's caller must not wait for a store that is away; ledger entries do."""
        for message in self._taken(lambda each: isinstance(each, VerbPosted) and run_of(each) == run_id):
            _future_of(message).set_exception(error)

    def break_all(self, error: Exception) -> None:
        """The engine closes, and could not record it."""
        for message in self._taken(lambda _: True):
            _future_of(message).set_exception(error)

    def _taken(self, which: Callable[[Promise], bool]) -> list[Promise]:
        taken = [each for each in self._waiting if which(each)]
        if taken:
            self._waiting = [each for each in self._waiting if not which(each)]
        return taken


def run_of(message: Promise) -> str:
    """The run that a message is about."""
    return message.request.run_id if isinstance(message, VerbPosted) else message.key.run_id


def _future_of(message: Promise) -> Future[Any]:
    return message.done if isinstance(message, VerbPosted) else message.durable
