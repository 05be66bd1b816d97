"""What a store promises that shares its database with the product: transactions in common, and rules that raw SQL can't break."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData, Table, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from provisioning_core.errors import NotFound, ProvisioningError
from provisioning_core.model import OCCUPYING, RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import (
    GRAPH,
    HookError,
    a_change,
    a_full_event,
    a_full_step,
    a_run,
    a_step,
    an_event,
    created,
    everything_of,
    moved,
    owned,
)


class Undo(Exception):
    """Ends a transaction by rolling it back."""


def undone() -> AbstractContextManager[Any, bool]:
    """Expects :class:`Undo`."""
    return pytest.raises(Undo)


class Notes:
    """A table of the product's own, beside the store's."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        with store.begin() as connection:
            connection.execute(text("CREATE TABLE notes (note TEXT PRIMARY KEY)"))

    def write(self, connection: Connection | Session, note: str) -> None:
        connection.execute(text("INSERT INTO notes VALUES (:note)"), {"note": note})

    def read(self) -> list[str]:
        with self._store.begin() as connection:
            return list(connection.execute(text("SELECT note FROM notes ORDER BY note")).scalars())


def new(run_id: str = "run-1", subject: str = "acme", **fields: Any) -> NewRun:
    run = a_run(run_id, subject, **fields)
    return NewRun(run=run, graph=GRAPH, steps=(a_step(),), events=(an_event(run_id),))


class CallersTransactionCases:
    """``create(connection=)`` and the reads that go with it."""

    def test_a_run_is_created_with_the_callers_commit(self, store: SqlStore, notes: Notes) -> None:
        with store.begin() as connection:
            notes.write(connection, "signed up")
            assert store.create(new(), connection=connection)
        assert store.load("run-1").steps == {"database": a_step()}
        assert store.events("run-1") == [an_event()]
        assert notes.read() == ["signed up"]

    def test_a_run_goes_with_the_callers_rollback(self, store: SqlStore, notes: Notes) -> None:
        with undone(), store.begin() as connection:
            notes.write(connection, "signed up")
            assert store.create(new(), connection=connection)
            raise Undo
        assert (store.latest("acme"), store.events("run-1"), notes.read()) == (None, [], [])

    def test_the_caller_sees_the_run_before_the_commit(self, store: SqlStore) -> None:
        with undone(), store.begin() as connection:
            store.create(new(idempotency_key="key"), connection=connection)
            run = a_run(idempotency_key="key")
            assert store.load("run-1", connection=connection).run == run
            assert store.latest("acme", connection=connection) == run
            assert store.by_idempotency_key("acme", "key", connection=connection) == run
            with pytest.raises(NotFound):
                store.load("unknown", connection=connection)
            raise Undo

    def test_a_refusal_leaves_the_callers_transaction_usable(self, store: SqlStore, notes: Notes) -> None:
        created(store, a_run("first"))
        with store.begin() as connection:
            notes.write(connection, "before")
            assert not store.create(new("second"), connection=connection)
            notes.write(connection, "after")
            assert store.create(new("third", "globex"), connection=connection)
        assert notes.read() == ["after", "before"]
        assert (store.latest("acme"), store.latest("globex")) == (a_run("first"), a_run("third", "globex"))
        assert store.events("second") == []

    def test_what_the_hook_raises_undoes_the_run_alone(self, store: SqlStore, notes: Notes) -> None:
        def hook(_: Any, connection: Connection) -> None:
            notes.write(connection, "hook")
            raise HookError

        with store.begin() as connection:
            notes.write(connection, "before")
            with pytest.raises(HookError):
                store.create(new(), hook=hook, connection=connection)
            notes.write(connection, "after")
        assert (notes.read(), store.latest("acme")) == (["after", "before"], None)

    def test_the_hook_works_in_the_callers_transaction(self, store: SqlStore, notes: Notes) -> None:
        with undone(), store.begin() as connection:
            assert store.create(new(), hook=lambda change, own: notes.write(own, change.new), connection=connection)
            assert connection.execute(text("SELECT note FROM notes")).scalar() == "RUNNING"
            raise Undo
        assert notes.read() == []

    def test_a_session_will_do_as_a_connection(self, store: SqlStore) -> None:
        with store.begin() as connection, Session(connection) as session:
            assert store.create(new(), connection=session)
            assert store.latest("acme", connection=session) == a_run()
        assert store.latest("acme") == a_run()

    def test_anything_else_is_refused(self, store: SqlStore) -> None:
        with pytest.raises(ProvisioningError) as caught:
            store.create(new(), connection="a string")
        assert caught.value.code == "bad_connection"


