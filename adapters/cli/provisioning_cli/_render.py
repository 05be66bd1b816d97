"""Views as tables and lines: pure functions, every text cleaned on its way."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from provisioning_cli._advice import next_commands
from provisioning_cli._explain import headline
from provisioning_cli._grid import Grid, Row
from provisioning_cli._marks import labelled, mark_of
from provisioning_cli._problems import as_typed
from provisioning_cli._text import clean, listed, moment, several, span
from provisioning_core import ErrorView, Plan, Preview, RunStatus, RunView, StepStatus, StepView

if TYPE_CHECKING:
    from provisioning_core.model import PlanGraph, RunPage, StepPreview


def step_grid(view: RunView, now: datetime, *, only: Iterable[str] | None = None) -> Grid:
    """A run's steps, in topological order."""
    names = view.steps if only is None else only
    return Grid(("STATUS", "STEP", "TRY", "TIME", "MESSAGE"), tuple(_step_row(view.steps[name], now) for name in names))


def _step_row(step: StepView, now: datetime) -> Row:
    attempt = str(step.attempt) if step.attempt else ""
    cells = (labelled(step.status), clean(step.name), attempt, _time_of(step, now), _message_of(step))
    return Row(cells, mark_of(step.status).style)


def _time_of(step: StepView, now: datetime) -> str:
    if step.next_attempt_at is not None and step.status in (StepStatus.RETRYING, StepStatus.WAITING, StepStatus.COMPENSATING):
        return f"in {span((step.next_attempt_at - now).total_seconds())}"
    if step.started_at is None:
        return ""
    return span(((step.finished_at or now) - step.started_at).total_seconds())


def _message_of(step: StepView) -> str:
    if step.error is not None and step.status not in (StepStatus.SUCCEEDED, StepStatus.COMPENSATED):
        return _brief(step.error)
    if step.status in (StepStatus.BLOCKED, StepStatus.PENDING) and step.waits_for:
        behind = "stands behind" if step.status is StepStatus.BLOCKED else "waits for"
        return f"{behind} {listed(step.waits_for, 3)}"
    if step.status is StepStatus.WAITING:
        return clean(step.message) or "waits for its signal"
    percent = f"{step.progress:.0%} " if step.status is StepStatus.RUNNING and step.progress else ""
    return f"{percent}{clean(step.message)}".strip()


def _brief(error: ErrorView) -> str:
    return f"{clean(error.message)} ({clean(error.code)})"


def status_head(view: RunView) -> list[str]:
    """Who, where, since when."""
    since = f"started {moment(view.started_at)}" if view.started_at else f"recorded {moment(view.created_at)}, not begun"
    share = "" if view.status in _BACK else f", {view.progress:.0%}"
    return [headline(view), f"Run {clean(view.id)}, {since}{share}."]


_BACK = frozenset({RunStatus.ROLLING_BACK, RunStatus.ROLLED_BACK, RunStatus.ROLLBACK_FAILED})


def error_lines(view: RunView) -> list[str]:
    """Errors and warnings with what operators need to mend them."""
    lines = []
    if view.errors:
        lines += ["Errors:", *(line for error in view.errors for line in _error(error))]
    if view.warnings:
        lines += ["Warnings:", *(line for warning in view.warnings for line in _error(warning))]
    return lines


def _error(error: ErrorView) -> list[str]:
    told = [f"  {clean(error.step or 'run')}: {_brief(error)}"]
    told += [f"    {clean(error.detail)}"] if error.detail else []
    return [*told, f"    Hint: {clean(as_typed(error.hint))}"] if error.hint else told


def next_lines(view: RunView, program: str, graph: PlanGraph | None = None) -> list[str]:
    """What is allowed now, as commands. ``graph`` (the plan's) tells which steps are gates."""
    commands = next_commands(view, program, graph)
    return ["Allowed now:", *(f"  {command}" for command in commands)] if commands else []


def outcome_lines(view: RunView, program: str, graph: PlanGraph | None = None) -> list[str]:
    """How a run that was watched stands now: what a command leaves on stdout."""
    return [*status_head(view), *error_lines(view), *next_lines(view, program, graph)]


def plan_grid(plans: Iterable[Plan]) -> Grid:
    """The plans an app has."""
    rows = tuple(
        Row((clean(each.name), clean(each.version), str(len(each.steps)), each.on_failure, clean(each.description))) for each in plans
    )
    return Grid(("PLAN", "VERSION", "STEPS", "ON FAILURE", "DESCRIPTION"), rows)


def run_grid(page: RunPage) -> Grid:
    """A page of runs, newest first."""
    rows = (
        Row(
            (labelled(run.status), clean(run.subject), clean(run.plan), f"{run.progress:.0%}", moment(run.created_at), clean(run.id)),
            mark_of(run.status).style,
        )
        for run in page.items
    )
    return Grid(("STATUS", "SUBJECT", "PLAN", "DONE", "CREATED", "RUN"), tuple(rows))


def preview_head(preview: Preview) -> list[str]:
    """What a run of the plan would do, in a sentence or two."""
    skipped = len(preview.skipped)
    would = f"{several(len(preview.steps) - skipped, 'step')} would run, {several(skipped, 'step')} would be skipped"
    on_failure = _ON_FAILURE.get(preview.on_failure, preview.on_failure)
    return [
        f"Plan {clean(preview.plan)}, version {clean(preview.version)}: {would}.",
        f"When a step fails: {on_failure}.",
        f"Longest chain: {' -> '.join(clean(name) for name in preview.critical_path) or 'none'}.",
    ]


_ON_FAILURE = {
    "finish": "independent branches go on, then the run is FAILED",
    "halt": "nothing new starts, then the run is FAILED",
    "rollback": "everything is rolled back",
}


def preview_grid(preview: Preview) -> Grid:
    """The steps by the earliest moment they could start."""
    rows = (_preview_row(number, preview.steps[name]) for number, layer in enumerate(preview.layers, 1) for name in layer)
    return Grid(("TURN", "STEP", "NEEDS", "UNDO", "USUALLY", "REMARK"), tuple(rows))


def _preview_row(number: int, step: StepPreview) -> Row:
    usually = "" if step.expected_seconds is None else span(step.expected_seconds)
    return Row(
        (str(number), clean(step.name), listed(step.needs, 4), step.undo, usually, _remark(step)), "dim" if step.skipped else ""
    )


def _remark(step: StepPreview) -> str:
    if step.skipped:
        return f"skipped: {clean(step.skipped)}"
    kinds = [word for word, holds in (("gate", step.kind == "gate"), ("optional", step.optional)) if holds]
    return "; ".join([*kinds, *([clean(step.description)] if step.description else [])])
