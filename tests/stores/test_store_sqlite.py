"""How the store uses SQLite: one writer, who is waited for; readers who wait for nobody; files that are what they should be."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, text

from provisioning_core.errors import ProvisioningError, StoreUnavailable
from provisioning_core.model import RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import EVERYTHING, GRAPH, a_run, created, moved, owned

IMPATIENT = 0.05

WRITER = """
import sys
from provisioning_core.errors import Conflict
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import *

url, me = sys.argv[1:]
store = SqlStore(url)
store.prepare()
engines_alive(store, me)
for number in range(30):
    run = owned(store, a_run(f"{me}-{number}", f"{me}-{number}"), me)
    store.commit([first := a_change(run, events=2, steps=(a_step(),))])
    store.commit([a_change(first.run, events=1, release=True)])
    store.create(NewRun(run=a_run(f"{me}-shared-{number}", f"shared-{number}"), graph=GRAPH))
store.close()
"""


@pytest.fixture
def impatient(sqlite_url: str) -> Iterator[SqlStore]:
    """A second store in the same file, that does not wait for the first."""
    with closing(SqlStore(sqlite_url, busy_timeout=IMPATIENT)) as store:
        yield store


@pytest.fixture
def raw(tmp_path: Path, sqlite_store: SqlStore) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the store's file."""
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)) as connection:
        yield connection


def _pragma(connection: Connection, name: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_what_is_committed_is_on_the_disk(sqlite_store: SqlStore) -> None:
    for use in (sqlite_store._database.write, sqlite_store._database.read):
        with use() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM provisioning_runs")  # with it a reader notices the file's mode
            found = {name: _pragma(connection, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")}
            assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_writer_holds_the_write_lock_from_its_first_moment(sqlite_store: SqlStore, raw: sqlite3.Connection) -> None:
    raw.execute("PRAGMA busy_timeout = 1")
    with sqlite_store.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        raw.execute("BEGIN IMMEDIATE")
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("ROLLBACK")


def test_all_writers_of_a_store_share_one_connection(sqlite_store: SqlStore) -> None:
    def driver() -> int:
        with sqlite_store._database.write() as connection:
            return id(connection.connection.dbapi_connection)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: driver(), range(40)))) == 1


def test_readers_do_not_wait_for_the_writer_and_see_what_was_committed(sqlite_store: SqlStore) -> None:
    with sqlite_store.begin() as connection:
        sqlite_store.create(NewRun(run=a_run(), graph=GRAPH), connection=connection)
        assert sqlite_store.latest("acme") is None
    assert sqlite_store.latest("acme") == a_run()


def test_a_reader_sees_one_moment(sqlite_store: SqlStore) -> None:
    with sqlite_store._database.read() as connection:
        count = text("SELECT count(*) FROM provisioning_runs")
        assert connection.execute(count).scalar() == 0
        created(sqlite_store, a_run())
        assert connection.execute(count).scalar() == 0


def test_threads_wait_in_line_and_not_for_ever(impatient: SqlStore, sqlite_store: SqlStore) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with impatient.begin():
            inside.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(30)
    try:
        with pytest.raises(StoreUnavailable, match="one writer was busy"):
            created(impatient, a_run())
    finally:
        leave.set()
        thread.join()
    created(impatient, a_run())


def test_another_process_is_waited_for_and_not_for_ever(impatient: SqlStore, raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked"):
        created(impatient, a_run())
    raw.execute("COMMIT")
    created(impatient, a_run())


def test_a_patient_writer_gets_its_turn(sqlite_store: SqlStore, raw: sqlite3.Connection) -> None:
    raw.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, raw.execute, ["COMMIT"])
    timer.start()
    created(sqlite_store, a_run())
    timer.join()


def test_a_thread_that_writes_inside_its_own_transaction_is_told_so_at_once(sqlite_store: SqlStore) -> None:
    with sqlite_store.begin(), pytest.raises(ProvisioningError) as caught:
        created(sqlite_store, a_run())
    assert caught.value.code == "nested_transaction"
    created(sqlite_store, a_run())


