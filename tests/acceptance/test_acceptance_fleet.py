"""Engines that stop and wake up, that end themselves, that die with their children; and the database that goes away under them."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import chaos_checks
import pytest
from chaos_app import PLANS, TABLE, Order
from chaos_client import Acknowledged, Client
from chaos_fleet import Fleet, Worker, until
from servers import PostgresServer, start_any

from provisioning_core import Engine, RunStatus, StepStatus
from provisioning_core.stores import SqlStore

EXIT_LEASE_LOST = 70
MANY = 3000 if os.environ.get("PROVISIONING_THOROUGH") else 300


@pytest.fixture
def front(store: SqlStore) -> Iterator[Engine]:
    """What the product has: it asks and is told, and does not work."""
    with Engine(store=store, plans=PLANS, work=False, poll=0.02) as engine:
        yield engine


def start_blocking(front: Engine, folder: Path, first: Worker) -> str:
    """A run whose first step is under way in this worker and waits."""
    run = front.start("stuck", subject="acme", input=Order(blocks=True), actor="start")
    assert until(lambda: [each.pid for each in chaos_checks.processes(folder) if each.step == "stuck"] == [first.pid])
    return run.id


def let_go(folder: Path) -> None:
    (folder / "go-acme").touch()


def is_taken_over(front: Engine) -> bool:
    """Whether another engine has the run, and leaves the step alone."""
    error = front.status("acme").steps["stuck"].error
    return error is not None and error.code == "engine_silent"


def no_problems(store: SqlStore, folder: Path, run_id: str, fleet: Fleet) -> bool:
    return chaos_checks.problems(store, folder, [Acknowledged(run_id, "start", "start")], fleet.deaths()) == []


def attempts_of(folder: Path, step: str) -> list[int]:
    """The processes that had the step in hand."""
    return [each.pid for each in chaos_checks.processes(folder) if each.step == step]


def test_an_engine_that_is_stopped_and_wakes_up_ends_its_attempt_before_the_step_runs_again(
    front: Engine, fleet: Fleet, store: SqlStore, folder: Path
) -> None:
    first = fleet.engine(lease=1.0)
    run_id = start_blocking(front, folder, first)
    first.stop()
    second = fleet.engine(lease=1.0)
    assert until(lambda: is_taken_over(front))
    let_go(folder)
    assert attempts_of(folder, "stuck") == [first.pid]
    first.wake()
    assert front.wait("acme", timeout=30).status is RunStatus.SUCCEEDED
    assert attempts_of(folder, "stuck") == [first.pid, second.pid]
    assert no_problems(store, folder, run_id, fleet)


def test_nothing_is_undone_while_the_stopped_engine_s_attempt_may_go_on(
    front: Engine, fleet: Fleet, store: SqlStore, folder: Path
) -> None:
    first = fleet.engine(lease=1.0)
    run_id = start_blocking(front, folder, first)
    first.stop()
    fleet.engine(lease=1.0)
    assert until(lambda: is_taken_over(front))
    front.rollback("acme")
    assert until(lambda: front.status("acme").status is RunStatus.ROLLING_BACK)
    let_go(folder)
    assert front.status("acme").steps["stuck"].status is not StepStatus.COMPENSATING
    first.wake()
    assert front.wait("acme", timeout=30).status is RunStatus.ROLLED_BACK
    assert no_problems(store, folder, run_id, fleet)


def test_a_stopped_engine_that_is_killed_frees_its_step_at_once(front: Engine, fleet: Fleet, store: SqlStore, folder: Path) -> None:
    first = fleet.engine(lease=1.0)
    run_id = start_blocking(front, folder, first)
    first.stop()
    second = fleet.engine(lease=1.0)
    assert until(lambda: is_taken_over(front))
    let_go(folder)
    first.kill()
    assert front.wait("acme", timeout=30).status is RunStatus.SUCCEEDED
    assert attempts_of(folder, "stuck") == [first.pid, second.pid]
    assert no_problems(store, folder, run_id, fleet)


def test_an_engine_that_may_have_lost_its_lease_ends_its_process_if_told_to(front: Engine, fleet: Fleet, folder: Path) -> None:
    first = fleet.engine(lease=1.0, on_lease_lost="exit")
    start_blocking(front, folder, first)
    first.stop()
    fleet.engine(lease=1.0)
    assert until(lambda: is_taken_over(front))
    let_go(folder)
    first.wake()
    assert first.dead.wait(30)
    assert first.code == EXIT_LEASE_LOST
    assert front.wait("acme", timeout=30).status is RunStatus.SUCCEEDED


def test_the_runs_of_a_killed_engine_go_on_at_those_that_live(
    front: Engine, fleet: Fleet, store: SqlStore, folder: Path, tell: Callable[[str], None]
) -> None:
    first, *others = [fleet.engine(lease=30.0, max_workers=1 if number == 0 else 4) for number in range(4)]
    assert all(engine.ready.wait(30) for engine in (first, *others))
    for other in others:
        other.stop()  # so that all three begin at the same moment
    log = []
    for number in range(MANY):
        run = front.start("stuck", subject=f"tenant-{number}", input=Order(), actor=f"start-{number}")
        log.append(Acknowledged(run.id, "start", f"start-{number}"))
    first.kill()
    for other in others:
        other.wake()
    assert until(lambda: front.counts() == {"SUCCEEDED": MANY}, seconds=120)
    shares = [sum(each.pid == other.pid for each in chaos_checks.processes(folder)) for other in others]
    tell(f"{MANY} runs of a killed engine: shares of the attempts {shares}")
    assert sum(shares) >= 1.5 * MANY, "most of the work was theirs"
    assert chaos_checks.problems(store, folder, log, fleet.deaths()) == []


def test_a_run_that_ends_its_engines_is_set_aside_and_the_others_go_on(front: Engine, fleet: Fleet, folder: Path) -> None:
    front.start("stuck", subject="deadly", input=Order(kills=True))
    lives = 0
    while not front.store.head(front.status("deadly").id).is_set_aside:
        engine = fleet.engine()
        lives += 1
        assert until(lambda engine=engine: engine.dead.is_set() or front.status("deadly").is_resting)
        assert lives < 20
    assert front.status("deadly").errors[0].code == "kills_its_engine"
    assert lives == 6, "five engines died of it, and the sixth left it alone"
    front.start("stuck", subject="harmless", input=Order())
    assert front.wait("harmless", timeout=30).status is RunStatus.SUCCEEDED
    front.continue_("deadly", actor="ana")
    assert engine.dead.wait(30), "a person let it go on, and it has not changed"


def test_child_processes_do_not_outlive_a_killed_engine(front: Engine, fleet: Fleet, store: SqlStore, folder: Path) -> None:
    first = fleet.engine(processes=2)
    run = front.start("stuck", subject="acme", input=Order(blocks=True), actor="start")
    assert until(lambda: len(attempts_of(folder, "stuck")) == 1)
    (child,) = attempts_of(folder, "stuck")
    assert child != first.pid
    first.kill()
    assert until(lambda: not Path(f"/proc/{child}").exists(), seconds=10)
    let_go(folder)
    fleet.engine()
    assert front.wait("acme", timeout=30).status is RunStatus.SUCCEEDED
    assert len(attempts_of(folder, "stuck")) == 2
    assert chaos_checks.problems(store, folder, [Acknowledged(run.id, "start", "start")], {child: first.killed_at or 0.0}) == []


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that may be stopped."""
    server = start_any()
    try:
        yield server
    finally:
        server.discard()


