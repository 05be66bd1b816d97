"""What the store sends to its database: few statements, each by an index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from provisioning_core.errors import Conflict
from provisioning_core.model import RunFilter, RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql._driver import Prepared, PreparedAtOnce
from provisioning_core.stores.sql._query import Query
from provisioning_core.stores.sql._writing import Outdated
from provisioning_core.testing._store_cases.records import (
    GRAPH,
    NOW,
    a_change,
    a_graph,
    a_resource,
    a_run,
    a_step,
    an_event,
    created,
    moved,
    owned,
)

Sent = list[tuple[str, bool]]
"""Statements, each with whether it was sent for many rows at once."""


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> SqlStore:
    return request.getfixturevalue(f"{request.param}_store")


@contextmanager
def sent() -> Iterator[Sent]:
    seen: Sent = []

    def note(_connection: object, _cursor: object, statement: str, _parameters: object, _context: object, many: bool) -> None:
        seen.append((" ".join(statement.split()), many))

    def noted(run: Callable[..., object]) -> Callable[..., object]:
        def note_and_run(self: Prepared | PreparedAtOnce, driver: object, rows: object) -> object:
            seen.append((" ".join(self.text.split()), True))
            return run(self, driver, rows)

        return note_and_run

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patched:
            for kind in (Prepared, PreparedAtOnce):
                patched.setattr(kind, "run", noted(kind.run))
            patched.setattr(Query, "ask", asked(lambda statement, _: seen.append((" ".join(statement.split()), False))))
            yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def asked(note: Callable[[str, object], None]) -> Callable[..., object]:
    """A query's ``ask`` that notes the statement and its parameters before it asks."""
    ask = Query.ask

    def note_and_ask(self: Query, driver: object, given: Mapping[str, object]) -> object:
        note(self.text, self.parameters(given))
        return ask(self, driver, given)

    return note_and_ask


def test_a_commit_sends_one_statement_for_each_table(store: SqlStore) -> None:
    runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(10)]
    parts = {"events": 3, "steps": (a_step("database"), a_step("bucket")), "resources": (a_resource(1), a_resource(2))}
    changes = [moved(run, RunStatus.SUCCEEDED, **parts) for run in runs]
    with sent() as seen:
        store.commit(changes)
    assert [(" ".join(statement.split()[:3]), many) for statement, many in seen if not statement.startswith("BEGIN")] == [
        ("UPDATE provisioning_runs SET", True),
        ("INSERT INTO provisioning_steps", True),
        ("INSERT INTO provisioning_events", True),
        ("DELETE FROM provisioning_resources", True),
        ("INSERT INTO provisioning_resources", True),
        ("SELECT provisioning_requests.id, provisioning_requests.run_id,", False),
    ]


def test_a_commit_that_moves_only_steps_sends_three_statements(sqlite_store: SqlStore) -> None:
    store = sqlite_store
    runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(10)]
    changes = [a_change(run, events=2, steps=(a_step("database"),), only_counters=True) for run in runs]
    with sent() as seen:
        assert store.commit(changes) == frozenset()
    assert [" ".join(statement.split()[:3]) for statement, _ in seen if not statement.startswith("BEGIN")] == [
        "UPDATE provisioning_runs SET",
        "INSERT INTO provisioning_steps",
        "INSERT INTO provisioning_events",
    ]
    assert [store.load(run.id).run for run in runs] == [change.run for change in changes]


def test_a_statement_is_the_same_for_any_number_of_runs(store: SqlStore) -> None:
    runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(5)]
    texts = []
    for share in (runs[:1], runs[1:]):
        with sent() as seen:
            store.commit([moved(run, RunStatus.SUCCEEDED, events=1) for run in share])
            store.claim("one", plans=["tenant"], now=NOW, limit=3)
        texts.append([statement for statement, _ in seen])
    assert texts[0] == texts[1]


def test_a_look_that_finds_nothing_writes_nothing(store: SqlStore) -> None:
    with sent() as seen:
        assert store.claim("one", plans=["tenant"], now=NOW, limit=3) == []
    assert [statement for statement, _ in seen if not statement.startswith(("BEGIN", "SELECT"))] == []


