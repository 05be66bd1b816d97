"""Traces through OpenTelemetry: spans for the start of a run, its stretches of work, its steps and their attempts.

    engine = Engine(..., observers=[Tracing()])

Theory of operation. A span can be ended only by the process that began it, and a run may outlive many processes. So the span that a
run's trace hangs on is the one around its start, which is over when the start is recorded; its context is kept with the run. Whoever
works on the run hangs a span of its own below it, from the first attempt until the run comes to rest (or its engine closes); below
that stand the steps, and below each step its attempts. A run that was taken over has one more such span, in the same trace. Around
the step's function the attempt's span is the current one, so that what the step itself traces hangs below it.

Attributes are ids and words from a fixed list: no input, no output, no error's text. This module needs the extra ``otel``, which is
OpenTelemetry's API alone; without an SDK in the process nothing is recorded, and nothing costs much.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from provisioning_core.errors import MissingExtra
from provisioning_core.model import Event, RunStatus, RunSummary
from provisioning_core.ports import AttemptEnd, AttemptFacts

try:
    from opentelemetry import context as current
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as missing:
    raise MissingExtra("otel", "Tracing") from missing

_PARENT = "traceparent"
_PROPAGATOR = TraceContextTextMapPropagator()
_RESTS = {f"run.{status.value.lower()}": status.value for status in RunStatus if not status.moves} | {"run.set_aside": "SET_ASIDE"}
_STEP_ENDS = {
    f"step.{word}": (word, direction)
    for direction, words in {
        "forward": ("succeeded", "failed", "skipped", "cancelled"),
        "compensate": ("compensated", "compensation_failed"),
    }.items()
    for word in words
}
_BAD = frozenset(("failed", "interrupted", "compensation_failed", "FAILED", "ROLLBACK_FAILED", "SET_ASIDE"))


@dataclass(slots=True)
class _Stretch:
    """One run at work in this process."""

    span: Span
    steps: dict[tuple[str, str], Span] = field(default_factory=dict)
    """By step and direction: those that have begun and not come to their end."""


class Tracing:
    """Traces what an engine does. Hand it to the engines that start runs and to those that work on them.

    ``tracer_provider``: whose spans they are; the process's own by default. ``max_open``: how many runs may have a span open at once;
    beyond that the oldest is ended, for runs that another engine took over without our being told.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, *, max_open: int = 10_000) -> None:
        self._tracer = trace.get_tracer("provisioning_core", tracer_provider=tracer_provider)
        self._max_open = max_open
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Stretch] = OrderedDict()

    @contextmanager
    def starting(self, run_id: str, plan: str) -> Iterator[str | None]:
        """A span around the start of a run, below the caller's own; its context is kept with the run."""
        told = {"provisioning.run_id": run_id, "provisioning.plan": plan}
        span = self._tracer.start_span(f"start {plan}", kind=SpanKind.PRODUCER, attributes=told)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield _parent_text(trace.set_span_in_context(span, Context()))
        except BaseException:
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end()

    # attempts, where they run

    def attempt_begins(self, attempt: AttemptFacts) -> AttemptEnd:
        """A span around the attempt, current while it runs."""
        parent = trace.set_span_in_context(self._step_span(attempt), Context())
        told = _attributes(attempt) | {
            "provisioning.step": attempt.step,
            "provisioning.direction": attempt.direction,
            "provisioning.attempt": attempt.attempt,
        }
        span = self._tracer.start_span(f"attempt {attempt.step}", context=parent, attributes=told)
        token = current.attach(trace.set_span_in_context(span))

        def end(outcome: str) -> None:
            current.detach(token)
            _finish(span, "provisioning.outcome", outcome)

        return end

    def abroad(self) -> Callable[[], AbstractContextManager[None]] | None:
        """Makes the attempt's span the current one in a worker process, too. What is traced there is exported from there."""
        text = _parent_text(current.get_current())
        return None if text is None else partial(resumed, text)

    def _step_span(self, attempt: AttemptFacts) -> Span:
        direction = "compensate" if attempt.direction == "compensate" else "forward"  # a probe belongs to the way forward
        with self._lock:
            stretch = self._open.get(attempt.run_id) or self._begin_stretch(attempt)
            span = stretch.steps.get((attempt.step, direction))
            if span is None:
                parent = trace.set_span_in_context(stretch.span, Context())
                told = _attributes(attempt) | {"provisioning.step": attempt.step, "provisioning.direction": direction}
                name = f"step {attempt.step}" if direction == "forward" else f"compensate {attempt.step}"
                span = self._tracer.start_span(name, context=parent, attributes=told)
                stretch.steps[attempt.step, direction] = span
            return span

    def _begin_stretch(self, attempt: AttemptFacts) -> _Stretch:
        parent = _context_of(attempt.trace)
        span = self._tracer.start_span(f"run {attempt.plan}", context=parent, kind=SpanKind.CONSUMER, attributes=_attributes(attempt))
        stretch = self._open[attempt.run_id] = _Stretch(span)
        if len(self._open) > self._max_open:
            _, oldest = self._open.popitem(last=False)
            _end_stretch(oldest, "UNKNOWN")
        return stretch

    # what was recorded

    def notify_run(self, run: RunSummary, events: Sequence[Event]) -> None:
        """End the spans of what has come to its end."""
        for event in events:
            if event.type in _STEP_ENDS:
                self._step_ended(event)
            elif event.type in _RESTS:
                with self._lock:
                    stretch = self._open.pop(run.id, None)
                if stretch is not None:
                    _end_stretch(stretch, _RESTS[event.type], event.at)

    def _step_ended(self, event: Event) -> None:
        outcome, direction = _STEP_ENDS[event.type]
        with self._lock:
            stretch = self._open.get(event.run_id)
            span = None if stretch is None else stretch.steps.pop((event.step or "", direction), None)
        if span is not None:
            _finish(span, "provisioning.outcome", outcome, event.at)

    def engine_closed(self) -> None:
        """End what is open: the runs go on elsewhere, below spans of their own."""
        with self._lock:
            left = list(self._open.values())
            self._open.clear()
        for stretch in left:
            _end_stretch(stretch, "RELEASED")


@contextmanager
def resumed(traceparent: str) -> Iterator[None]:
    """The span with this ``traceparent`` is the current one, wherever it was begun."""
    token = current.attach(_context_of(traceparent))
    try:
        yield
    finally:
        current.detach(token)


def _attributes(attempt: AttemptFacts) -> dict[str, str | int]:
    return {
        "provisioning.run_id": attempt.run_id,
        "provisioning.subject": attempt.subject,
        "provisioning.plan": attempt.plan,
    }


def _end_stretch(stretch: _Stretch, status: str, at: datetime | None = None) -> None:
    for span in stretch.steps.values():
        _finish(span, "provisioning.outcome", "open", at)
    _finish(stretch.span, "provisioning.status", status, at)


def _finish(span: Span, name: str, word: str, at: datetime | None = None) -> None:
    span.set_attribute(name, word)
    if word in _BAD:
        span.set_status(Status(StatusCode.ERROR))
    span.end(None if at is None else int(at.timestamp() * 1e9))


def _parent_text(context: Context) -> str | None:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context)
    return carrier.get(_PARENT)


def _context_of(text: str | None) -> Context:
    carrier: Mapping[str, str] = {} if text is None else {_PARENT: text}
    return _PROPAGATOR.extract(carrier, Context())
