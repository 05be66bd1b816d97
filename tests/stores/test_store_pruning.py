"""Runs that ended long ago can be deleted; what may still be needed stays."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from provisioning_core.errors import InvalidInput
from provisioning_core.model import RunStatus
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import (
    EVERYTHING,
    FULL_GRAPH,
    NOW,
    a_change,
    a_completion,
    a_full_run,
    a_resource,
    a_run,
    a_step,
    created,
    events_from,
    owned,
)

TABLES = ("runs", "graphs", "steps", "events", "resources", "requests", "completions")


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> SqlStore:
    return request.getfixturevalue(f"{request.param}_store")


def _ended(store: SqlStore, *names: str, status: RunStatus = RunStatus.SUCCEEDED, at: float = NOW) -> None:
    for name in names:
        steps = [a_step(effect=False)]
        created(store, a_run(name, status=status, finished_at=at, runnable_at=None), steps=steps, events=events_from(name, 1, 2))


def _left(store: SqlStore) -> str:
    return "".join(run.id for run in reversed(store.runs(EVERYTHING, limit=99).items))


def _rows(store: SqlStore) -> dict[str, int]:
    with store.begin() as connection:
        count = {name: connection.execute(text(f"SELECT count(*) FROM provisioning_{name}")).scalar() for name in TABLES}
    return {name: rows for name, rows in count.items() if rows}


def test_runs_that_ended_before_are_deleted_but_the_latest(store: SqlStore) -> None:
    _ended(store, "a", "b", "c")
    assert store.prune(before=NOW) == 0
    assert store.prune(before=NOW + 1) == 2
    assert _left(store) == "c"
    assert store.prune(before=NOW + 1) == 0


def test_only_those_that_ended_before_go(store: SqlStore) -> None:
    for number, name in enumerate("abcd"):
        _ended(store, name, at=NOW + number)
    assert store.prune(before=NOW + 2) == 2
    assert _left(store) == "cd"


def test_the_latest_go_too_when_that_is_asked_for(store: SqlStore) -> None:
    _ended(store, "a", "b")
    assert store.prune(before=NOW + 1, keep_latest=False) == 2
    assert (store.latest("acme"), _rows(store)) == (None, {})


def test_all_that_belongs_to_a_run_goes_with_it(store: SqlStore) -> None:
    run = owned(store, a_full_run(), steps=[a_step("database")], events=events_from("full", 1, 2))
    with store.transaction(run.id, run.epoch) as attempt:
        attempt.complete(a_completion())
    fields = {"status": RunStatus.SUCCEEDED, "finished_at": NOW, "runnable_at": None}
    store.commit([a_change(run, run_fields=fields, resources=(a_resource(),), release=True)])
    assert _rows(store) == {"runs": 1, "graphs": 1, "steps": 1, "events": 2, "resources": 1, "completions": 1}
    assert store.prune(before=NOW + 1, keep_latest=False) == 1
    assert _rows(store) == {}


def test_graphs_that_other_runs_go_by_stay(store: SqlStore) -> None:
    _ended(store, "a", "b")
    created(store, a_full_run())
    assert store.prune(before=NOW + 1, keep_latest=False) == 2
    assert store.load("full").graph == FULL_GRAPH
    assert _rows(store)["graphs"] == 1


def test_runs_that_move_or_rest_unfinished_stay(store: SqlStore) -> None:
    for number, status in enumerate(RunStatus):
        created(store, a_run(f"{number}", f"{number}", status=status, finished_at=NOW))
    deleted = store.prune(before=NOW + 1, keep_latest=False)
    assert deleted == 3
    assert {run.status for run in store.runs(EVERYTHING, limit=99).items} == set(RunStatus) - {
        "SUCCEEDED",
        "ROLLED_BACK",
        "CANCELLED",
    }


def test_a_run_that_an_engine_works_on_stays(store: SqlStore) -> None:
    owned(store, a_run("a", status=RunStatus.SUCCEEDED, finished_at=NOW))
    assert store.prune(before=NOW + 1, keep_latest=False) == 0


def test_the_status_can_be_chosen(store: SqlStore) -> None:
    _ended(store, "a", status=RunStatus.CANCELLED)
    _ended(store, "b", status=RunStatus.ROLLED_BACK)
    _ended(store, "c", status=RunStatus.SUCCEEDED)
    _ended(store, "d", status=RunStatus.FAILED)
    assert store.prune(before=NOW + 1, statuses=[RunStatus.ROLLED_BACK, "FAILED"]) == 1
    assert store.prune(before=NOW + 1, statuses=["FAILED"], keep_latest=False) == 1
    assert _left(store) == "ac"


@pytest.mark.parametrize("status", ["RUNNING", "WAITING", "ROLLBACK_FAILED", "nonsense"])
def test_what_may_go_on_can_not_be_chosen(store: SqlStore, status: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        store.prune(before=NOW, statuses=["SUCCEEDED", status])
    assert caught.value.code == "not_ended"
    assert caught.value.hint == "Runs can be deleted when they are CANCELLED, FAILED, ROLLED_BACK, SUCCEEDED."


def test_many_runs_are_deleted_in_small_transactions(store: SqlStore) -> None:
    names = [f"{number}" for number in range(450)]
    _ended(store, *names)
    assert store.prune(before=NOW + 1) == 449
    assert _left(store) == names[-1]


def test_runs_that_come_later_are_newer_than_all_that_are_left(store: SqlStore) -> None:
    _ended(store, "a", at=NOW + 9)
    _ended(store, "b")
    assert store.prune(before=NOW + 1, keep_latest=False) == 1
    _ended(store, "c")
    assert (_left(store), store.latest("acme").id) == ("ac", "c")


def test_graphs_are_left_for_the_next_time_while_runs_are_created(postgres_store: SqlStore) -> None:
    _ended(postgres_store, "a")
    with postgres_store.begin() as connection:
        connection.execute(text("LOCK TABLE provisioning_graphs IN ROW SHARE MODE"))
        assert postgres_store.prune(before=NOW + 1, keep_latest=False) == 1
    assert _rows(postgres_store) == {"graphs": 1}
    postgres_store.prune(before=NOW + 1)
    assert _rows(postgres_store) == {}
