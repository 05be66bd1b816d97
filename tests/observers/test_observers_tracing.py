"""Spans of runs, steps and attempts: one trace for each run, whoever works on it, and the user's own spans below the attempt's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from observer_steps import greet_abroad, traced_abroad
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from provisioning_core import Engine, Plan, Retry, Run, StepContext, StepError, step
from provisioning_core.executors import InlineExecutor, ProcessExecutor
from provisioning_core.observers.tracing import Tracing
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.testing import VirtualWorld

ALLOWED = {f"provisioning.{name}" for name in ("run_id", "subject", "plan", "step", "direction", "attempt", "outcome", "status")}
CANARY = "canary-4711-secret"


class Traces:
    """Spans that have ended, of one provider."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("product")

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def named(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def tree(self) -> dict[str, list[str]]:
        """Names of spans with those of the spans right below, in the order in which they began."""
        names = {span.context.span_id: span.name for span in self.spans}
        found: dict[str, list[str]] = {}
        for span in self.spans:
            found.setdefault(names.get(span.parent.span_id, "?") if span.parent else "", []).append(span.name)
        return found

    def attributes(self, name: str) -> list[dict[str, Any]]:
        return [dict(span.attributes or {}) for span in self.spans if span.name == name]


@pytest.fixture
def traces() -> Iterator[Traces]:
    made = Traces()
    yield made
    made.provider.shutdown()


def _finished(plan: Plan, traces: Traces, **options: Any) -> Run:
    """A run that has come to rest, and whose spans have all ended."""
    engine = Engine(**{"store": MemoryStore(), "plans": [plan], "observers": [Tracing(traces.provider)], "poll": 0.02} | options)
    with engine:
        run = engine.start(plan.name, subject="acme")
        run.wait(30)
    return run


def test_attempts_stand_below_their_step_and_steps_below_the_run(traces: Traces) -> None:
    tries: list[int] = []

    @step(retry=Retry(attempts=2, initial=0.001, jitter=0.0))
    def database() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError(CANARY)

    @database.compensate
    def drop() -> None:
        return None

    @step(needs=[database])
    def mail() -> None:
        raise StepError(CANARY)

    run = _finished(Plan("tenant", steps=[database, mail], on_failure="rollback"), traces)
    assert traces.tree() == {
        "": ["start tenant"],
        "start tenant": ["run tenant"],
        "run tenant": ["step database", "step mail", "compensate database"],
        "step database": ["attempt database", "attempt database"],
        "step mail": ["attempt mail"],
        "compensate database": ["attempt database"],
    }
    common = {"provisioning.run_id": run.id, "provisioning.subject": "acme", "provisioning.plan": "tenant"}
    assert traces.attributes("run tenant") == [common | {"provisioning.status": "ROLLED_BACK"}]
    of_mail = common | {"provisioning.step": "mail", "provisioning.direction": "forward", "provisioning.outcome": "failed"}
    assert traces.attributes("step mail") == [of_mail]
    assert traces.attributes("attempt mail") == [of_mail | {"provisioning.attempt": 1}]
    outcomes = [told["provisioning.outcome"] for told in traces.attributes("attempt database")]
    assert outcomes == ["failed", "succeeded", "succeeded"]


def test_what_failed_is_marked_and_nothing_else_is(traces: Traces) -> None:
    @step
    def fine() -> None:
        return None

    @step(needs=[fine])
    def broken() -> None:
        raise StepError("no")

    _finished(Plan("tenant", steps=[fine, broken]), traces)
    bad = {span.name for span in traces.spans if span.status.status_code is StatusCode.ERROR}
    assert bad == {"run tenant", "step broken", "attempt broken"}


def test_no_span_holds_a_value_or_an_errors_text(traces: Traces) -> None:
    @step
    def secretive(given: dict[str, str]) -> str:
        raise RuntimeError(f"{CANARY} {given}")

    plan = Plan("tenant", input=dict[str, str], steps=[secretive])
    with Engine(store=MemoryStore(), plans=[plan], observers=[Tracing(traces.provider)], poll=0.02) as engine:
        engine.start("tenant", subject="acme", input={"password": CANARY}, labels={"a": CANARY}).wait(20)
    assert traces.spans
    assert CANARY not in "".join(span.to_json() for span in traces.spans)
    assert {name for span in traces.spans for name in span.attributes or {}} == ALLOWED
    assert [span.name for span in traces.spans if span.events] == []


def test_the_start_stands_below_the_callers_span(traces: Traces) -> None:
    @step
    def hello() -> None:
        return None

    with traces.tracer.start_as_current_span("POST /tenants"):
        _finished(Plan("tenant", steps=[hello]), traces)
    assert traces.tree()["POST /tenants"] == ["start tenant"]
    assert len({span.context.trace_id for span in traces.spans}) == 1


def test_a_start_that_is_refused_shows_as_an_error_without_its_text(traces: Traces) -> None:
    tracing = Tracing(traces.provider)
    with pytest.raises(RuntimeError, match=CANARY), tracing.starting("r", "tenant"):
        raise RuntimeError(CANARY)
    span = traces.named("start tenant")
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


def test_spans_of_a_threads_own_stand_below_the_attempt(traces: Traces) -> None:
    @step
    def outer() -> None:
        with traces.tracer.start_as_current_span("create database"):
            return

    _finished(Plan("tenant", steps=[outer]), traces)
    assert traces.tree()["attempt outer"] == ["create database"]


def test_spans_of_async_steps_at_once_stand_below_their_own_attempt(traces: Traces) -> None:
    both = threading.Barrier(2)

    def waiting(name: str) -> Any:
        async def work() -> None:
            import asyncio

            with traces.tracer.start_as_current_span(f"before {name}"):
                await asyncio.to_thread(both.wait, 20)
            with traces.tracer.start_as_current_span(f"after {name}"):
                return

        return step(name=name)(work)

    _finished(Plan("tenant", steps=[waiting("one"), waiting("two")]), traces)
    tree = traces.tree()
    assert tree["attempt one"] == ["before one", "after one"]
    assert tree["attempt two"] == ["before two", "after two"]


def test_steps_on_the_loops_own_thread_are_traced_and_leave_nothing_behind(traces: Traces) -> None:
    seen: list[Any] = []

    @step
    def first() -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    @step(needs=[first])
    def second() -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)

    _finished(Plan("tenant", steps=[first, second]), traces, executor=InlineExecutor())
    assert seen == [traces.named("attempt first").context.span_id, traces.named("attempt second").context.span_id]
    assert not trace.get_current_span().get_span_context().is_valid


