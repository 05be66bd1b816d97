"""Metrics for Prometheus: what runs and attempts came to, and how engines and their store stand.

    metrics = Metrics()
    metrics.watch(engine)

Theory of operation. What happened is counted when it is told: runs and steps after the commit, attempts where they run. How things
stand (queues, commits, lease, runs by status) is asked of the engine when Prometheus scrapes, so that it costs nothing in between;
what the store has to count is asked at most every ``store_every`` seconds. No label ever holds a subject or a run; a plan or a step
beyond the limit is counted under the name ``_other``.

This module needs the extra ``metrics``. docs/observability.md says what each metric means.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from provisioning_core.errors import MissingExtra, ProvisioningError
from provisioning_core.model import Distribution, EngineStats, Event, RunStatus, RunSummary, Standing
from provisioning_core.ports import AnyObserver, AttemptEnd, AttemptFacts

try:
    from prometheus_client import CollectorRegistry, Counter, Histogram
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.registry import Collector
except ModuleNotFoundError as missing:
    raise MissingExtra("metrics", "Metrics for Prometheus") from missing

_log = logging.getLogger("provisioning_core.metrics")

OTHER = "_other"
"""The label of what is beyond the limit."""

_ATTEMPT_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_RUN_SECONDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0, 86400.0, 7 * 86400.0)
_RUN_ENDS = {
    f"run.{status.value.lower()}": status.value.lower()
    for status in (
        RunStatus.SUCCEEDED,
        RunStatus.FAILED,
        RunStatus.CANCELLED,
        RunStatus.ROLLED_BACK,
        RunStatus.ROLLBACK_FAILED,
    )
}
_STEP_ENDS = {
    f"step.{word}": word
    for word in ("succeeded", "failed", "in_doubt", "skipped", "blocked", "cancelled", "compensated", "compensation_failed")
}
_VERBS = frozenset(
    ("retry", "continue", "skip", "resolve", "rollback", "cancel", "pause", "signal", "deprovision", "adopt_plan", "start")
)


class WatchedEngine(Protocol):
    """What is asked of an engine: :class:`provisioning_core.Engine` is one."""

    def stats(self) -> EngineStats: ...

    def standing(self) -> Standing: ...

    def add_observer(self, observer: AnyObserver) -> None: ...


class Metrics:
    """Counts what an engine does. Hand it to several engines of a process, if there are several.

    ``registry``: where the metrics are registered; a new one by default, so that nothing of the process's own is in it.
    ``max_plans``, ``max_steps``: how many plans, and steps of all plans together, get a label of their own. ``store_every``: seconds
    for which counts of the store are kept. ``webhook_backlog``: how much waits to be told to webhook endpoints; asked as often.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        max_plans: int = 50,
        max_steps: int = 500,
        store_every: float = 15.0,
        webhook_backlog: Callable[[], int] | None = None,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._labels = _Labels(max_plans, max_steps)
        self._counted = _Counted(self.registry)
        self._standing = _Standing(store_every, webhook_backlog)
        self.registry.register(self._standing)

    def watch(self, engine: WatchedEngine) -> None:
        """Count what this engine does, and ask it how it stands. Harmless when repeated."""
        engine.add_observer(self)
        self._standing.add(engine)

    def count_webhooks(self, backlog: Callable[[], int]) -> None:
        """Ask this how much waits to be told to webhook endpoints."""
        self._standing.webhook_backlog = backlog

    def render(self) -> tuple[bytes, str]:
        """All metrics as Prometheus reads them, and the content type. Asks engines and, now and then, the store."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    # what the engine tells

    def notify_run(self, run: RunSummary, events: Sequence[Event]) -> None:
        """Count these."""
        for event in events:
            self._count(run, event)

    def _count(self, run: RunSummary, event: Event) -> None:
        counted = self._counted
        plan = self._labels.plan(run.plan)
        if (outcome := _STEP_ENDS.get(event.type)) is not None:
            counted.steps.labels(*self._labels.step(run.plan, event.step or ""), outcome).inc()
        elif (outcome := _RUN_ENDS.get(event.type)) is not None:
            counted.runs_finished.labels(plan, outcome).inc()
            if run.started_at is not None:
                counted.run_seconds.labels(plan, outcome).observe(max(0.0, (event.at - run.started_at).total_seconds()))
        elif event.type == "run.running" and event.data.get("from") == RunStatus.PENDING.value:
            counted.runs_started.labels(plan).inc()
        elif event.type == "run.set_aside":
            counted.runs_set_aside.labels(plan).inc()
        else:
            self._count_verb(event)

    def _count_verb(self, event: Event) -> None:
        verb, _, what = event.type.rpartition(".")
        if what == "requested":
            self._counted.verbs.labels(verb if verb in _VERBS else OTHER, "accepted").inc()
        elif event.type == "request.refused":
            verb = str(event.data.get("verb"))
            self._counted.verbs.labels(verb if verb in _VERBS else OTHER, "refused").inc()

    def attempt_begins(self, attempt: AttemptFacts) -> AttemptEnd:
        """Measure it."""
        plan, step = self._labels.step(attempt.plan, attempt.step)
        begun = time.monotonic()

        def end(outcome: str) -> None:
            self._counted.attempt_seconds.labels(plan, step, attempt.direction).observe(time.monotonic() - begun)
            self._counted.attempts.labels(plan, step, attempt.direction, outcome).inc()

        return end


class _Labels:
    """Plans and steps that have a label of their own: those that came first."""

    def __init__(self, max_plans: int, max_steps: int) -> None:
        self._max_plans = max_plans
        self._max_steps = max_steps
        self._plans: set[str] = set()
        self._steps: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def plan(self, plan: str) -> str:
        if plan not in self._plans:
            with self._lock:
                if len(self._plans) >= self._max_plans:
                    return OTHER
                self._plans.add(plan)
        return plan

    def step(self, plan: str, step: str) -> tuple[str, str]:
        if (plan, step) not in self._steps:
            plan = self.plan(plan)
            with self._lock:
                if plan == OTHER or len(self._steps) >= self._max_steps:
                    return plan, OTHER
                self._steps.add((plan, step))
        return plan, step


class _Counted:
    """What is counted when it is told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.runs_started = Counter("provisioning_runs_started", "Runs that began to work.", ["plan"], registry=registry)
        self.runs_finished = Counter(
            "provisioning_runs_finished",
            "Runs that came to an end; one that is retried can come to another.",
            ["plan", "outcome"],
            registry=registry,
        )
        self.run_seconds = Histogram(
            "provisioning_run_duration_seconds",
            "From a run's first step to its end, all waiting included.",
            ["plan", "outcome"],
            registry=registry,
            buckets=_RUN_SECONDS,
        )
        self.runs_set_aside = Counter(
            "provisioning_runs_set_aside", "Runs that an engine stopped, to wait for a person.", ["plan"], registry=registry
        )
        self.steps = Counter(
            "provisioning_steps_finished",
            "Steps that came to this status, whatever number of attempts it took.",
            ["plan", "step", "outcome"],
            registry=registry,
        )
        self.attempts = Counter(
            "provisioning_attempts",
            "Executions of a step's function that have ended.",
            ["plan", "step", "direction", "outcome"],
            registry=registry,
        )
        self.attempt_seconds = Histogram(
            "provisioning_attempt_duration_seconds",
            "How long a step's function ran.",
            ["plan", "step", "direction"],
            registry=registry,
            buckets=_ATTEMPT_SECONDS,
        )
        self.verbs = Counter(
            "provisioning_verbs", "What people and programs asked of runs, after their start.", ["verb", "outcome"], registry=registry
        )