def test_a_conflict_that_is_gone_at_the_second_look_names_nobody(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(2)]
    write, conflicts = store._writer.write, iter([Conflict("Somebody was quicker.", code="already_active")])

    def refuses_once(*arguments: object) -> None:
        write(*arguments)
        for conflict in conflicts:
            raise conflict

    def doubts(*_: object) -> None:
        raise Outdated

    monkeypatch.setattr(store._writer, "write_in_good_faith", doubts)
    monkeypatch.setattr(store._writer, "write_at_once", lambda *_: False)
    monkeypatch.setattr(store._writer, "write", refuses_once)
    changes = [moved(run, RunStatus.SUCCEEDED, events=1) for run in runs]
    with pytest.raises(Conflict) as caught:
        store.commit(changes)
    assert (caught.value.code, caught.value.run_id) == ("already_active", None)
    assert [store.load(run.id).run for run in runs] == runs
    assert store.commit(changes) == frozenset()


def test_graphs_are_read_once_and_not_all_are_kept(store: SqlStore) -> None:
    versions = [a_graph("database", version=f"{number}") for number in range(70)]
    for number, graph in enumerate(versions):
        run = a_run(f"run-{number}", f"subject-{number}", fingerprint=graph.fingerprint)
        store.create(NewRun(run=run, graph=graph))
    assert [store.load(f"run-{number}").graph for number in range(70)] == versions
    with sent() as seen:
        assert [store.load(f"run-{number}").graph for number in (69, 0)] == [versions[69], versions[0]]
    assert len([statement for statement, _ in seen if "FROM provisioning_graphs" in statement]) == 1


# how they are carried out

QUERIES = {
    "claim": lambda store: store.claim("one", plans=["tenant"], now=NOW - 1, limit=3),
    "claim_run": lambda store: store.claim_run("one", "run-7"),
    "load": lambda store: store.load("run-7"),
    "head": lambda store: store.head("run-7"),
    "heads": lambda store: store.heads(["run-7", "run-8"]),
    "latest": lambda store: store.latest("subject-7"),
    "by_idempotency_key": lambda store: store.by_idempotency_key("subject-7", "key-7"),
    "events": lambda store: store.events("run-7", after=1, limit=2),
    "requests": lambda store: store.requests("one"),
    "owned": lambda store: store.owned("one"),
    "retire": lambda store: store.retire("one"),
    "runs of a subject": lambda store: store.runs(RunFilter(subject="subject-7"), limit=3),
    "runs of a status": lambda store: store.runs(RunFilter(status=("WAITING",)), limit=3),
    "runs of a plan": lambda store: store.runs(RunFilter(plan="rare"), limit=3),
}
BIG = ("provisioning_runs", "provisioning_steps", "provisioning_events", "provisioning_requests")


@pytest.fixture
def filled(store: SqlStore) -> SqlStore:
    """Many runs, of which any one question concerns few."""
    for number in range(400):
        status = RunStatus.SUCCEEDED if number % 40 else RunStatus.WAITING
        plan = "rare" if number % 100 == 0 else "tenant"
        run = a_run(f"run-{number}", f"subject-{number}", idempotency_key=f"key-{number}", status=status, plan=plan, runnable_at=None)
        events = tuple(an_event(run.id, seq) for seq in (1, 2, 3))
        store.create(NewRun(run=run, graph=GRAPH, steps=(a_step("database"), a_step("bucket")), events=events))
    created(store, a_run("due", "due", runnable_at=NOW - 1))
    with store.begin() as connection:
        connection.execute(text("ANALYZE"))
    return store


def test_no_question_reads_a_whole_table(filled: SqlStore) -> None:
    plans = {name: _plans_of(filled, ask) for name, ask in QUERIES.items()}
    assert [name for name, found in plans.items() if not found] == []
    assert {name: plan for name, found in plans.items() for plan in found if _reads_all(plan)} == {}


def _plans_of(store: SqlStore, ask: object) -> list[str]:
    """How the database carries out each statement of this question."""
    found: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
            found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Query, "ask", asked(lambda statement, parameters: found.append((statement, parameters))))
            ask(store)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    is_sqlite = "sqlite" in repr(store)
    with store.begin() as connection:
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        how = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(how + statement, parameters))
            for statement, parameters in found
        ]


def _reads_all(plan: str) -> bool:
    """A whole table is read: on SQLite a SCAN without an index, on PostgreSQL a scan that it was asked to avoid."""
    scans = [line.strip() for line in plan.splitlines()]
    return any(f"SCAN {table}" == line or f"Seq Scan on {table} " in line for line in scans for table in BIG)