def test_a_transactional_step_is_traced(traces: Traces, tmp_path: Any) -> None:
    from sqlalchemy.orm import Session

    @step(transactional=True)
    def seed(session: Session) -> None:
        with traces.tracer.start_as_current_span("insert"):
            return

    _finished(Plan("tenant", steps=[seed]), traces, store=SqlStore(f"sqlite:///{tmp_path / 'runs.db'}"))
    assert traces.tree()["attempt seed"] == ["insert"]


def test_a_worker_process_gets_the_attempts_context(traces: Traces) -> None:
    executor = ProcessExecutor(1)
    try:
        with Engine(
            store=MemoryStore(),
            plans=[Plan("abroad", steps=[traced_abroad])],
            observers=[Tracing(traces.provider)],
            executor=executor,
        ) as engine:
            view = engine.start("abroad", subject="acme").wait(60)
    finally:
        executor.shutdown()
    attempt = traces.named("attempt traced_abroad").context
    assert view.steps["traced_abroad"].output == f"{attempt.trace_id:032x}-{attempt.span_id:016x}"


def test_a_worker_process_works_without_tracing_too() -> None:
    executor = ProcessExecutor(1)
    try:
        with Engine(store=MemoryStore(), plans=[Plan("abroad", steps=[greet_abroad])], executor=executor) as engine:
            assert engine.start("abroad", subject="acme").wait(60).steps["greet_abroad"].output == "hello"
    finally:
        executor.shutdown()


def test_a_run_that_was_taken_over_goes_on_in_its_trace(traces: Traces) -> None:
    @step
    def first() -> None:
        return None

    @step(needs=[first])
    def second() -> None:
        return None

    plan = Plan("tenant", steps=[first, second])
    world = VirtualWorld()
    one = world.engine(plan, observers=[Tracing(traces.provider)])
    one.engine.start("tenant", subject="acme")
    world.turn()
    one.calls[0].run()
    world.turn()
    assert [call.step for call in one.calls] == ["second"]  # begun, and never to end
    one.crash()
    two = world.engine(plan, observers=[tracing := Tracing(traces.provider)])
    world.settle()
    assert two.engine.status("acme").status == "SUCCEEDED"
    tracing.engine_closed()  # in a virtual world nobody is told, so that it ends what is open
    assert len({span.context.trace_id for span in traces.spans}) == 1
    assert traces.tree()["start tenant"] == ["run tenant"]
    assert traces.tree()["run tenant"] == ["step second"]
    assert [span.name for span in traces.spans if span.name.startswith("attempt")] == ["attempt first", "attempt second"]


