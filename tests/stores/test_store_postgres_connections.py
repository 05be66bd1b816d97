"""Connections to PostgreSQL: those of the caller, and those that break when a server goes away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from servers import PostgresServer, start_any
from sqlalchemy import Engine, create_engine, make_url, text

from provisioning_core.errors import ProvisioningError, StoreUnavailable
from provisioning_core.model import RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import GRAPH, a_change, a_run, a_step, at_once, created, moved, owned

# the caller's own engine and connections


def test_an_engine_that_was_handed_in_is_used_and_left_open(product: Engine, postgres_store: SqlStore) -> None:
    store = SqlStore(product)
    store.prepare()
    created(store, a_run())
    before = product.pool.checkedin()
    store.close()
    assert product.pool.checkedin() == before > 0
    assert postgres_store.latest("acme") == a_run()
    assert store.latest("acme") == a_run()


def test_an_engine_in_autocommit_is_used_with_transactions(product: Engine) -> None:
    store = SqlStore(product.execution_options(isolation_level="AUTOCOMMIT"))
    with store.begin() as connection:
        connection.execute(text("INSERT INTO provisioning_durations VALUES ('tenant', 'database', 1)"))
        connection.rollback()
    assert store.durations("tenant") == {}


def test_a_connection_to_another_database_is_told_so(postgres_store: SqlStore, fresh_postgres_url: str) -> None:
    other = create_engine(make_url(fresh_postgres_url).set(drivername="postgresql+psycopg"))
    with other.begin() as connection, pytest.raises(ProvisioningError, match="without the store's tables"):
        postgres_store.create(NewRun(run=a_run(), graph=GRAPH), connection=connection)
    other.dispose()


def test_a_store_that_was_never_prepared_says_what_to_do(fresh_postgres_url: str) -> None:
    with closing(SqlStore(fresh_postgres_url)) as store, pytest.raises(StoreUnavailable) as caught:
        store.latest("acme")
    assert "prepare()" in caught.value.hint


def test_a_connection_that_commits_by_itself_is_refused(postgres_store: SqlStore, product: Engine) -> None:
    by_itself = product.execution_options(isolation_level="AUTOCOMMIT")
    with by_itself.connect() as connection, pytest.raises(ProvisioningError) as caught:
        postgres_store.create(NewRun(run=a_run(), graph=GRAPH), connection=connection)
    assert caught.value.code == "bad_connection"
    assert postgres_store.latest("acme") is None


def test_what_no_database_takes_is_refused_and_stops_nobody_else(postgres_store: SqlStore) -> None:
    run = owned(postgres_store)
    postgres_store.commit([a_change(run, steps=(a_step(message="half a pair \ud83d and a NUL \x00"),))])
    assert postgres_store.load(run.id).steps["database"].message == "half a pair ? and a NUL \ufffd"


# servers that go away


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of this module's own, to be killed."""
    server = start_any()
    yield server
    server.discard()


def test_a_store_goes_on_when_its_server_is_back(mortal: PostgresServer) -> None:
    with closing(SqlStore(mortal.url)) as store:
        store.prepare()
        run = owned(store)
        mortal.kill()
        for call in (lambda: store.load(run.id), lambda: store.commit([a_change(run)]), lambda: created(store, a_run("b", "b"))):
            with pytest.raises(StoreUnavailable):
                call()
        mortal.start()
        assert store.load(run.id).run == run
        assert store.commit([a_change(run, events=1)]) == frozenset()


def test_connections_that_died_while_nobody_looked_are_not_noticed(mortal: PostgresServer) -> None:
    with closing(SqlStore(mortal.url)) as store:
        store.prepare()
        at_once(*[store.counts] * 8)
        mortal.kill()
        mortal.start()
        assert [store.counts() for _ in range(8)] == [store.counts()] * 8


def test_a_server_that_dies_in_the_middle_of_a_commit_leaves_nothing_of_it(mortal: PostgresServer) -> None:
    with closing(SqlStore(mortal.url)) as store:
        store.prepare()
        run = owned(store, a_run("mortal", "mortal"))
        with pytest.raises(StoreUnavailable):
            store.commit([moved(run, RunStatus.SUCCEEDED, events=1)], hook=lambda *_: mortal.kill())
        mortal.start()
        assert (store.load(run.id).run, store.events(run.id)) == (run, [])


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    store = SqlStore("postgresql://ana:hunter2@127.0.0.1:1/none?connect_timeout=2")
    with closing(store), pytest.raises(StoreUnavailable) as caught:
        store.prepare()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(store)
