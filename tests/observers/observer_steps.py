"""Steps that a worker process can import."""

from __future__ import annotations

from opentelemetry import trace

from provisioning_core import step


@step
def traced_abroad() -> str:
    span = trace.get_current_span().get_span_context()
    return f"{span.trace_id:032x}-{span.span_id:016x}"


@step
def greet_abroad() -> str:
    return "hello"