class _Standing(Collector):
    """What is asked for at each scrape."""

    def __init__(self, store_every: float, webhook_backlog: Callable[[], int] | None) -> None:
        self.webhook_backlog = webhook_backlog
        self._engines: tuple[WatchedEngine, ...] = ()
        self._store_every = store_every
        self._lock = threading.Lock()
        self._counted_at: float | None = None
        self._counted: tuple[Standing | None, int | None] = (None, None)

    def add(self, engine: WatchedEngine) -> None:
        if all(each is not engine for each in self._engines):
            self._engines += (engine,)

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that registering asks nobody anything."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of it, as it stands now."""
        yield from _of_engines([engine.stats() for engine in self._engines])
        yield from self._of_store()

    def _of_store(self) -> Iterator[Metric]:
        standing, webhooks = self._asked_of_store()
        yield _gauge("provisioning_store_up", "Whether the store answered when it was asked last.", float(standing is not None))
        if standing is not None:
            yield from _of_store(standing)
        if webhooks is not None:
            told = "Runs of which a webhook endpoint has still to be told something, once for each endpoint."
            yield _gauge("provisioning_webhook_backlog", told, webhooks)

    def _asked_of_store(self) -> tuple[Standing | None, int | None]:
        with self._lock:
            now = time.monotonic()
            if self._counted_at is None or now - self._counted_at >= self._store_every:
                self._counted_at = now
                self._counted = self._ask_store(), self._ask_webhooks()
            return self._counted

    def _ask_store(self) -> Standing | None:
        for engine in self._engines[:1]:
            try:
                return engine.standing()
            except ProvisioningError as error:
                _log.warning("the store's runs could not be counted: %s", error.message)
        return None

    def _ask_webhooks(self) -> int | None:
        try:
            return None if self.webhook_backlog is None else self.webhook_backlog()
        except Exception as error:  # noqa: BLE001  whatever is wrong with the webhooks, the other metrics must be told
            _log.warning("the webhooks' backlog could not be told: %s", type(error).__name__)
            return None


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=value)


