"""What tests of commits that are one statement begin with: changes of each kind, and who counts what is done."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from provisioning_core.model import RunRecord, RunStatus
from provisioning_core.ports import RunChange
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import a_change, a_step, moved


def look_for_webhooks(store: SqlStore) -> None:
    store.outbox._fresh_until = 0.0
    with store.begin() as connection:
        store.outbox.note(connection, [])


@contextmanager
def answers() -> Iterator[list[str]]:
    """What the driver waits for meanwhile: each is a message to the server and an answer."""
    seen: list[str] = []
    wait = psycopg.Connection.wait

    def watched(work: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        try:
            wanted = next(work)
            seen.append(work.__qualname__)
            while True:
                wanted = work.send((yield wanted))
        except StopIteration as end:
            return end.value

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(psycopg.Connection, "wait", lambda self, work, *given: wait(self, watched(work), *given))
        yield seen


@contextmanager
def careful(store: SqlStore) -> Iterator[list[int]]:
    """How many runs were looked at in each commit that was done with care."""
    looked: list[int] = []
    guard = store._writer.guard

    def noted(connection: Any, changes: Sequence[RunChange]) -> Any:
        looked.append(len(changes))
        return guard(connection, changes)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store._writer, "guard", noted)
        yield looked


def counted(run: RunRecord, **more: Any) -> RunChange:
    return replace(a_change(run, run_fields={"token": run.token + 1}, **more), only_counters=True)


def released(run: RunRecord) -> RunChange:
    change = moved(run, RunStatus.SUCCEEDED, events=1)
    return replace(change, run=replace(change.run, runnable_at=None), release=True)


KINDS: dict[str, Callable[[RunRecord], RunChange]] = {
    "counters": lambda run: counted(run, events=2, steps=(a_step(), a_step("bucket"))),
    "a whole row": lambda run: moved(run, RunStatus.WAITING, events=1, steps=(a_step(),)),
    "the last": released,
    "no steps": lambda run: counted(run),
}
