"""A run as lines of text, while it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from provisioning_core import Engine, Event, Run, RunView, StepView

MARKS = {
    "step.running": "▸ started",
    "step.succeeded": "✓ done",
    "step.retrying": "↻ failed, will be tried again",
    "step.failed": "✗ failed",
    "step.in_doubt": "? in doubt: was it done before the crash?",
    "step.blocked": "· blocked",
    "step.skipped": "- skipped",
    "step.compensated": "↩ undone",
    "step.compensation_failed": "✗ could not be undone",
}
TIMEOUT_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.1


def follow(engine: Engine, run: Run, *, after: int = 0) -> RunView:
    """Print what happens from event number ``after + 1`` on, until the run rests. Raises TimeoutError."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    start: float | None = None
    view: RunView | None = None
    while view is None:
        view = _rests(run)
        for event in engine.events(run_id=run.id, after=after):
            start = event.at.timestamp() if start is None else start
            after = event.seq
            say(line_for(event, event.at.timestamp() - start))
        if view is None and time.monotonic() > deadline:
            raise TimeoutError(f"{run.subject} is still under way; `status {run.subject}` shows where it stands")
    return view


def _rests(run: Run) -> RunView | None:
    """The view when the run rests; None if it still moves after a moment."""
    try:
        return run.wait(timeout=LOOK_EVERY_SECONDS)
    except TimeoutError:
        return None


def line_for(event: Event, seconds: float) -> str:
    """One event as a line; empty for one that is not worth a line."""
    if event.type in MARKS:
        attempt = f" (attempt {event.attempt})" if event.type == "step.running" and (event.attempt or 0) > 1 else ""
        return f"  {seconds:6.2f} s  {event.step or '':<12} {MARKS[event.type]}{attempt}"
    if event.type.startswith("run."):
        return f"  {seconds:6.2f} s  {'run':<12} {event.type.removeprefix('run.').upper()}"
    if event.type.endswith(".requested"):
        return f"  {seconds:6.2f} s  {'run':<12} {event.type.removesuffix('.requested')} asked for"
    return ""


def table(view: RunView) -> Iterator[str]:
    """The run's state: a line for it, and one for each step."""
    yield f"{view.subject}: {view.status}, {view.progress:.0%} done (plan {view.plan}, run {view.id})"
    for step in view.steps.values():
        yield f"  {step.name:<12} {step.status:<12} {_detail(step)}".rstrip()
    for error in view.errors:
        yield f"  {error.step or 'run'}: {error.message} [{error.code}] {error.detail}".rstrip()
    if view.allowed_actions:
        yield f"  can be done now: {', '.join(view.allowed_actions)}"


def say(line: str) -> None:
    """Print a line at once, also into a pipe; nothing for an empty one."""
    if line:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _detail(step: StepView) -> str:
    if step.error and str(step.status) in {"FAILED", "RETRYING", "COMPENSATION_FAILED"}:
        return step.error.detail or step.error.message
    if step.waits_for and str(step.status) in {"BLOCKED", "PENDING"}:
        return f"waits for {', '.join(step.waits_for)}"
    return step.message