def test_a_hook_that_writes_by_another_connection_is_told_so(sqlite_store: SqlStore) -> None:
    run = owned(sqlite_store)
    with pytest.raises(ProvisioningError, match="one writer"):
        sqlite_store.commit([moved(run, RunStatus.SUCCEEDED)], hook=lambda *_: created(sqlite_store, a_run("other", "globex")))
    assert sqlite_store.load(run.id).run == run


def test_processes_write_the_same_new_file_at_the_same_time(sqlite_url: str) -> None:
    names = ["one", "two", "three"]
    command = [sys.executable, "-c", WRITER, sqlite_url]
    writers = [subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in names]
    ends = [(writer.communicate(timeout=60)[1], writer.returncode) for writer in writers]
    assert ends == [("", 0)] * 3
    with closing(SqlStore(sqlite_url)) as store:
        runs = store.runs(EVERYTHING, limit=1000).items
        assert len(runs) == 3 * 30 + 30
        assert {run.subject for run in runs if "shared" in run.id} == {f"shared-{number}" for number in range(30)}
        assert all([event.seq for event in store.events(f"{name}-29")] == [1, 2, 3] for name in names)


# the product's own connections to the same file


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}])
@pytest.mark.parametrize("leave", ["commit", "rollback"])
def test_a_products_own_connection_can_carry_the_new_run(
    sqlite_store: SqlStore, sqlite_url: str, leave: str, options: dict[str, str]
) -> None:
    product = create_engine(sqlite_url, **options)
    with product.connect() as connection:
        assert sqlite_store.create(NewRun(run=a_run(), graph=GRAPH), connection=connection)
        assert sqlite_store.latest("acme") is None
        getattr(connection, leave)()
    product.dispose()
    assert (sqlite_store.latest("acme") is None) == (leave == "rollback")


def test_a_connection_to_another_database_is_told_so(sqlite_store: SqlStore, tmp_path: Path) -> None:
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    with other.begin() as connection, pytest.raises(ProvisioningError, match="without the store's tables") as caught:
        sqlite_store.create(NewRun(run=a_run(), graph=GRAPH), connection=connection)
    other.dispose()
    assert caught.value.code == "bad_connection"


def test_a_connection_to_another_kind_of_database_is_told_so(sqlite_store: SqlStore, fresh_postgres_url: str) -> None:
    other = create_engine(fresh_postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with other.begin() as connection, pytest.raises(ProvisioningError, match="the store is in sqlite"):
        sqlite_store.create(NewRun(run=a_run(), graph=GRAPH), connection=connection)
    other.dispose()


def test_of_an_engine_for_a_file_the_url_is_taken(sqlite_url: str) -> None:
    product = create_engine(sqlite_url)
    with closing(SqlStore(product)) as store:
        store.prepare()
        created(store, a_run())
    with product.connect() as connection:
        assert connection.execute(text("SELECT subject FROM provisioning_runs")).scalar() == "acme"
    product.dispose()


def test_a_connection_that_is_closed_is_told_so(sqlite_store: SqlStore, sqlite_url: str) -> None:
    product = create_engine(sqlite_url)
    with product.connect() as connection:
        connection.close()
        with pytest.raises(ProvisioningError) as caught:
            sqlite_store.latest("acme", connection=connection)
    product.dispose()
    assert (caught.value.code, "closed" in caught.value.message) == ("bad_connection", True)


# in memory


def test_each_store_in_memory_is_its_own() -> None:
    with closing(SqlStore("sqlite://")) as one, closing(SqlStore("sqlite:///:memory:")) as two:
        for store in (one, two):
            store.prepare()
            created(store, a_run())
        assert (one.is_durable, two.is_durable) == (False, False)
        one.close()
        one.prepare()
        assert (one.latest("acme"), two.latest("acme")) == (None, a_run())


def test_a_hook_reads_what_was_written_in_memory() -> None:
    with closing(SqlStore("sqlite://")) as store:
        store.prepare()
        run, seen = owned(store), []
        store.commit([moved(run, RunStatus.SUCCEEDED)], hook=lambda *_: seen.append(store.load(run.id).run.status))
        assert seen == ["SUCCEEDED"]