def _histogram(name: str, told: str, parts: Sequence[Distribution]) -> Metric:
    """Distributions with the same bounds, added up."""
    bounds = parts[0].bounds
    counts = [sum(column) for column in zip(*(part.counts for part in parts), strict=True)]
    total = sum(part.total for part in parts)
    buckets = [(f"{bound:g}", float(count)) for bound, count in zip(bounds, counts, strict=True)]
    return HistogramMetricFamily(name, told, buckets=[*buckets, ("+Inf", float(total))], sum_value=sum(part.sum for part in parts))


def _of_engines(engines: Sequence[EngineStats]) -> Iterator[Metric]:
    """Of all engines of this process together; of their leases the worst."""
    working = [each for each in engines if each.is_working]
    yield _gauge("provisioning_engines_working", "Engines of this process that carry out steps.", len(working))
    if not working:
        return
    yield _gauge("provisioning_runs_in_memory", "Runs that move here.", sum(each.runs for each in working))
    yield _gauge("provisioning_steps_ready", "Steps that could begin if there were a worker.", sum(each.ready for each in working))
    yield _gauge("provisioning_attempts_in_flight", "Attempts that have not ended.", sum(each.attempts for each in working))
    yield _gauge("provisioning_workers", "Attempts that may run at once.", sum(each.workers for each in working))
    yield _gauge(
        "provisioning_steps_quarantined",
        "Steps left alone because another engine's attempt may still be alive.",
        sum(each.quarantined for each in working),
    )
    yield _gauge("provisioning_observer_backlog", "What observers were not told yet.", sum(each.untold for each in working))
    yield _gauge("provisioning_store_held", "Whether recording failed and is tried again.", any(each.is_held for each in working))
    yield _gauge("provisioning_lease_seconds", "How long a lease lasts.", min(each.lease for each in working))
    yield _gauge("provisioning_lease_age_seconds", "Since the lease was renewed.", max(each.lease_age or 0.0 for each in working))
    yield _gauge("provisioning_lease_trusted", "Whether the engine counts on its lease.", all(each.is_trusted for each in working))
    yield from _of_commits(working)


def _of_commits(engines: Sequence[EngineStats]) -> Iterator[Metric]:
    commits = [each.commits for each in engines if each.commits is not None]
    if not commits:
        return
    yield _histogram("provisioning_commit_duration_seconds", "How long the store took.", [each.seconds for each in commits])
    yield _histogram("provisioning_commit_events", "Events that one commit wrote.", [each.events for each in commits])
    yield CounterMetricFamily("provisioning_commit_runs", "Runs written, once a commit.", value=sum(each.runs for each in commits))
    yield CounterMetricFamily(
        "provisioning_commits_failed", "Commits that the store could not take.", value=sum(each.failed for each in commits)
    )


def _of_store(standing: Standing) -> Iterator[Metric]:
    runs = GaugeMetricFamily("provisioning_runs", "Runs of the store, by status.", labels=["status"])
    for status in RunStatus:
        runs.add_metric([status.value], standing.counts.get(status.value, 0))
    yield runs
    stuck = GaugeMetricFamily("provisioning_runs_stuck", "Runs that should go on and don't, by reason.", labels=["reason"])
    stuck.add_metric(["set_aside"], standing.set_aside)
    stuck.add_metric(["unclaimed"], standing.unclaimed)
    yield stuck
    yield _gauge("provisioning_runs_unclaimed_age_seconds", "For how long a run has waited for an engine.", standing.unclaimed_for)
