"""How the store uses PostgreSQL: rows locked in one order, nobody waited for without end, connections that come back."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from lock_waiters import wait_for_waiters
from sqlalchemy import Engine, make_url, text

from provisioning_core.errors import LeaseLost, StoreUnavailable
from provisioning_core.model import RunRecord, RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import (
    GRAPH,
    NOW,
    a_change,
    a_completion,
    a_request,
    a_resource,
    a_run,
    a_step,
    at_once,
    created,
    engines_alive,
    moved,
    owned,
)

IMPATIENT = 0.1

CLAIMER = """
import sys
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import *

url, me = sys.argv[1:]
store = SqlStore(url)
engines_alive(store, me)
while found := store.claim(me, plans=["tenant"], now=NOW, limit=3):
    print(*(snapshot.run.id for snapshot in found))
    store.commit([a_change(snapshot.run, events=2, steps=(a_step(),)) for snapshot in found])
store.close()
"""


@pytest.fixture
def url(emptied_postgres_url: str) -> str:
    return emptied_postgres_url


@pytest.fixture
def impatient(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(url, busy_timeout=IMPATIENT)) as store:
        yield store


# several engines at once


def test_processes_that_claim_at_once_share_the_runs(postgres_store: SqlStore, url: str) -> None:
    created(postgres_store, *(a_run(f"run-{number}", f"subject-{number}") for number in range(60)))
    claimers = [subprocess.Popen([sys.executable, "-c", CLAIMER, url, name], stdout=subprocess.PIPE, text=True) for name in "abc"]
    shares = [claimer.communicate(timeout=60)[0].split() for claimer in claimers]
    assert [claimer.returncode for claimer in claimers] == [0, 0, 0]
    assert Counter(run_id for share in shares for run_id in share) == Counter(f"run-{number}" for number in range(60))
    assert all(postgres_store.load(f"run-{number}").run.epoch == 1 for number in range(60))


def test_an_engine_that_was_not_known_at_the_first_look_keeps_what_it_took(postgres_store: SqlStore, product: Engine) -> None:
    """The other one registers and takes the run after the claim has begun, and before the claim gets to its row."""
    created(postgres_store, a_run())
    with product.begin() as other, ThreadPoolExecutor() as pool:
        other.execute(text("UPDATE provisioning_runs SET owner = 'new', epoch = 1"))
        claim = pool.submit(postgres_store.claim_run, "one", "run-1")
        wait_for_waiters(product)
        engines_alive(postgres_store, "new")
        other.commit()
        assert claim.result(30) is None
    assert (postgres_store.load("run-1").run.owner, postgres_store.load("run-1").run.epoch) == ("new", 1)


def test_commits_that_share_runs_do_not_lock_each_other_out(postgres_store: SqlStore) -> None:
    runs = [owned(postgres_store, a_run(f"run-{number:02}", f"subject-{number}")) for number in range(20)]

    def commit(order: list[RunRecord]) -> None:
        for _ in range(10):
            assert postgres_store.commit([a_change(run, steps=(a_step(), a_step("bucket"))) for run in order]) == frozenset()

    at_once(lambda: commit(runs), lambda: commit(runs[::-1]), lambda: commit(runs[10:] + runs[:10]))


def test_commits_and_verbs_and_attempts_at_once_lose_nothing(postgres_store: SqlStore) -> None:
    runs = [owned(postgres_store, a_run(f"run-{number}", f"subject-{number}")) for number in range(5)]

    def commit() -> None:
        current = runs
        for _ in range(20):
            changes = [a_change(run, events=1) for run in current]
            assert postgres_store.commit(changes) == frozenset()
            current = [change.run for change in changes]

    def request() -> None:
        for number in range(40):
            postgres_store.request(a_request(f"request-{number}", f"run-{number % 5}"))

    def attempt() -> None:
        for number in range(20):
            with postgres_store.transaction(f"run-{number % 5}", 1) as one:
                one.record([a_resource(number)])
                one.complete(a_completion(token=number))

    at_once(commit, request, attempt)
    snapshots = [postgres_store.load(run.id) for run in runs]
    assert [(snapshot.run.seq, len(snapshot.requests), len(snapshot.resources)) for snapshot in snapshots] == [(20, 8, 4)] * 5


def test_a_completion_holds_off_who_takes_the_run_over(postgres_store: SqlStore, impatient: SqlStore) -> None:
    run = owned(postgres_store)
    with postgres_store.transaction(run.id, run.epoch) as attempt:
        attempt.complete(a_completion())
        assert impatient.claim("two", plans=["tenant"], now=NOW, limit=9, dead=["one"]) == []
        with pytest.raises(StoreUnavailable):
            impatient.claim_run("two", run.id, dead=["one"])
    snapshot = impatient.claim_run("two", run.id, dead=["one"])
    assert snapshot is not None
    assert snapshot.completions == (a_completion(),)
    with pytest.raises(LeaseLost), postgres_store.transaction(run.id, run.epoch):
        pass


def test_a_step_that_is_still_at_work_holds_nobody_up(postgres_store: SqlStore, impatient: SqlStore) -> None:
    run = owned(postgres_store)
    with postgres_store.transaction(run.id, run.epoch) as attempt:
        attempt.session.execute(text("SELECT 1"))
        attempt.record([a_resource(1)])
        assert impatient.commit([a_change(run, events=1)]) == frozenset()
    assert postgres_store.load(run.id).resources == (a_resource(1),)


def test_rolling_back_and_adding_an_effect_can_not_pass_each_other_by(postgres_store: SqlStore, product: Engine) -> None:
    created(postgres_store, a_run(status=RunStatus.ROLLING_BACK), steps=[a_step(effect=False)])
    with product.begin() as one, ThreadPoolExecutor() as pool:
        one.execute(text("UPDATE provisioning_steps SET effect = true"))
        rolled_back = pool.submit(_execute, product, "UPDATE provisioning_runs SET status = 'ROLLED_BACK'")
        wait_for_waiters(product)
        one.commit()
        assert "provisioning_has_effects" in rolled_back.result(30)


def _execute(engine: Engine, statement: str) -> str:
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except Exception as error:
        return str(error)
    return ""


# waiting, and not for ever


def test_a_lock_that_somebody_keeps_is_told(impatient: SqlStore, product: Engine) -> None:
    run = owned(impatient)
    with product.begin() as somebody:
        somebody.execute(text("SELECT 1 FROM provisioning_runs FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            impatient.commit([a_change(run)])
    assert impatient.commit([a_change(run)]) == frozenset()


def test_a_deadlock_is_told_as_a_store_that_is_away(postgres_store: SqlStore, product: Engine) -> None:
    """As it can happen between a hook and the product: the hook waits for a row of the product's, whose owner waits for the run."""
    run = owned(postgres_store)
    with product.begin() as connection:
        connection.execute(text("CREATE TABLE tenants (id int PRIMARY KEY)"))
        connection.execute(text("INSERT INTO tenants VALUES (1)"))
    lock_tenant = text("SELECT * FROM tenants FOR UPDATE")
    change = moved(run, RunStatus.SUCCEEDED)

    with ThreadPoolExecutor() as pool, product.begin() as connection:
        connection.execute(text("SET LOCAL deadlock_timeout = '20ms'"))  # so that it is this one who gives in
        connection.execute(lock_tenant)
        commit = pool.submit(postgres_store.commit, [change], hook=lambda _, own: own.execute(lock_tenant))
        wait_for_waiters(product)
        with pytest.raises(StoreUnavailable, match="deadlock detected"):
            postgres_store.create(NewRun(run=a_run("again", run.subject), graph=GRAPH), connection=connection)
        connection.rollback()
        assert commit.result(30) == frozenset()
    assert postgres_store.load(run.id).run == change.run


def test_a_setting_of_the_url_comes_before_ours(url: str) -> None:
    own = make_url(url).update_query_dict({"options": "-c lock_timeout=7s"})
    found = {}
    for name, where in (("ours", url), ("the URL's", own)):
        with closing(SqlStore(where, busy_timeout=3)) as store, store.begin() as connection:
            found[name] = connection.execute(text("SHOW lock_timeout")).scalar()
    assert found == {"ours": "3s", "the URL's": "7s"}


def test_more_threads_than_connections_wait_for_their_turn(postgres_store: SqlStore) -> None:
    created(postgres_store, a_run())
    with ThreadPoolExecutor(60) as pool:
        assert {head.version for head in pool.map(lambda _: postgres_store.head("run-1"), range(200))} == {0}


def test_transactions_are_of_the_kind_they_are_meant_to_be(postgres_store: SqlStore) -> None:
    found = []
    for use in (postgres_store._database.write, postgres_store._database.read, postgres_store._database.single):
        with use() as connection:
            found.append([connection.execute(text(f"SHOW transaction_{name}")).scalar() for name in ("isolation", "read_only")])
    assert found == [["read committed", "off"], ["repeatable read", "on"], ["read committed", "off"]]