def test_the_database_goes_away_again_and_again_while_engines_work(
    server: PostgresServer, folder: Path, tell: Callable[[str], None]
) -> None:
    with closing(SqlStore(server.url)) as store:
        chaos_checks.prepare(store, TABLE)
        with Fleet(folder, server.url) as fleet, closing(Client(server.url)) as client:
            for _ in range(3):
                fleet.engine()
            client.begin()
            pause, moments = threading.Event(), random.Random(20)
            for number in range(20):
                pause.wait(moments.uniform(0.1, 0.5))
                (server.kill if number % 2 else server.stop)()
                pause.wait(moments.uniform(0, 0.3))
                server.start()
            client.finish()
            found = chaos_checks.problems(store, folder, client.log, fleet.deaths())
            tell(f"20 restarts of the database: {len(client.run_ids)} runs, {dict(store.counts())}, refused {client.unavailable}")
    assert found == []
    assert len(client.run_ids) >= 20


def test_a_killed_upgrade_is_done_whole_or_not_at_all(fleet: Fleet, postgres_url: str, folder: Path) -> None:
    from databases import new_database

    moments, pause = random.Random(7), threading.Event()
    with new_database(postgres_url) as url:
        for where in (f"sqlite:///{folder / 'fresh.db'}", url):
            for _ in range(12):
                worker = fleet.fork("upgrade", {"url": where})
                assert worker.ready.wait(30)
                pause.wait(moments.uniform(0, 0.08))
                worker.kill()
                with closing(SqlStore(where)) as store:
                    found, wanted = store.schema_status()
                assert found in (None, wanted)
            with closing(SqlStore(where)) as store:
                store.upgrade()
                store.prepare()
                assert store.counts() == {}
