"""What the databases' own faults become: told as what they are, and tried again where that is right."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from databases import new_database
from fault_plans import until
from proxies import Proxy
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from provisioning_core import Conflict, Engine, Plan, RunStatus, StoreUnavailable, step
from provisioning_core.errors import LeaseLost
from provisioning_core.model import Completion, RunRecord, StatusChange
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql._errors import Translator
from provisioning_core.testing._store_cases.records import GRAPH, a_change, a_run, created, moved, owned, taken


def told(orig: Exception, *, commits: bool, is_cut: bool = False) -> tuple[bool, bool]:
    error = Translator().translated(OperationalError("statement", None, orig, connection_invalidated=is_cut), commits=commits)
    assert isinstance(error, StoreUnavailable)
    return error.is_unknown, error.is_transient


def postgres_said(state: str | None) -> Exception:
    error = psycopg.OperationalError("what it said")
    error.sqlstate = state
    return error


def sqlite_said(code: int) -> Exception:
    error = sqlite3.OperationalError("what it said")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("state", "is_cut", "in_statement", "in_commit"),
    [
        ("40001", False, (False, True), (False, True)),  # serialization failure
        ("40P01", False, (False, True), (False, True)),  # deadlock
        (None, True, (False, True), (True, False)),  # the connection was cut
        ("57P01", True, (False, True), (True, False)),  # the server ends
        ("08006", True, (False, True), (True, False)),
        (None, False, (False, False), (True, False)),  # no connection was made
        ("55P03", False, (False, False), (False, False)),  # waited for a lock long enough
        ("57014", False, (False, False), (False, False)),  # a statement took too long
        ("53100", False, (False, False), (False, False)),  # the disk is full
        ("53300", False, (False, False), (False, False)),  # too many connections
        ("25006", False, (False, False), (False, False)),  # read-only
    ],
)
def test_postgres(state: str | None, is_cut: bool, in_statement: tuple[bool, bool], in_commit: tuple[bool, bool]) -> None:
    assert told(postgres_said(state), commits=False, is_cut=is_cut) == in_statement
    assert told(postgres_said(state), commits=True, is_cut=is_cut) == in_commit


@pytest.mark.parametrize(
    ("code", "in_statement", "in_commit"),
    [
        (sqlite3.SQLITE_BUSY, (False, False), (False, False)),
        (sqlite3.SQLITE_BUSY_RECOVERY, (False, True), (False, True)),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, (False, True), (False, True)),
        (sqlite3.SQLITE_PROTOCOL, (False, True), (True, False)),
        (sqlite3.SQLITE_FULL, (False, False), (False, False)),
        (sqlite3.SQLITE_IOERR_FSYNC, (False, False), (True, False)),
        (sqlite3.SQLITE_READONLY, (False, False), (True, False)),
    ],
)
def test_sqlite(code: int, in_statement: tuple[bool, bool], in_commit: tuple[bool, bool]) -> None:
    assert told(sqlite_said(code), commits=False) == in_statement
    assert told(sqlite_said(code), commits=True) == in_commit


# tried again


class Flaky:
    """Raises this so many times, then does nothing."""

    def __init__(self, error: Exception, times: int) -> None:
        self._error, self._left, self.calls = error, times, 0

    def __call__(self, *_: Any) -> None:
        self.calls += 1
        if self.calls <= self._left:
            raise self._error


def deadlock() -> StoreUnavailable:
    return StoreUnavailable(is_transient=True)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqlStore]:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'store.db'}", busy_timeout=5)) as store:
        store.prepare()
        yield store


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.counts(),
        lambda store: store.load("run"),
        lambda store: store.heartbeat("engine", 1.0),
        lambda store: store.claim_run("engine", "run"),
    ],
)
@pytest.mark.parametrize(("times", "is_told"), [(2, False), (3, True)])
def test_what_passes_is_tried_again_twice(
    sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch, call: Callable[[SqlStore], Any], times: int, is_told: bool
) -> None:
    created(sqlite, a_run("run"))
    flaky = Flaky(deadlock(), times)
    for target, name in ((sqlite._reader, "counts"), (sqlite._reader, "snapshots"), (sqlite._leasing, "heartbeat")):
        monkeypatch.setattr(target, name, preceded(getattr(target, name), flaky))
    if is_told:
        with pytest.raises(StoreUnavailable):
            call(sqlite)
    else:
        call(sqlite)
    assert flaky.calls == 3


def preceded(method: Callable[..., Any], first: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        first()
        return method(*args, **kwargs)

    return call


def test_a_commit_and_a_new_run_are_written_once_though_they_are_tried_again(sqlite: SqlStore) -> None:
    first = Flaky(deadlock(), 1)
    assert sqlite.create(NewRun(run=a_run("run", "acme"), graph=GRAPH), hook=first)
    run = owned(sqlite, a_run("other", "umbrella"))
    again = Flaky(deadlock(), 2)
    sqlite.commit([moved(run, RunStatus.SUCCEEDED, events=1)], hook=again)
    assert (first.calls, again.calls, len(sqlite.events("other"))) == (2, 3, 1)


def test_nothing_is_tried_again_that_lasts_or_is_unknown(sqlite: SqlStore) -> None:
    run = owned(sqlite, a_run("run"))
    for error in (StoreUnavailable(), StoreUnavailable(is_unknown=True, is_transient=True)):
        once = Flaky(error, 1)
        with pytest.raises(StoreUnavailable):
            sqlite.commit([moved(run, RunStatus.SUCCEEDED, events=1)], hook=once)
        assert once.calls == 1


def test_a_callers_own_transaction_is_never_tried_again(sqlite: SqlStore) -> None:
    flaky = Flaky(deadlock(), 1)
    with pytest.raises(StoreUnavailable), sqlite.begin() as connection:
        sqlite.create(NewRun(run=a_run("run"), graph=GRAPH), hook=flaky, connection=connection)
    assert flaky.calls == 1


def test_a_disk_that_is_full_is_told_and_goes_on_when_there_is_room(sqlite: SqlStore) -> None:
    run = owned(sqlite, a_run("run"))
    with sqlite.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    huge = replace(a_change(run, events=1), run=replace(run, input="x" * 200_000, version=run.version + 1))
    with pytest.raises(StoreUnavailable, match="full") as caught:
        sqlite.commit([huge])
    assert not caught.value.is_unknown
    with sqlite.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    assert sqlite.commit([huge]) == frozenset()
    with sqlite.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


# real faults of a real server


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url) as url, closing(SqlStore(url)) as store:
        store.prepare()
        yield url


@pytest.fixture
def postgres(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(url)) as store:
        yield store


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with Proxy(make_url(url).port or 5432) as proxy:
        yield proxy


@pytest.fixture
def far(url: str, proxy: Proxy) -> Iterator[SqlStore]:
    """The same database, behind the proxy."""
    address = make_url(url).set(port=proxy.port, query={"sslmode": "disable"}).render_as_string(hide_password=False)
    with closing(SqlStore(address)) as store:
        yield store


def end_backend(connection: Connection) -> None:
    """As an operator would: the connection is gone at its next statement."""
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    with psycopg.connect(connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_connections_cut_while_nobody_looked_are_not_noticed_by_an_engine_without_pings(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), pool_pre_ping=False)
    store = SqlStore(engine)
    assert store.counts() == {}
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert store.counts() == {}
    engine.dispose()


def test_a_connection_cut_before_the_commit_is_unknown_and_told(postgres: SqlStore) -> None:
    run = owned(postgres, a_run("run"))
    with pytest.raises(StoreUnavailable) as caught:
        postgres.commit([moved(run, RunStatus.SUCCEEDED, events=1)], hook=lambda _, connection: end_backend(connection))
    assert caught.value.is_unknown
    assert (postgres.load("run").run, postgres.events("run")) == (run, [])


def test_a_commit_whose_answer_is_lost_is_unknown_and_repeated_without_effect(far: SqlStore, proxy: Proxy) -> None:
    run = owned(far, a_run("run"))
    change = moved(run, RunStatus.SUCCEEDED, events=1)
    told: list[StatusChange] = []
    proxy.lose_answers()
    with pytest.raises(StoreUnavailable) as caught:
        far.commit([change], hook=lambda change, _: told.append(change))
    assert caught.value.is_unknown
    assert until(lambda: far.load("run").run.status is RunStatus.SUCCEEDED)
    assert far.commit([change], hook=lambda change, _: told.append(change)) == frozenset()
    assert (len(told), len(far.events("run"))) == (1, 1)


def test_a_new_run_whose_answer_is_lost_is_found(far: SqlStore, proxy: Proxy) -> None:
    ran: list[int] = []

    @step
    def once() -> None:
        ran.append(1)

    with closing(Engine(store=far, plans=[Plan("p", steps=[once])], work=False)) as web:
        web.counts()
        for subject in ("first of its graph", "second"):
            lost = proxy.met
            proxy.lose_answers()
            run = web.start("p", subject=subject)
            assert proxy.met == lost + 1
            assert [each.id for each in web.runs(subject=subject).items] == [run.id]


def test_a_commit_in_one_statement_whose_answer_is_lost_is_unknown_and_repeated_without_effect(far: SqlStore, proxy: Proxy) -> None:
    run = owned(far, a_run("run"))
    change = replace(a_change(run, events=1), only_counters=True)
    proxy.lose_answers()
    with pytest.raises(StoreUnavailable) as caught:
        far.commit([change])
    assert caught.value.is_unknown
    assert until(lambda: far.load("run").run.version == change.run.version)
    assert far.commit([change]) == frozenset()
    assert far.events("run") == list(change.events)


def test_a_commit_in_one_statement_that_did_not_arrive_is_unknown_and_not_there(far: SqlStore, proxy: Proxy) -> None:
    run = owned(far, a_run("run"))
    change = replace(a_change(run, events=1), only_counters=True)
    proxy.lose_answers(are_sent=False)
    with pytest.raises(StoreUnavailable) as caught:
        far.commit([change])
    assert (caught.value.is_unknown, far.load("run").run, far.events("run")) == (True, run, [])
    assert far.commit([change]) == frozenset()
    assert far.events("run") == list(change.events)


def complete(store: SqlStore, run: RunRecord, then: Callable[[Any], Any]) -> None:
    """A transactional step that writes a row; ``then`` is called between its last statement and its commit."""
    with store.transaction(run.id, run.epoch) as transaction:
        transaction.session.execute(text("INSERT INTO product VALUES (1)"))
        transaction.complete(Completion(step="database", token=1, output="1"))
        transaction.finish()
        then(transaction)
        transaction.finish = lambda: None


def end_backend_of(attempt: Any) -> None:
    end_backend(attempt._connection)


@pytest.fixture
def run(far: SqlStore) -> RunRecord:
    with far.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE product (n int)")
    return owned(far, a_run("run"))


def rows(store: SqlStore) -> int:
    with store.begin() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM product").scalar() or 0)


def test_a_steps_commit_whose_answer_is_lost_is_found(far: SqlStore, proxy: Proxy, run: RunRecord) -> None:
    complete(far, run, lambda _: proxy.lose_answers())
    assert (rows(far), len(far.load("run").completions)) == (1, 1)


def test_a_steps_commit_that_did_not_happen_is_told_so(far: SqlStore, run: RunRecord) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        complete(far, run, end_backend_of)
    assert (caught.value.is_transient, rows(far), far.load("run").completions) == (True, 0, ())


def test_a_steps_commit_that_can_not_be_looked_for_stays_unknown(far: SqlStore, proxy: Proxy, run: RunRecord) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        complete(far, run, lambda _: proxy.lose_answers(10))
    assert caught.value.is_unknown


def test_a_steps_commit_that_is_looked_for_too_late_is_stale(far: SqlStore, postgres: SqlStore, run: RunRecord) -> None:
    def lose(attempt: Any) -> None:
        end_backend_of(attempt)
        taken(postgres, "run", "two", dead=["one"])

    with pytest.raises(LeaseLost):
        complete(far, run, lose)


def test_a_connection_cut_in_the_middle_of_a_step_is_no_failure_of_the_step(far: SqlStore, run: RunRecord) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        interrupted(far, run)
    assert (caught.value.is_transient, rows(far)) == (True, 0)


def interrupted(store: SqlStore, run: RunRecord) -> None:
    with store.transaction(run.id, run.epoch) as transaction:
        transaction.session.execute(text("INSERT INTO product VALUES (1)"))
        end_backend_of(transaction)
        transaction.session.execute(text("INSERT INTO product VALUES (2)"))


def test_a_deadlock_is_tried_again(postgres: SqlStore) -> None:
    """Each of two commits waits for a row that the other holds: the server ends one of them, which then goes through."""
    runs = [owned(postgres, a_run(name, name), f"engine-{name}") for name in ("a", "b")]
    holding = threading.Barrier(2)
    calls: list[str] = []

    def take_the_others(change: StatusChange, connection: Connection) -> None:
        calls.append(change.run_id)
        if calls.count(change.run_id) == 1:
            holding.wait(20)
        other = "b" if change.run_id == "a" else "a"
        with postgres._translated():
            connection.execute(text("SELECT 1 FROM provisioning_runs WHERE id = :id FOR UPDATE"), {"id": other})

    with ThreadPoolExecutor(2) as pool:
        commits = [pool.submit(postgres.commit, [moved(run, RunStatus.SUCCEEDED)], hook=take_the_others) for run in runs]
    assert [commit.result() for commit in commits] == [frozenset()] * 2
    assert (sorted(set(calls)), len(calls)) == (["a", "b"], 3)
    assert {postgres.load(name).run.status for name in ("a", "b")} == {RunStatus.SUCCEEDED}


def test_a_hook_that_hides_a_failed_statement_is_not_taken_for_a_commit(postgres: SqlStore) -> None:
    """The server answers such a commit with a silent rollback."""
    run = owned(postgres, a_run("run"))

    def hide(_: StatusChange, connection: Connection) -> None:
        try:
            connection.exec_driver_sql("SELECT 1 / 0")
        except Exception:
            return

    with pytest.raises(Conflict) as caught:
        postgres.commit([moved(run, RunStatus.SUCCEEDED, events=1)], hook=hide)
    assert caught.value.code == "transaction_broken"
    assert postgres.load("run").run == run


def test_nothing_is_waited_for_without_end(postgres: SqlStore) -> None:
    def limits(connection: Connection) -> list[Any]:
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        return [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]

    with postgres._database.write() as connection:
        assert limits(connection) == ["30s", "1min", "1min"]
    with postgres._database.read() as connection:
        assert limits(connection) == ["30s", "1min", "1min"]
    with postgres.begin() as connection:
        assert limits(connection) == ["30s", "0", "0"], "a user's transaction takes as long as it takes"
    run = owned(postgres, a_run("run"))
    with postgres.transaction("run", run.epoch) as attempt:
        assert limits(attempt.session.connection()) == ["30s", "0", "0"]
    with postgres._database.write() as connection:
        assert limits(connection) == ["30s", "1min", "1min"], "and it leaves nothing behind on its connection"


def test_a_network_that_falls_silent_is_given_up(url: str, proxy: Proxy) -> None:
    """The settings' work is the kernel's; here they are made short."""
    query = {"sslmode": "disable", "connect_timeout": "2"}
    address = make_url(url).set(port=proxy.port, query=query).render_as_string(hide_password=False)
    with closing(SqlStore(address)) as store:
        proxy.fall_silent()
        with pytest.raises(StoreUnavailable):
            store.counts()
        proxy.speak()
        assert store.counts() == {}


def test_a_client_that_falls_silent_in_a_transaction_loses_it(url: str) -> None:
    run_locks = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    with closing(SqlStore(url, busy_timeout=0.2)) as stopped, closing(SqlStore(url)) as other:
        run = owned(other, a_run("run"))
        gone = threading.Event()

        def fall_silent(*_: Any) -> None:
            assert until(lambda: other_says(run_locks) == 0), "the server ends the transaction by itself"
            gone.set()

        def other_says(question: str) -> int:
            with other._database.read() as connection:
                return int(connection.exec_driver_sql(question).scalar() or 0)

        with pytest.raises(StoreUnavailable):
            stopped.commit([moved(run, RunStatus.SUCCEEDED, events=1)], hook=fall_silent)
        assert gone.is_set()
        assert other.commit([moved(run, RunStatus.SUCCEEDED, events=1)]) == frozenset()
