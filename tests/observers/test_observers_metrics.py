"""What runs come to is counted by plan and step, never by subject; how engines stand is asked when somebody scrapes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from provisioning_core import Engine, NotReady, Plan, Retry, RunStatus, StepError, gate, step
from provisioning_core.model import Event, RunSummary
from provisioning_core.observers.metrics import OTHER, Metrics
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.testing import FaultyStore

SUBJECT = "acme-of-anna"
QUICK = Retry(attempts=3, initial=0.001, jitter=0.0)


class Seen:
    """Told after the metrics, so that they have counted what it was told."""

    def __init__(self, last: str) -> None:
        self._last = last
        self.done = threading.Event()

    def notify_run(self, run: RunSummary, events: Sequence[Event]) -> None:
        if any(event.type == self._last for event in events):
            self.done.set()


def _a_run_with_everything() -> Plan:
    tries: list[int] = []

    @step(retry=QUICK)
    def database() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("not yet")
        if len(tries) == 2:
            raise NotReady(after=0.001)
        return "db"

    @database.compensate(retry=QUICK)
    def drop() -> None:
        tries.append(1)
        if len(tries) == 4:
            raise RuntimeError("busy")

    @step(needs=[database])
    def broken() -> None:
        raise StepError("no", retryable=False)

    @step(needs=[broken])
    def mail() -> None:
        return None

    return Plan("tenant", steps=[database, broken, mail], on_failure="rollback")


def _run(plan: Plan, metrics: Metrics, last: str) -> None:
    with Engine(store=MemoryStore(), plans=[plan], poll=0.02) as engine:
        metrics.watch(engine)
        seen = Seen(last)
        engine.add_observer(seen)
        engine.start(plan.name, subject=SUBJECT).wait(20)
        assert seen.done.wait(20)


def _samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by its labels, in the order of the labels' names."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture(scope="module")
def counted() -> Metrics:
    metrics = Metrics()
    _run(_a_run_with_everything(), metrics, "run.rolled_back")
    return metrics


def test_each_attempt_is_counted_by_how_it_ended(counted: Metrics) -> None:
    # direction, outcome, plan, step
    assert _samples(counted, "provisioning_attempts_total") == {
        ("forward", "failed", "tenant", "database"): 1,
        ("forward", "not_ready", "tenant", "database"): 1,
        ("forward", "succeeded", "tenant", "database"): 1,
        ("forward", "failed", "tenant", "broken"): 1,
        ("compensate", "failed", "tenant", "database"): 1,
        ("compensate", "succeeded", "tenant", "database"): 1,
    }


def test_each_attempt_is_measured(counted: Metrics) -> None:
    assert _samples(counted, "provisioning_attempt_duration_seconds_count") == {
        ("forward", "tenant", "database"): 3,
        ("forward", "tenant", "broken"): 1,
        ("compensate", "tenant", "database"): 2,
    }


def test_steps_are_counted_by_what_they_came_to(counted: Metrics) -> None:
    assert _samples(counted, "provisioning_steps_finished_total") == {
        ("succeeded", "tenant", "database"): 1,
        ("failed", "tenant", "broken"): 1,
        ("blocked", "tenant", "mail"): 1,
        ("compensated", "tenant", "database"): 1,
        ("compensated", "tenant", "broken"): 1,  # it has nothing to undo
    }


def test_runs_are_counted_and_measured(counted: Metrics) -> None:
    assert _samples(counted, "provisioning_runs_started_total") == {("tenant",): 1}
    assert _samples(counted, "provisioning_runs_finished_total") == {("rolled_back", "tenant"): 1}
    assert _samples(counted, "provisioning_run_duration_seconds_count") == {("rolled_back", "tenant"): 1}
    assert 0 < _samples(counted, "provisioning_run_duration_seconds_sum")["rolled_back", "tenant"] < 20


def test_no_metric_names_a_subject_or_a_run(counted: Metrics) -> None:
    text = counted.render()[0].decode()
    assert "acme" not in text
    labels = {name for family in counted.registry.collect() for sample in family.samples for name in sample.labels}
    assert labels == {"plan", "step", "direction", "outcome", "status", "reason", "verb", "le"} - {"verb"}


def test_verbs_are_counted_and_unknown_ones_get_no_label_of_their_own() -> None:
    metrics = Metrics()
    told = [("retry.requested", {}), ("request.refused", {"verb": "cancel"}), ("evil.requested", {}), ("request.refused", {})]
    metrics.notify_run(_a_run(), [_an_event(type_, data) for type_, data in told])
    assert _samples(metrics, "provisioning_verbs_total") == {
        ("accepted", "retry"): 1,
        ("refused", "cancel"): 1,
        ("accepted", OTHER): 1,
        ("refused", OTHER): 1,
    }


def test_a_run_that_is_set_aside_is_counted() -> None:
    metrics = Metrics()
    metrics.notify_run(_a_run(), [_an_event("run.set_aside", {})])
    assert _samples(metrics, "provisioning_runs_set_aside_total") == {("tenant",): 1}


def test_plans_and_steps_beyond_the_limit_share_one_label() -> None:
    metrics = Metrics(max_plans=2, max_steps=3)
    for number in range(50):
        run = _a_run(plan=f"plan-{number}")
        metrics.notify_run(run, [_an_event("step.succeeded", {}, step=f"step-{each}") for each in range(2)])
    assert _samples(metrics, "provisioning_steps_finished_total") == {
        ("succeeded", "plan-0", "step-0"): 1,
        ("succeeded", "plan-0", "step-1"): 1,
        ("succeeded", "plan-1", "step-0"): 1,
        ("succeeded", "plan-1", OTHER): 1,
        ("succeeded", OTHER, OTHER): 96,
    }


def test_an_engine_that_is_watched_twice_is_counted_once() -> None:
    metrics = Metrics()
    with Engine(store=MemoryStore(), plans=[], observers=[metrics]) as engine:
        metrics.watch(engine)
        metrics.watch(engine)
        assert engine.observers == (metrics,)
        assert _samples(metrics, "provisioning_workers") == {(): 16}


def test_two_engines_of_a_process_are_added_up() -> None:
    metrics = Metrics()
    store = MemoryStore()
    with Engine(store=store, plans=[], max_workers=3) as one, Engine(store=store, plans=[], max_workers=4, lease=9.0) as two:
        metrics.watch(one)
        metrics.watch(two)
        assert _samples(metrics, "provisioning_engines_working") == {(): 2}
        assert _samples(metrics, "provisioning_workers") == {(): 7}
        assert _samples(metrics, "provisioning_lease_seconds") == {(): 9.0}


def test_an_engine_that_does_not_work_tells_only_of_the_store() -> None:
    metrics = Metrics()
    metrics.watch(Engine(store=MemoryStore(), plans=[], work=False))
    assert _samples(metrics, "provisioning_engines_working") == {(): 0}
    assert _samples(metrics, "provisioning_workers") == {}
    assert _samples(metrics, "provisioning_store_up") == {(): 1}
    assert _samples(metrics, "provisioning_runs")["RUNNING",] == 0


def test_what_waits_and_what_is_stuck_is_told() -> None:
    approval = gate("approval")
    metrics = Metrics(store_every=0.0)
    store = MemoryStore()
    plan = Plan("gated", steps=[approval])
    with Engine(store=store, plans=[plan], poll=0.02) as engine:
        metrics.watch(engine)
        engine.start("gated", subject=SUBJECT).wait(20)
        assert _samples(metrics, "provisioning_runs")["WAITING",] == 1
        Engine(store=store, plans=[Plan("elsewhere", steps=[approval])], work=False).start("elsewhere", subject="globex")
        assert _samples(metrics, "provisioning_runs_stuck") == {("set_aside",): 0, ("unclaimed",): 1}


def test_the_store_is_not_asked_at_every_scrape() -> None:
    store = FaultyStore(MemoryStore())
    metrics = Metrics(store_every=3600.0)
    metrics.watch(Engine(store=store, plans=[], work=False))
    for _ in range(5):
        metrics.render()
    assert store.calls["standing"] == 1


def test_while_the_store_is_away_the_rest_is_told() -> None:
    store = FaultyStore(MemoryStore())
    metrics = Metrics(store_every=0.0)
    engine = Engine(store=store, plans=[], work=False)
    engine.open()
    metrics.watch(engine)
    store.fail(method="standing", for_ever=True)
    assert _samples(metrics, "provisioning_store_up") == {(): 0}
    assert _samples(metrics, "provisioning_runs") == {}
    assert _samples(metrics, "provisioning_engines_working") == {(): 0}


def test_the_webhooks_backlog_is_told_and_a_failure_to_tell_it_hides_nothing_else() -> None:
    metrics = Metrics(webhook_backlog=lambda: 7, store_every=0.0)
    assert _samples(metrics, "provisioning_webhook_backlog") == {(): 7}
    metrics.count_webhooks(_broken_backlog)
    assert _samples(metrics, "provisioning_webhook_backlog") == {}
    assert _samples(metrics, "provisioning_engines_working") == {(): 0}


def test_a_registry_of_ones_own_is_used() -> None:
    registry = CollectorRegistry()
    assert Metrics(registry).registry is registry
    assert registry.get_sample_value("provisioning_engines_working") == 0


def test_commits_are_measured(tmp_path: Any) -> None:
    metrics = Metrics()
    with Engine(store=SqlStore(f"sqlite:///{tmp_path / 'runs.db'}"), plans=[_chain(5)], poll=0.02) as engine:
        metrics.watch(engine)
        seen = Seen("run.succeeded")  # told after the last commit was measured
        engine.add_observer(seen)
        engine.start("chain", subject=SUBJECT)
        assert seen.done.wait(20)
        stats = engine.stats().commits
        told = _samples(metrics, "provisioning_commit_duration_seconds_count")
        buckets = _samples(metrics, "provisioning_commit_events_bucket")
    assert stats is not None
    assert stats.runs == stats.seconds.total == stats.events.total >= 6
    assert stats.events.sum == 12  # two for the run, two for each step
    assert (stats.failed, list(stats.seconds.counts)) == (0, sorted(stats.seconds.counts))
    assert told == {(): stats.seconds.total}
    assert (buckets["1",], buckets["+Inf",]) == (stats.events.counts[0], stats.events.total)


def test_commits_that_fail_are_counted_apart() -> None:
    store = FaultyStore(MemoryStore())
    metrics = Metrics()
    with Engine(store=store, plans=[_chain(2)], poll=0.02) as engine:
        metrics.watch(engine)
        store.fail(method="commit")
        engine.start("chain", subject=SUBJECT).wait(20)
        assert _samples(metrics, "provisioning_commits_failed_total") == {(): 1}


def test_steps_that_wait_for_a_worker_are_told() -> None:
    begun, go = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        go.wait(20)

    plan = Plan("wide", steps=[step(name=f"s{number}")(work) for number in range(5)])
    metrics = Metrics()
    with Engine(store=MemoryStore(), plans=[plan], max_workers=2, poll=0.02) as engine:
        metrics.watch(engine)
        run = engine.start("wide", subject=SUBJECT)
        for _ in range(2):
            assert begun.acquire(timeout=20)
        stats = engine.stats()
        assert (stats.runs, stats.attempts, stats.ready, stats.workers) == (1, 2, 3, 2)
        assert _samples(metrics, "provisioning_steps_ready") == {(): 3}
        go.set()
        run.wait(20)


@pytest.fixture
def lease_engine() -> Iterator[Engine]:
    with Engine(store=MemoryStore(), plans=[], lease=20.0) as engine:
        yield engine


def test_the_lease_is_told_with_its_age(lease_engine: Engine) -> None:
    stats = lease_engine.stats()
    assert stats.lease_age is not None
    assert 0 <= stats.lease_age < 20
    assert (stats.lease, stats.is_trusted, stats.is_working) == (20.0, True, True)
    lease_engine.close()
    closed = lease_engine.stats()
    assert (closed.is_working, closed.lease_age, closed.commits) == (False, None, None)


# helpers


def _chain(length: int) -> Plan:
    steps: list[Any] = []
    for number in range(length):
        steps.append(step(name=f"s{number}", needs=steps[-1:])(_nothing))
    return Plan("chain", steps=steps)


def _nothing() -> None:
    return None


def _broken_backlog() -> int:
    raise RuntimeError("no outbox")


def _a_run(plan: str = "tenant") -> RunSummary:
    return RunSummary(id="r", plan=plan, plan_version="1", subject=SUBJECT, status=RunStatus.RUNNING, progress=0.0, version=1)


def _an_event(type_: str, data: dict[str, Any], step: str | None = None) -> Event:
    return Event(run_id="r", seq=1, at=datetime(2026, 1, 1, tzinfo=UTC), type=type_, step=step, attempt=None, data=data)