def test_a_run_goes_on_in_its_trace_when_its_engine_was_closed_and_by_a_worker_that_did_not_start_it(
    traces: Traces, tmp_path: Any
) -> None:
    begun, go = threading.Event(), threading.Event()

    @step
    def first(ctx: StepContext) -> None:
        begun.set()
        while not ctx.cancelled() and not go.wait(0.01):
            pass
        if ctx.cancelled():
            raise RuntimeError("asked to end")

    plan = Plan("tenant", steps=[first])
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    web = Engine(store=SqlStore(url), plans=[plan], observers=[Tracing(traces.provider)], work=False)
    run = web.start("tenant", subject="acme")
    with Engine(store=SqlStore(url), plans=[plan], observers=[Tracing(traces.provider)], poll=0.02) as worker:
        assert begun.wait(20)
        worker.close(timeout=0.0)
    go.set()
    with Engine(store=SqlStore(url), plans=[plan], observers=[Tracing(traces.provider)], poll=0.02) as worker:
        worker.run(run_id=run.id).wait(20)
    web.close()
    assert traces.tree()["start tenant"] == ["run tenant", "run tenant"]
    assert [told["provisioning.status"] for told in traces.attributes("run tenant")] == ["RELEASED", "SUCCEEDED"]
    outcomes = [told["provisioning.outcome"] for told in traces.attributes("attempt first")]
    assert outcomes == ["broken_off", "succeeded"]


def test_runs_that_nobody_tells_the_end_of_do_not_pile_up(traces: Traces) -> None:
    @step
    def hello() -> None:
        return None

    plan = Plan("tenant", steps=[hello])
    tracing = Tracing(traces.provider, max_open=3)
    world = VirtualWorld()  # in which nobody is told
    virtual = world.engine(plan, observers=[tracing])
    for number in range(10):
        virtual.engine.start("tenant", subject=f"s{number}")
    world.settle()
    assert len(tracing._open) == 3
    assert [told["provisioning.status"] for told in traces.attributes("run tenant")] == ["UNKNOWN"] * 7


def test_a_tracer_that_fails_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Tracing):
        def starting(self, run_id: str, plan: str) -> Any:
            raise RuntimeError("start")

        def attempt_begins(self, attempt: Any) -> Any:
            raise RuntimeError("attempt")

        def abroad(self) -> Any:
            raise RuntimeError("abroad")

        def notify_run(self, run: Any, events: Any) -> None:
            raise RuntimeError("told")

        def engine_closed(self) -> None:
            raise RuntimeError("closed")

    @step
    def hello() -> str:
        return "hello"

    caplog.set_level(logging.ERROR, logger="provisioning_core")
    with Engine(store=MemoryStore(), plans=[Plan("tenant", steps=[hello])], observers=[Broken()]) as engine:
        assert engine.start("tenant", subject="acme").wait(20).status == "SUCCEEDED"
    said = {str(record.exc_info[1]) for record in caplog.records if record.exc_info}
    assert said == {"start", "attempt", "told", "closed"}


def test_without_an_sdk_nothing_is_kept() -> None:
    @step
    def hello() -> str:
        return "hello"

    store = MemoryStore()
    with Engine(store=store, plans=[Plan("tenant", steps=[hello])], observers=[Tracing()]) as engine:
        run = engine.start("tenant", subject="acme")
        assert run.wait(20).status == "SUCCEEDED"
        assert store.load(run.id).run.trace is None


def test_the_trace_is_kept_with_the_run(traces: Traces) -> None:
    @step
    def hello() -> str:
        return "hello"

    store = MemoryStore()
    run = _finished(Plan("tenant", steps=[hello]), traces, store=store)
    start = traces.named("start tenant").context
    assert store.load(run.id).run.trace == f"00-{start.trace_id:032x}-{start.span_id:016x}-{start.trace_flags:02x}"
