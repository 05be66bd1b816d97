"""Every store keeps the contract of the outbox; and what only a store in a database promises of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import event

from provisioning_core.model import RunStatus
from provisioning_core.outbox import STALE_AFTER, DeliveryFilter
from provisioning_core.ports import NewRun
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.testing import OutboxContract
from provisioning_core.testing._store_cases.outbox_records import (
    a_delivery,
    a_telling_run,
    an_endpoint,
    claimed,
    settled,
    spans,
    told,
)
from provisioning_core.testing._store_cases.records import GRAPH, NOW, HookError, a_change, a_run, an_event


class TestInMemory(OutboxContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestOnASqliteFile(OutboxContract):
    @pytest.fixture
    def store(self, sqlite_store_in_ram: SqlStore) -> SqlStore:
        return sqlite_store_in_ram


class TestOnSqliteInMemory(OutboxContract):
    @pytest.fixture
    def store(self) -> Iterator[SqlStore]:
        with closing(SqlStore("sqlite://")) as store:
            store.prepare()
            yield store


class TestOnPostgres(OutboxContract):
    @pytest.fixture
    def store(self, postgres_store: SqlStore) -> SqlStore:
        postgres_store.outbox._fresh_until = 0.0  # its endpoints were deleted behind its back
        return postgres_store


@pytest.fixture(params=["sqlite_store_in_ram", "postgres_store"])
def store(request: pytest.FixtureRequest) -> SqlStore:
    found = request.getfixturevalue(request.param)
    found.outbox._fresh_until = 0.0
    return found


@pytest.fixture
def statements(store: SqlStore) -> Iterator[list[str]]:
    """What the store says of webhooks."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "provisioning_webhook" in statement:
            said.append(" ".join(statement.split()[:3]))

    with store.begin() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    yield said
    event.remove(engine, "before_cursor_execute", note)


def test_without_endpoints_a_commit_asks_for_them_once_in_a_while(store: SqlStore, statements: list[str]) -> None:
    run = a_telling_run(store, "run-1", "run.running")
    store.outbox._fresh_until = time.monotonic() + 3600.0
    statements.clear()
    for _ in range(50):
        run = told(store, run, "run.running", "run.succeeded")
    assert statements == []
    store.outbox._fresh_until = 0.0
    for _ in range(50):
        run = told(store, run, "run.running", "run.succeeded")
    assert 1 <= len(statements) <= 1 + 60 / STALE_AFTER


def test_one_statement_notes_all_queues_of_a_commit(store: SqlStore, statements: list[str]) -> None:
    for number in range(3):
        store.outbox.add(an_endpoint(f"end-{number}"))
    runs = [a_telling_run(store, f"run-{number}", "run.running") for number in range(4)]
    store.outbox._fresh_until = time.monotonic() + 3600.0
    statements.clear()
    store.commit([a_change(run, events=[an_event(run.id, run.seq + 1, type="run.succeeded")]) for run in runs])
    assert statements == ["INSERT INTO provisioning_webhook_queues"]


def test_an_endpoint_made_by_another_process_is_honoured_soon(store: SqlStore) -> None:
    with closing(SqlStore(store._database.url)) as other:
        run = a_telling_run(store, "run-1", "run.running")
        other.outbox.add(an_endpoint())
        store.outbox._fresh_until -= STALE_AFTER
        told(store, run, "run.succeeded")
        assert spans(claimed(other)) == [("end-1", "run-1", 1, 2)]


def test_a_commit_does_not_fail_over_an_endpoint_that_another_process_removed(store: SqlStore) -> None:
    store.outbox.add(an_endpoint())
    run = a_telling_run(store, "run-1", "run.running")
    with closing(SqlStore(store._database.url)) as other:
        other.outbox.remove("end-1")
        told(store, run, "run.succeeded")
        assert claimed(other) == []
        assert other.outbox.backlog() == {"end-1": 1}
        other.outbox.trim(before=0.0)
        assert other.outbox.backlog() == {}


def test_a_run_started_in_the_callers_transaction_is_noted_in_it(store: SqlStore) -> None:
    store.outbox.add(an_endpoint())
    new = NewRun(run=a_run(seq=1), graph=GRAPH, events=(an_event(type="run.created"),))

    def start_in_vain() -> None:
        with store.begin() as connection:
            store.create(new, connection=connection)
            raise HookError

    with pytest.raises(HookError):
        start_in_vain()
    assert store.outbox.backlog() == {}
    with store.begin() as connection:
        store.create(new, connection=connection)
    assert spans(claimed(store)) == [("end-1", "run-1", 0, 1)]


def test_what_a_callers_transaction_sees_of_endpoints_is_not_kept(store: SqlStore) -> None:
    with store.begin() as connection:
        store.create(NewRun(run=a_run("run-1", "first"), graph=GRAPH), connection=connection)
    assert store.outbox._fresh_until == 0.0


@pytest.mark.parametrize(("enabled", "pruned"), [(True, 0), (False, 1)])
def test_a_run_is_kept_until_all_of_it_is_told(store: SqlStore, enabled: bool, pruned: int) -> None:
    store.outbox.add(an_endpoint())
    run = a_telling_run(store, "run-1", "run.succeeded")
    done = a_change(run, run_fields={"status": RunStatus.SUCCEEDED, "finished_at": NOW, "runnable_at": None}, release=True)
    store.commit([done])
    store.outbox.change("end-1", {"enabled": enabled})
    assert store.prune(before=NOW + 1, keep_latest=False) == pruned
    for each in claimed(store):
        store.outbox.settle([settled(each, 1)])
    assert store.prune(before=NOW + 1, keep_latest=False) == 1 - pruned
    assert store.outbox.backlog() == {}


def test_the_log_outlives_the_run(store: SqlStore) -> None:
    store.outbox.record(a_delivery(run_id="gone"))
    assert [each.run_id for each in store.outbox.deliveries(DeliveryFilter(), limit=9).items] == ["gone"]
