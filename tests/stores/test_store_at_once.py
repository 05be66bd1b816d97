"""Commits and new runs that are one statement on PostgreSQL: when, how many answers are waited for, and what others do meanwhile."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import product as product_of

import pytest
from commits_at_once import KINDS, answers, careful, counted, look_for_webhooks
from sqlalchemy import Engine, text

from provisioning_core.errors import Conflict
from provisioning_core.model import RunFilter, RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql import _ready
from provisioning_core.stores.sql._driver import driver_of
from provisioning_core.testing._store_cases.outbox_records import an_endpoint
from provisioning_core.testing._store_cases.records import (
    FULL_GRAPH,
    GRAPH,
    a_change,
    a_request,
    a_resource,
    a_run,
    a_step,
    an_event,
    created,
    everything_of,
    moved,
    owned,
)


@pytest.fixture
def store(silent_store: SqlStore) -> SqlStore:
    return silent_store


# how many answers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runs", [1, 7])
def test_a_commit_waits_for_one_answer(store: SqlStore, kind: str, runs: int) -> None:
    mine = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(runs)]
    assert store.commit([counted(run) for run in mine]) == frozenset()  # the statement is prepared, then as the other kind of it
    changes = [KINDS[kind](replace(run, version=run.version + 1, token=run.token + 1)) for run in mine]
    with answers() as seen:
        assert store.commit(changes) == frozenset()
    assert len([each for each in seen if "_execute" in each]) == len(seen) == 1
    for change in changes:
        snapshot, events = everything_of(store, change.run.id)
        assert snapshot.run == replace(change.run, owner=None if change.release else change.run.owner)
        assert (snapshot.steps, events) == ({step.name: step for step in change.steps}, list(change.events))


def test_runs_of_all_kinds_are_one_commit(store: SqlStore) -> None:
    changes = [KINDS[kind](owned(store, a_run(kind, kind))) for kind in KINDS]
    with careful(store) as looked, answers() as seen:
        assert store.commit(changes) == frozenset()
    assert (looked, len(seen)) == ([], 1)
    runs = [replace(change.run, owner=None if change.release else change.run.owner) for change in changes]
    assert [store.load(run.id).run for run in runs] == runs


def test_a_start_waits_for_two_answers(store: SqlStore) -> None:
    created(store, a_run("before", "before"))
    store.latest("before")
    new = NewRun(run=a_run(), graph=GRAPH, steps=(a_step(),), events=(an_event(),))
    with answers() as seen:
        assert store.latest("acme") is None
        assert store.create(new)
    assert len(seen) == 2
    snapshot, events = everything_of(store, "run-1")
    assert (snapshot.run, snapshot.steps, events) == (new.run, {"database": a_step()}, [an_event()])


def test_a_connection_that_was_cut_while_idle_is_not_used_for_a_commit(product: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ready, "IDLE", 0.0)
    named = product.url.update_query_dict({"application_name": "to be cut"})
    with closing(SqlStore(named)) as store:
        run = owned(store)
        look_for_webhooks(store)
        store.commit([change := counted(run, events=1)])
        with product.begin() as connection:
            ended = connection.execute(text(_END)).scalars().all()
        assert store.commit([counted(change.run, events=1)]) == frozenset()
    assert ended
    assert all(ended)


_END = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'to be cut'"


def test_an_engine_that_was_handed_in_is_asked_once_too_and_gets_its_connection_back(product: Engine) -> None:
    store = SqlStore(product)
    run = owned(store)
    look_for_webhooks(store)
    store.commit([change := counted(run, events=1)])
    with answers() as seen:
        assert store.commit([counted(change.run, events=1)]) == frozenset()
    assert [each for each in seen if "_execute" in each] == ["BaseCursor._execute_gen"]
    assert product.pool.checkedout() == 0
    with product.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"


def test_runs_are_looked_up_by_their_index_from_the_first_one_on(fresh_postgres_url: str) -> None:
    """A plan that was made while there were few is kept when there are many."""
    with closing(SqlStore(fresh_postgres_url)) as store:
        store.prepare()
        asked = store._writer._at_once
        for statement in (asked._count_one, asked._count_many, asked._commit_rows):
            with store._database.single() as connection, driver_of(connection) as driver:
                plan = "\n".join(line for (line,) in driver.execute(f"EXPLAIN {statement}", ("[]", "[]", "[]")))
            assert "Index Scan using provisioning_runs_id on provisioning_runs" in plan
            assert [table for table in ("runs", "requests") if f"Seq Scan on provisioning_{table}" in plan] == []


# when it is not one statement


def test_what_few_commits_have_is_written_in_parts(store: SqlStore) -> None:
    run = owned(store)
    change = counted(run, resources=(a_resource(),), events=1)
    with answers() as seen, careful(store) as looked:
        assert store.commit([change]) == frozenset()
    assert (len(seen) > 1, looked) == (True, [])
    assert store.load(run.id).resources == (a_resource(),)


def test_a_verb_that_was_carried_out_goes_with_its_commit(store: SqlStore) -> None:
    run = owned(store)
    store.request(a_request())
    with careful(store) as looked:
        assert store.commit([a_change(run, requests_done=("request-1",))]) == frozenset()
    assert (looked, store.load(run.id).requests) == ([], ())


def test_a_hook_has_its_transaction(store: SqlStore) -> None:
    run = owned(store)
    seen: list[bool] = []
    store.commit([moved(run, RunStatus.SUCCEEDED)], hook=lambda _, connection: seen.append(connection.in_transaction()))
    assert seen == [True]


def test_a_hook_that_is_told_nothing_costs_nothing(store: SqlStore) -> None:
    run = owned(store)
    with answers() as seen:
        store.commit([counted(run, events=1)], hook=lambda *_: pytest.fail("no status changed"))
    assert len(seen) == 1


def test_webhooks_are_noted_with_what_they_are_told_of(store: SqlStore) -> None:
    run = owned(store)
    store.outbox.add(an_endpoint(events=("step.failed",)))
    look_for_webhooks(store)
    quiet = counted(run, events=1)
    with answers() as seen:
        store.commit([quiet])
    assert (len(seen), store.outbox.backlog()) == (1, {})
    store.commit([replace(counted(quiet.run), events=(an_event(run.id, 2, type="step.failed"),))])
    assert store.outbox.backlog() == {"end-1": 1}


def test_webhooks_are_told_of_a_new_run(store: SqlStore) -> None:
    created(store, a_run("before", "before"))
    store.outbox.add(an_endpoint(events=("run.created",)))
    look_for_webhooks(store)
    store.create(NewRun(run=a_run(), graph=GRAPH, events=(an_event(type="run.created"),)))
    assert store.outbox.backlog() == {"end-1": 1}


def test_a_hook_is_told_of_a_new_run(store: SqlStore) -> None:
    created(store, a_run("before", "before"))
    seen: list[bool] = []
    new = NewRun(run=a_run(), graph=GRAPH)
    assert store.create(new, hook=lambda _, connection: seen.append(connection.in_transaction()))
    assert seen == [True]


def test_webhooks_are_looked_for_again(store: SqlStore) -> None:
    run = owned(store)
    store.outbox._fresh_until = 0.0
    with answers() as seen:
        store.commit([change := counted(run, events=1)])
    assert len(seen) > 1
    with answers() as seen:
        store.commit([counted(change.run, events=1)])
    assert len(seen) == 1


def test_a_graph_that_is_not_there_yet_is_kept_first(store: SqlStore) -> None:
    new = NewRun(run=a_run(fingerprint=FULL_GRAPH.fingerprint), graph=FULL_GRAPH, events=(an_event(),))
    with store._database.single() as connection:
        assert store._writer.create_at_once(connection, new) is None
    assert (store.latest("acme"), store.events("run-1")) == (None, [])
    assert store.create(new)
    assert store.load("run-1").graph == FULL_GRAPH


# what is refused


def test_a_run_that_is_anothers_keeps_all_from_being_written(store: SqlStore) -> None:
    mine, lost = owned(store), owned(store, a_run("run-2", "globex"))
    others = (replace(lost, epoch=lost.epoch - 1), replace(lost, owner="two"), replace(lost, owner=None), a_run("none", "none"))
    old = replace(lost, version=lost.version - 1)
    for kind, other, is_alone in product_of(("counters", "a whole row"), (*others, old), (True, False)):
        changes = [KINDS[kind](run) for run in ((other,) if is_alone else (mine, other))]
        with store._database.single() as connection:
            assert not store._writer.write_at_once(connection, changes)
        assert [everything_of(store, run.id)[0].run for run in (mine, lost)] == [mine, lost]
        assert [everything_of(store, run.id)[0].steps for run in (mine, lost)] == [{}, {}]
        assert [store.events(run.id) for run in (mine, lost)] == [[], []]


def test_a_run_that_comes_twice_keeps_all_from_being_written(store: SqlStore) -> None:
    run = owned(store)
    for changes in ([counted(run, events=1), counted(run)], [moved(run, RunStatus.WAITING), counted(run)]):
        with store._database.single() as connection:
            assert not store._writer.write_at_once(connection, changes)
        assert (store.load(run.id).run, store.events(run.id)) == (run, [])


def test_what_was_written_before_is_seen_to_be(store: SqlStore) -> None:
    run = owned(store)
    change = counted(run, events=2, steps=(a_step(),))
    with careful(store) as looked:
        assert [store.commit([change]), store.commit([change])] == [frozenset(), frozenset()]
    assert looked == [1]
    assert store.events(run.id) == list(change.events)


def test_a_subject_that_has_a_run_gets_no_second_one(store: SqlStore) -> None:
    created(store, a_run())
    second = NewRun(run=a_run("run-2"), graph=GRAPH, steps=(a_step(),), events=(an_event("run-2"),))
    assert not store.create(second)
    assert [found.id for found in store.runs(RunFilter(), limit=9).items] == ["run-1"]


def test_a_subject_that_another_run_occupies_is_told(store: SqlStore) -> None:
    first = owned(store, a_run("run-1"))
    store.commit([ended := moved(first, RunStatus.CANCELLED)])
    owned(store, a_run("run-2"))
    with pytest.raises(Conflict) as caught:
        store.commit([moved(ended.run, RunStatus.RUNNING)])
    assert (caught.value.code, caught.value.run_id) == ("already_active", "run-1")


def test_a_run_that_was_rolled_back_goes_on_before_its_steps_do(store: SqlStore) -> None:
    run = owned(store, a_run(status=RunStatus.ROLLED_BACK), steps=[a_step(effect=False), a_step("bucket", effect=False)])
    change = moved(run, RunStatus.RUNNING, steps=(a_step(), a_step("mail")))
    with store._database.single() as connection:
        assert store._writer.write_at_once(connection, [change])
    assert store.load(run.id).steps["database"] == a_step()


def test_a_run_is_rolled_back_behind_its_steps(store: SqlStore) -> None:
    run = owned(store, steps=[a_step()])
    with careful(store) as looked:
        assert store.commit([moved(run, RunStatus.ROLLED_BACK, steps=(a_step(effect=False),))]) == frozenset()
    assert looked == []
