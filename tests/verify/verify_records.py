"""Runs as they could be recorded, and as they could not: one example for each way in which an invariant can be broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from provisioning_core.model import (
    Completion,
    Direction,
    ErrorInfo,
    Node,
    Phase,
    PlanGraph,
    RequestRecord,
    ResourceRecord,
    RunRecord,
    RunSnapshot,
    RunStatus,
    StepRecord,
    StepStatus,
)

R, S, F, C, P = RunStatus, StepStatus, Direction.FORWARD, Direction.COMPENSATE, Direction.PROBE
ENDED = {R.SUCCEEDED, R.FAILED, R.CANCELLED, R.ROLLED_BACK, R.ROLLBACK_FAILED}
BACK = {R.ROLLING_BACK, R.ROLLED_BACK, R.ROLLBACK_FAILED}
TROUBLE = ErrorInfo(code="x", message="x")

GRAPH = PlanGraph(
    plan="p",
    version="1",
    nodes=(
        Node(name="a", has_compensation=True, has_probe=True),
        Node(name="b", needs=("a",), has_compensation=True),
        Node(name="c", needs=("b",), has_compensation=True),
        Node(name="extra", needs=("a",), tolerates=("a",), optional=True),
        Node(name="gate", kind="gate"),
    ),
)
"""``a``, ``b`` and ``c`` in a row, an optional step behind ``a``, and a gate."""


def a_step(name: str, status: StepStatus = S.PENDING, **changes: Any) -> StepRecord:
    """A step as it stands when all is well; its token is its place in the plan, counted from one."""
    token = list(GRAPH.index).index(name) + 1
    begun = {"attempt": 1, "token": token}
    known: dict[StepStatus, dict[str, Any]] = {
        S.RUNNING: begun | {"live": F, "effect": True, "half_done": True, "engine": "e"},
        S.RETRYING: begun | {"effect": True, "next_attempt_at": 9.0},
        S.SUCCEEDED: begun | {"effect": True, "output": "1"},
        S.FAILED: begun | {"effect": True, "failures": 1},
        S.IN_DOUBT: begun | {"effect": True, "half_done": True, "next_attempt_at": 9.0},
        S.COMPENSATING: begun | {"effect": True, "live": C},
        S.COMPENSATED: begun,
        S.COMPENSATION_FAILED: begun | {"effect": True, "failures": 1},
        S.SKIPPED: {"skip_reason": "condition"},
    }
    is_gate = GRAPH.nodes[GRAPH.index[name]].is_gate
    return StepRecord(**{"name": name, "status": status, **({} if is_gate else known.get(status, {})), **changes})


def a_run(status: RunStatus, *steps: StepRecord, **changes: Any) -> RunSnapshot:
    """A run as it stands when all is well."""
    kept = {name: changes.pop(name) for name in ("resources", "completions", "requests", "graph") if name in changes}
    run = RunRecord(
        **{
            "id": "r",
            "plan": "p",
            "plan_version": "1",
            "fingerprint": "",
            "subject": "s",
            "status": status,
            "phase": Phase.BACK if status in BACK else Phase.FORWARD,
            "epoch": 1,
            "version": 5,
            "seq": 9,
            "token": 9,
            "started_at": None if status is R.PENDING else 1.0,
            "finished_at": 2.0 if status in ENDED else None,
            "runnable_at": 1.0 if status.moves else None,
            **changes,
        }
    )
    return RunSnapshot(run=run, **{"graph": GRAPH, "steps": {step.name: step for step in steps}, **kept})


def done(*but: str) -> list[StepRecord]:
    """All steps SUCCEEDED, but for these."""
    return [a_step(name, S.SUCCEEDED) for name in GRAPH.index if name not in but]


def changed(step: StepRecord, **changes: Any) -> StepRecord:
    return replace(step, **changes)


REQUEST = RequestRecord(id="q", run_id="r", verb="continue")

GOOD: dict[str, RunSnapshot] = {
    "new": a_run(R.PENDING),
    "new, with a skipped step": a_run(R.PENDING, a_step("a", S.SKIPPED)),
    "running": a_run(R.RUNNING, a_step("a", S.RUNNING)),
    "running, the next is ready": a_run(R.RUNNING, a_step("a", S.SUCCEEDED)),
    "waits for another attempt": a_run(R.RUNNING, a_step("a", S.RETRYING), a_step("gate", S.WAITING)),
    "waits for a gate": a_run(R.WAITING, *done("gate"), a_step("gate", S.WAITING)),
    "waits for a gate's time": a_run(R.WAITING, *done("gate"), a_step("gate", S.WAITING, deadline_at=5.0), runnable_at=5.0),
    "succeeded": a_run(R.SUCCEEDED, *done(), progress=1.0),
    "succeeded, the optional step failed": a_run(R.SUCCEEDED, *done("extra"), a_step("extra", S.FAILED)),
    "succeeded, a changed plan brought a step along": a_run(R.SUCCEEDED, *done("c")),
    "failed": a_run(R.FAILED, a_step("a", S.FAILED), a_step("b", S.BLOCKED), a_step("c", S.BLOCKED)),
    "failed, others go on": a_run(R.RUNNING, a_step("a", S.SUCCEEDED), a_step("b", S.FAILED), a_step("extra", S.RUNNING)),
    "failed, what stands behind is blocked": a_run(
        R.RUNNING, a_step("a", S.SUCCEEDED), a_step("b", S.FAILED), a_step("c", S.BLOCKED), a_step("extra", S.RETRYING)
    ),
    "a zombie after a failure": a_run(R.FAILED, a_step("a", S.FAILED, live=F, zombie=True)),
    "in doubt, the probe is under way": a_run(R.RUNNING, a_step("a", S.IN_DOUBT, live=P)),
    "rolling back": a_run(R.ROLLING_BACK, a_step("a", S.SUCCEEDED), a_step("b", S.COMPENSATING), a_step("c", S.COMPENSATED)),
    "run again": a_run(R.RUNNING, *done("c"), a_step("c", S.COMPENSATING, redo=True), phase=Phase.REDO),
    "rolled back": a_run(R.ROLLED_BACK, a_step("a", S.COMPENSATED), a_step("b", S.CANCELLED), a_step("gate", S.SUCCEEDED)),
    "set aside": a_run(R.RUNNING, a_step("a", S.RUNNING), attention=TROUBLE, runnable_at=None),
    "set aside, a verb waits": a_run(R.RUNNING, attention=TROUBLE, runnable_at=1.0, requests=(REQUEST,)),
    "a verb waits": a_run(R.FAILED, a_step("a", S.FAILED), requests=(REQUEST,), runnable_at=1.0),
    "cancelling": a_run(R.CANCELLING, a_step("a", S.RUNNING), a_step("b", S.CANCELLED), cancel_rollback=True),
    "pausing": a_run(R.RUNNING, a_step("a", S.RUNNING), pausing=True),
    "forced": a_run(R.ROLLING_BACK, a_step("a", S.COMPENSATING), forced=True, rollback_to="gate"),
}

_alone = a_step("a", S.RUNNING)
BROKEN: list[tuple[str, str, RunSnapshot]] = [
    ("counts_make_sense", "a negative token", a_run(R.PENDING, token=-1)),
    ("counts_make_sense", "an owner without epoch", a_run(R.PENDING, epoch=0, owner="e")),
    ("counts_make_sense", "too much progress", a_run(R.PENDING, progress=1.5)),
    ("counts_make_sense", "no version", a_run(R.PENDING, version=0)),
    ("counts_make_sense", "a negative attempt", a_run(R.RUNNING, changed(_alone, attempt=-1))),
    ("counts_make_sense", "round 0", a_run(R.RUNNING, changed(_alone, round=0))),
    ("counts_make_sense", "more failures than tokens", a_run(R.RUNNING, changed(_alone, failures=2))),
    ("phase_fits_status", "RUNNING, going back", a_run(R.RUNNING, _alone, phase=Phase.BACK)),
    ("phase_fits_status", "ROLLED_BACK, going forward", a_run(R.ROLLED_BACK, phase=Phase.FORWARD)),
    ("phase_fits_status", "SUCCEEDED in a redo", a_run(R.SUCCEEDED, *done(), phase=Phase.REDO)),
    ("phase_fits_status", "a target without rollback", a_run(R.RUNNING, _alone, rollback_to="a")),
    ("phase_fits_status", "forced without rollback", a_run(R.RUNNING, _alone, forced=True)),
    ("phase_fits_status", "pausing while it waits", a_run(R.PAUSED, pausing=True)),
    ("phase_fits_status", "to be rolled back, and not cancelling", a_run(R.RUNNING, _alone, cancel_rollback=True)),
    ("times_fit_status", "ended while RUNNING", a_run(R.RUNNING, _alone, finished_at=2.0)),
    ("times_fit_status", "SUCCEEDED without end", a_run(R.SUCCEEDED, *done(), finished_at=None)),
    ("times_fit_status", "RUNNING without start", a_run(R.RUNNING, _alone, started_at=None)),
    ("steps_known", "a step of another plan", a_run(R.PENDING, StepRecord(name="z"))),
    ("attempt_fits_status", "RUNNING, nothing under way", a_run(R.RUNNING, changed(_alone, live=None))),
    ("attempt_fits_status", "RUNNING, given up", a_run(R.RUNNING, changed(_alone, zombie=True))),
    ("attempt_fits_status", "under way, but FAILED", a_run(R.RUNNING, a_step("a", S.FAILED, live=F))),
    ("attempt_fits_status", "compensated while SUCCEEDED", a_run(R.ROLLING_BACK, a_step("a", S.SUCCEEDED, live=C))),
    ("attempt_fits_status", "asked while RETRYING", a_run(R.RUNNING, a_step("a", S.RETRYING, live=P))),
    ("attempt_fits_status", "a zombie that is not there", a_run(R.RUNNING, a_step("a", S.RETRYING, zombie=True))),
    (
        "attempt_fits_status",
        "a gate with an attempt",
        a_run(R.RUNNING, a_step("gate", S.IN_DOUBT, live=P, half_done=True, effect=True, token=1)),
    ),
    ("effect_fits_status", "an effect of nothing", a_run(R.PENDING, a_step("a", effect=True))),
    ("effect_fits_status", "half done without effect", a_run(R.FAILED, a_step("a", S.FAILED, effect=False, half_done=True))),
    ("effect_fits_status", "RUNNING with a known outcome", a_run(R.RUNNING, changed(_alone, half_done=False))),
    ("effect_fits_status", "IN_DOUBT with a known outcome", a_run(R.RUNNING, a_step("a", S.IN_DOUBT, half_done=False))),
    ("effect_fits_status", "nothing to compensate", a_run(R.ROLLBACK_FAILED, a_step("a", S.COMPENSATION_FAILED, effect=False))),
    ("effect_fits_status", "SUCCEEDED without effect", a_run(R.PAUSED, a_step("a", S.SUCCEEDED, effect=False))),
    ("effect_fits_status", "SUCCEEDED, unknown", a_run(R.PAUSED, a_step("a", S.SUCCEEDED, half_done=True))),
    ("effect_fits_status", "COMPENSATED, with effect", a_run(R.PAUSED, a_step("a", S.COMPENSATED, effect=True))),
    ("effect_fits_status", "COMPENSATED, with output", a_run(R.PAUSED, a_step("a", S.COMPENSATED, output="1"))),
    ("waits_for_something", "RETRYING without time", a_run(R.RUNNING, a_step("a", S.RETRYING, next_attempt_at=None))),
    ("waits_for_something", "WAITING, but no gate", a_run(R.WAITING, a_step("a", S.WAITING))),
    ("tokens_grow", "larger than the run's", a_run(R.RUNNING, changed(_alone, token=10))),
    ("tokens_grow", "the same twice", a_run(R.RUNNING, _alone, a_step("extra", S.FAILED, token=1))),
    ("tokens_grow", "under way without", a_run(R.RUNNING, a_step("a", S.IN_DOUBT, live=P, token=0, attempt=0))),
    ("tokens_grow", "of a resource", a_run(R.RUNNING, _alone, resources=(ResourceRecord(step="a", kind="k", id="1", token=10),))),
    ("tokens_grow", "of an output", a_run(R.RUNNING, _alone, completions=(Completion(step="a", token=10),))),
    ("redo_in_redo", "marked, going forward", a_run(R.RUNNING, changed(_alone, redo=True))),
    ("resting_is_quiet", "FAILED, under way", a_run(R.FAILED, _alone)),
    ("resting_is_quiet", "CANCELLED, a zombie lives", a_run(R.CANCELLED, a_step("a", S.CANCELLED, live=F, zombie=True, token=1))),
    ("pending_is_untouched", "begun", a_run(R.PENDING, a_step("a", S.FAILED))),
    ("success_is_complete", "a required step failed", a_run(R.SUCCEEDED, *done("c"), a_step("c", S.FAILED))),
    ("success_is_complete", "a step is in doubt", a_run(R.SUCCEEDED, *done("c"), a_step("c", S.IN_DOUBT))),
    ("rolled_back_clean", "an effect is left", a_run(R.ROLLED_BACK, a_step("a", S.SUCCEEDED))),
    ("rolled_back_clean", "something is under way", a_run(R.ROLLED_BACK, a_step("a", S.CANCELLED, live=F, zombie=True, token=1))),
    ("rolled_back_clean", "a step is open", a_run(R.ROLLED_BACK, a_step("a"))),
    ("order_forward", "before what it needs", a_run(R.RUNNING, a_step("b", S.RUNNING))),
    ("order_forward", "behind what was skipped", a_run(R.RUNNING, a_step("a", S.SKIPPED), a_step("b", S.RUNNING))),
    ("order_back", "before its dependent", a_run(R.ROLLING_BACK, a_step("a", S.COMPENSATING), a_step("b", S.SUCCEEDED))),
    (
        "order_back",
        "before what stands farther behind",
        a_run(R.ROLLING_BACK, a_step("a", S.COMPENSATING), a_step("b", S.COMPENSATED), a_step("c", S.SUCCEEDED)),
    ),
    (
        "blocked_has_cause",
        "nothing failed",
        a_run(R.RUNNING, a_step("a", S.SUCCEEDED), a_step("b", S.BLOCKED), a_step("extra", S.RUNNING)),
    ),
    ("moving_can_move", "RUNNING, nothing to do", a_run(R.RUNNING, *done("gate"), a_step("gate", S.WAITING))),
    ("moving_can_move", "CANCELLING, nothing under way", a_run(R.CANCELLING, a_step("a", S.CANCELLED))),
    ("moving_can_move", "ROLLING_BACK, nothing left", a_run(R.ROLLING_BACK, a_step("a", S.COMPENSATED))),
    ("moving_is_found", "without time", a_run(R.RUNNING, _alone, runnable_at=None)),
    ("resting_has_no_timer", "FAILED, looked for", a_run(R.FAILED, a_step("a", S.FAILED), runnable_at=1.0)),
    ("resting_has_no_timer", "set aside, looked for", a_run(R.RUNNING, _alone, attention=TROUBLE)),
    ("waiting_has_timer", "a gate's time is lost", a_run(R.WAITING, a_step("gate", S.WAITING, deadline_at=5.0))),
    ("requests_are_found", "a verb is lost", a_run(R.FAILED, a_step("a", S.FAILED), requests=(REQUEST,))),
]