class HookConnectionCases:
    """What a hook does with its connection commits with the change, or not at all."""

    def test_what_the_hook_writes_commits_with_the_new_run(self, store: SqlStore, notes: Notes) -> None:
        assert store.create(new(), hook=lambda change, own: notes.write(own, change.new))
        assert notes.read() == ["RUNNING"]

    def test_what_the_hook_writes_commits_with_the_change(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        store.commit([moved(run, RunStatus.SUCCEEDED)], hook=lambda change, own: notes.write(own, f"{change.subject}: {change.new}"))
        assert notes.read() == ["acme: SUCCEEDED"]

    def test_the_hook_sees_what_the_change_wrote(self, store: SqlStore) -> None:
        run, seen = owned(store), []
        query = text("SELECT status FROM provisioning_runs WHERE id = :id")
        store.commit(
            [moved(run, RunStatus.SUCCEEDED)],
            hook=lambda change, own: seen.append(own.execute(query, {"id": change.run_id}).scalar()),
        )
        assert seen == ["SUCCEEDED"]

    def test_what_hooks_wrote_goes_when_one_of_them_raises(self, store: SqlStore, notes: Notes) -> None:
        def hook(change: Any, connection: Connection) -> None:
            notes.write(connection, change.subject)
            if change.subject == "globex":
                raise HookError

        runs = [owned(store, a_run(subject, subject)) for subject in ("acme", "globex")]
        with pytest.raises(HookError):
            store.commit([moved(run, RunStatus.SUCCEEDED) for run in runs], hook=hook)
        assert (notes.read(), [store.load(run.id).run for run in runs]) == ([], runs)

    def test_a_databases_error_in_a_hook_is_raised_as_it_is(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)

        def hook(_: Any, connection: Connection) -> None:
            notes.write(connection, "twice")
            notes.write(connection, "twice")

        with pytest.raises(IntegrityError):
            store.commit([moved(run, RunStatus.SUCCEEDED)], hook=hook)
        assert (notes.read(), store.load(run.id).run) == ([], run)
        assert store.commit([moved(run, RunStatus.SUCCEEDED)]) == frozenset()


class DatabaseRuleCases:
    """The rules of the data are the database's own: raw SQL can't break them either."""

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE provisioning_runs SET status = 'ROLLED_BACK' WHERE id = 'acting'",
            "UPDATE provisioning_steps SET effect = true WHERE run_id = 'undone' AND name = 'database'",
            "UPDATE provisioning_steps SET run_id = 'undone' WHERE run_id = 'acting' AND name = 'bucket'",
            "UPDATE provisioning_runs SET subject = 'acme' WHERE id = 'other'",
            "UPDATE provisioning_runs SET status = 'RUNNING' WHERE id = 'done'",
            "UPDATE provisioning_runs SET idempotency_key = 'key' WHERE id = 'done'",
            "UPDATE provisioning_events SET seq = 1 WHERE run_id = 'acting' AND seq = 2",
            "UPDATE provisioning_runs SET fingerprint = 'unknown' WHERE id = 'acting'",
            "DELETE FROM provisioning_graphs",
        ],
    )
    def test_raw_sql_can_not_break_a_rule(self, store: SqlStore, statement: str) -> None:
        created(store, a_run("undone", "acme", status=RunStatus.ROLLED_BACK), steps=[a_step("database", effect=False)])
        created(store, a_run("done", "acme", status=RunStatus.SUCCEEDED))
        steps = [a_step("database", effect=False), a_step("bucket")]
        created(
            store, a_run("acting", "acme", idempotency_key="key"), steps=steps, events=[an_event("acting", 1), an_event("acting", 2)]
        )
        created(store, a_run("other", "globex"))
        before = [everything_of(store, name) for name in ("undone", "done", "acting", "other")]
        with pytest.raises(IntegrityError), store.begin() as connection:
            connection.execute(text(statement))
        assert [everything_of(store, name) for name in ("undone", "done", "acting", "other")] == before

    def test_raw_sql_can_not_add_an_effect_to_what_is_rolled_back(self, store: SqlStore) -> None:
        created(store, a_run("undone", status=RunStatus.ROLLED_BACK))
        created(store, a_run("acting", "globex"), steps=[a_full_step()])
        with store.begin() as connection:
            table = Table("provisioning_steps", MetaData(), autoload_with=connection)
            row = dict(connection.execute(select(table)).mappings().one())
        with pytest.raises(IntegrityError), store.begin() as connection:
            connection.execute(insert(table).values(row | {"run_id": "undone"}))
        assert store.load("undone").steps == {}

    @pytest.mark.parametrize("status", sorted(OCCUPYING))
    def test_raw_sql_can_not_add_a_second_active_run(self, store: SqlStore, status: RunStatus) -> None:
        created(store, a_run("first"), a_run("second", status=RunStatus.SUCCEEDED))
        with pytest.raises(IntegrityError), store.begin() as connection:
            connection.execute(text("UPDATE provisioning_runs SET status = :status WHERE id = 'second'"), {"status": status.value})
        assert store.load("second").run.status is RunStatus.SUCCEEDED

    def test_all_that_belongs_to_a_run_goes_with_it(self, store: SqlStore) -> None:
        run = owned(store, steps=[a_step()], events=[an_event()])
        store.commit([a_change(run, run_fields={"seq": 2}, events=(a_full_event(run.id, 2),))])
        with store.begin() as connection:
            connection.execute(text("DELETE FROM provisioning_runs"))
        assert (store.events(run.id), store.latest("acme")) == ([], None)


def rows_of(store: SqlStore) -> str:
    """Everything in the store's tables, as one text."""
    found = MetaData()
    with store.begin() as connection:
        found.reflect(connection)
        return repr([connection.execute(select(table)).all() for table in found.tables.values()])
