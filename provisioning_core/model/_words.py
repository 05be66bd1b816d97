"""A run in words: where it stands, what it is busy with, what it waits for, what went wrong. Pure: a view in, sentences out.

Names and messages in a view are other people's. ``safe`` makes each fit for where the sentence is shown (a terminal, a page);
without it they are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime

from provisioning_core.model._status import DONE, RunStatus, StepStatus
from provisioning_core.model._views import IRREVERSIBLE, ErrorView, RunView, StepView

Safe = Callable[[object], str]

_SAYS = {
    RunStatus.PENDING: "is recorded and has not begun",
    RunStatus.RUNNING: "is being provisioned",
    RunStatus.WAITING: "waits for somebody to act",
    RunStatus.PAUSED: "is paused",
    RunStatus.SUCCEEDED: "is provisioned",
    RunStatus.FAILED: "could not be provisioned",
    RunStatus.CANCELLING: "is being cancelled",
    RunStatus.CANCELLED: "was cancelled",
    RunStatus.ROLLING_BACK: "is being rolled back",
    RunStatus.ROLLED_BACK: "was rolled back and nothing is left of it",
    RunStatus.ROLLBACK_FAILED: "could not be rolled back completely",
}
_GOING_BACK = (RunStatus.ROLLING_BACK, RunStatus.ROLLED_BACK, RunStatus.ROLLBACK_FAILED)


# small words


def moment(at: datetime | None) -> str:
    """Day and time, UTC."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(seconds: float) -> str:
    """A length of time as a person says it."""
    seconds = max(seconds, 0.0)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def several(count: int, noun: str, plural: str = "") -> str:
    """``1 step``, ``2 steps``."""
    return f"{count} {noun}" if count == 1 else f"{count} {plural or noun + 's'}"


def listed(names: Sequence[str], most: int = 8, *, safe: Safe = str) -> str:
    """``a, b and 3 more``."""
    shown = ", ".join(safe(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


# where it stands


def says(status: RunStatus) -> str:
    """What a run of this status is said to do: ``is being provisioned``."""
    return _SAYS[status]


def stands(view: RunView, *, safe: Safe = str) -> str:
    """What this run is said to do: as its status says it, but for what was set aside or left behind."""
    if view.is_set_aside:
        return "was set aside and waits for somebody to act"
    if view.status is RunStatus.ROLLED_BACK and view.left_behind:
        return f"was rolled back, but for what can't be undone: {listed(view.left_behind, 3, safe=safe)}"
    return _SAYS[view.status]


def headline(view: RunView, *, safe: Safe = str) -> str:
    """One sentence: whose run, which plan, where it stands."""
    subject, plan = safe(view.subject), f"plan {safe(view.plan)}, version {safe(view.plan_version)}"
    return f"{subject} {stands(view, safe=safe)} ({view.status}): {count(view)} ({plan})."


def count(view: RunView) -> str:
    """``3 of 8 steps done``; on the way back how many are undone."""
    if view.status in _GOING_BACK:
        undone = {step.name for step in view.steps.values() if step.status is StepStatus.COMPENSATED}
        return f"{several(len(undone - set(view.left_behind)), 'step')} undone"
    done = sum(step.status in DONE for step in view.steps.values())
    return f"{done} of {several(len(view.steps), 'step')} done"


# what went wrong


def troubles(view: RunView, *, safe: Safe = str) -> list[str]:
    """What went wrong, the root causes first; details and hints are lines of their own, for operators."""
    lines = [line for error in view.errors for line in _error_lines(error, safe)]
    blocked = _named(view, (StepStatus.BLOCKED,))
    if blocked:
        behind = several(len(blocked), "step stands", "steps stand")
        lines.append(f"{behind} behind that and did not run: {listed(blocked, safe=safe)}.")
    return [*lines, *(_warning_line(each, safe) for each in view.warnings)]


def _warning_line(warning: ErrorView, safe: Safe) -> str:
    if warning.code == IRREVERSIBLE:
        return f"Step {safe(warning.step)}: {safe(warning.message)}"
    return f"Went on without {safe(warning.step or 'it')}, which is optional: {safe(warning.message)}"


def _error_lines(error: ErrorView, safe: Safe) -> list[str]:
    where = f"Step {safe(error.step)}" if error.step else "The run"
    lines = [f"{where}: {safe(error.message)} (code {safe(error.code)})"]
    if error.detail:
        lines.append(f"  Detail: {safe(error.detail)}")
    if error.hint:
        lines.append(f"  Hint: {safe(error.hint)}")
    return lines


def _named(view: RunView, statuses: Collection[StepStatus]) -> list[str]:
    return [step.name for step in view.steps.values() if step.status in statuses]


# what it waits for


def waits(view: RunView, *, safe: Safe = str, is_worked_on: bool = True) -> list[str]:
    """What it is busy with or waits for, a sentence for each step; empty when nothing is left to wait for.

    ``is_worked_on``: False where no engine is alive that could be at its steps, whatever their status says.
    """
    if view.is_set_aside:
        return [_NOBODY]
    if view.status.moves and not is_worked_on:
        return [f"{_ENGINE} None is alive now.", *_cut_off(view, safe)]
    lines = [line for step in view.steps.values() if (line := _wait_of(step, safe))]
    if view.status.moves:
        return lines or [_ENGINE]
    if view.status is RunStatus.SUCCEEDED or view.status is RunStatus.ROLLED_BACK:
        return []
    if view.status is RunStatus.WAITING and lines:
        return lines
    return [*lines, _NOBODY]


_ENGINE = "An engine that takes it up: a worker, or a command that watches it."
_NOBODY = "Nothing moves by itself now: it waits for a person."


def _cut_off(view: RunView, safe: Safe) -> list[str]:
    names = _named(view, (StepStatus.RUNNING, StepStatus.COMPENSATING))
    return [f"Under way when the last one ended: {listed(names, safe=safe)}."] if names else []


def _wait_of(step: StepView, safe: Safe) -> str:
    name, attempt = safe(step.name), f" (attempt {step.attempt})" if step.attempt > 1 else ""
    told = f": {safe(step.message)}" if step.message else ""
    match step.status:
        case StepStatus.RUNNING:
            return f"Step {name} is at work{attempt}{told}."
        case StepStatus.COMPENSATING:
            return f"Step {name} is being undone{attempt}{told}."
        case StepStatus.RETRYING:
            return f"Step {name} is tried again at {moment(step.next_attempt_at) or 'the next turn'}{attempt}."
        case StepStatus.WAITING:
            until = f", or for {moment(step.next_attempt_at)}" if step.next_attempt_at else ""
            return f"Gate {name} waits for its signal{until}."
        case StepStatus.IN_DOUBT:
            return f"Step {name}: nobody knows whether it had its effect. Look there, then resolve it."
        case _:
            return ""
