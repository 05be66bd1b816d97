"""What others do to a run on PostgreSQL while a commit of it, in one statement, is under way."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from commits_at_once import KINDS, careful, counted, look_for_webhooks, released
from lock_waiters import wait_for_waiters
from sqlalchemy import Engine, text

from provisioning_core.model import RunStatus
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import (
    NOW,
    a_request,
    a_run,
    a_step,
    at_once,
    everything_of,
    moved,
    owned,
)


@pytest.fixture
def store(silent_store: SqlStore) -> SqlStore:
    return silent_store


# what others do meanwhile


def test_a_verb_that_is_recorded_meanwhile_is_not_slept_over(store: SqlStore, product: Engine) -> None:
    run = owned(store)
    later = replace(change := moved(run, RunStatus.WAITING), run=replace(change.run, runnable_at=NOW + 500))
    with product.begin() as other, ThreadPoolExecutor() as pool:
        store._writer.request(other, a_request(at=NOW + 7))
        committed = pool.submit(store.commit, [later])
        wait_for_waiters(product)
        other.commit()
        assert committed.result(30) == frozenset()
    assert store.load(run.id).run == replace(later.run, runnable_at=NOW + 7)


def test_a_verb_that_waits_already_is_not_slept_over(store: SqlStore) -> None:
    run = owned(store)
    store.request(a_request(at=NOW + 7))
    assert store.commit([released(run)]) == frozenset()
    assert store.load(run.id).run.runnable_at == NOW + 7


def test_counters_are_written_over_what_a_verb_did_meanwhile(store: SqlStore, product: Engine) -> None:
    run = owned(store, a_run(runnable_at=NOW + 90))
    change = counted(run, events=1, steps=(a_step(),))
    with product.begin() as other, ThreadPoolExecutor() as pool, careful(store) as looked:
        store._writer.request(other, a_request(at=NOW + 7))
        committed = pool.submit(store.commit, [change])
        wait_for_waiters(product)
        other.commit()
        assert committed.result(30) == frozenset()
    assert looked == []
    snapshot, events = everything_of(store, run.id)
    assert (snapshot.run, snapshot.steps) == (replace(change.run, runnable_at=NOW + 7), {"database": a_step()})
    assert events == list(change.events)


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_run_that_is_taken_over_meanwhile_is_not_written(store: SqlStore, product: Engine, is_alone: bool) -> None:
    mine, lost = owned(store), owned(store, a_run("run-2", "globex"))
    changes = [counted(run, events=1, steps=(a_step(),)) for run in ((lost,) if is_alone else (mine, lost))]
    with product.begin() as other, ThreadPoolExecutor() as pool:
        other.execute(text("UPDATE provisioning_runs SET epoch = epoch + 1, owner = 'two' WHERE id = 'run-2'"))
        committed = pool.submit(store.commit, changes)
        wait_for_waiters(product)
        other.commit()
        assert committed.result(30) == {"run-2"}
    assert store.load(mine.id).run == (mine if is_alone else changes[0].run)
    assert (store.load(lost.id).steps, store.events(lost.id)) == ({}, [])


@pytest.mark.parametrize("kind", ["counters", "a whole row"])
def test_of_two_commits_of_the_same_runs_at_once_one_is_done_with_care(
    store: SqlStore, product: Engine, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.INFO)
    runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(9)]
    changes = [KINDS[kind](run) for run in runs]
    with product.begin() as other, ThreadPoolExecutor() as pool, careful(store) as looked:
        other.execute(text("SELECT 1 FROM provisioning_runs WHERE id = 'run-4' FOR UPDATE"))
        commits = [pool.submit(store.commit, order) for order in (changes, changes[::-1])]
        wait_for_waiters(product, 2)
        other.commit()
        assert [commit.result(30) for commit in commits] == [frozenset(), frozenset()]
    assert looked == [9]
    assert [record.message for record in caplog.records] == [], "no deadlock that was tried again"
    assert [store.load(run.id).run for run in runs] == [change.run for change in changes]
    assert [store.events(run.id) for run in runs] == [list(change.events) for change in changes]


def test_commits_that_share_runs_do_not_wait_for_each_other_in_a_circle(store: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    runs = [owned(store, a_run(f"run-{number:02}", f"subject-{number}")) for number in range(20)]
    changes = [counted(run, steps=(a_step(), a_step("bucket"))) for run in runs]
    for _ in range(10):
        at_once(*(lambda order=order: store.commit(order) for order in (changes, changes[::-1], changes[10:] + changes[:10])))
        changes = [counted(change.run, steps=change.steps) for change in changes]
    assert [record.message for record in caplog.records] == []


def test_a_step_that_is_still_at_work_holds_nobody_up(store: SqlStore, emptied_postgres_url: str) -> None:
    run = owned(store)
    with closing(SqlStore(emptied_postgres_url, busy_timeout=0.1)) as impatient, store.transaction(run.id, run.epoch) as attempt:
        look_for_webhooks(impatient)
        attempt.session.execute(
            text("INSERT INTO provisioning_events VALUES (:run, 99, 1, 'its own', NULL, NULL, '{}')"), {"run": run.id}
        )
        for change in (counts := counted(run, events=1), moved(counts.run, RunStatus.WAITING)):
            assert impatient.commit([change]) == frozenset()
