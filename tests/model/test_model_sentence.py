"""A run in one sentence, whatever its status."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning_core import ErrorView, Retry, RunStatus, RunView, StepStatus, StepView
from provisioning_core.model import Node, PlanGraph, sentence

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
S, R = StepStatus, RunStatus
DECLINED = ErrorView(step="billing", code="card_declined", message="The card was declined.")


def step(name: str, status: StepStatus, **more: Any) -> StepView:
    return StepView(name=name, status=status, **more)


def told(status: RunStatus, *steps: StepView, **more: Any) -> str:
    known: dict[str, Any] = {"id": "r", "plan": "p", "plan_version": "1", "subject": "acme", "progress": 0.5, "is_resting": True}
    view = RunView(status=status, steps={each.name: each for each in steps}, **(known | more))
    graph = PlanGraph(plan="p", version="1", nodes=(Node(name="certificate", retry=Retry(attempts=5)),))
    return sentence(view, now=NOW, graph=graph)


RUNNING = step("a", S.RUNNING)
RETRYING = step(
    "certificate",
    S.RETRYING,
    attempt=2,
    next_attempt_at=NOW + timedelta(seconds=23),
    error=ErrorView(step="certificate", code="dns", message="It is not ready yet."),
)


@pytest.mark.parametrize(
    ("status", "steps", "wanted"),
    [
        (R.PENDING, [step("a", S.PENDING)], "It begins as soon as an engine takes it up."),
        (R.RUNNING, [step("a", S.RUNNING, attempt=1, message="creating tables.")], "Working on a: creating tables."),
        (R.RUNNING, [step("certificate", S.RUNNING, attempt=2)], "Working on certificate (attempt 2 of 5)."),
        (R.RUNNING, [step(name, S.RUNNING) for name in "abcde"], "Working on a, b, c and 2 more."),
        (R.RUNNING, [RETRYING], "Waiting 23 s before attempt 3 of 5 of certificate: It is not ready yet."),
        (
            R.RUNNING,
            [RUNNING, step("b", S.RETRYING, attempt=1)],
            "Working on a. Waiting a moment before attempt 2 of b.",
        ),
        (R.RUNNING, [step("a", S.RUNNING), step("ok", S.WAITING)], "Working on a. Waiting for a signal at ok."),
        (R.WAITING, [step("ok", S.WAITING, next_attempt_at=NOW)], "Waiting for a signal at ok (until 2026-03-01 12:00:00Z)."),
        (
            R.WAITING,
            [step("a", S.IN_DOUBT)],
            "It waits for a person. Nobody knows whether a had its effect: look there, then resolve it.",
        ),
        (R.PAUSED, [step("a", S.PENDING)], "Nothing new starts until somebody continues it."),
        (R.CANCELLING, [step("a", S.RUNNING)], "Stopping: waiting for a to end."),
        (R.CANCELLED, [step("a", S.CANCELLED)], "It was cancelled; 0 of 1 step done. It can be continued or rolled back."),
        (R.ROLLING_BACK, [step("a", S.COMPENSATING), step("b", S.COMPENSATED)], "Undoing a: 1 step undone so far."),
        (R.ROLLING_BACK, [step("a", S.RUNNING)], "Waiting for a to end before it is undone."),
    ],
)
def test_it_says_what_happens_and_what_it_waits_for(status: RunStatus, steps: list[StepView], wanted: str) -> None:
    assert told(status, *steps) == wanted


def test_a_success_says_how_long_it_took_and_what_it_went_without() -> None:
    warning = ErrorView(step="analytics", code="x", message="no")
    view = told(R.SUCCEEDED, step("a", S.SUCCEEDED), started_at=NOW, finished_at=NOW + timedelta(seconds=12), warnings=(warning,))

    assert view == "All of it is done (1 step); it took 12 s. Went on without analytics, which is optional."


def test_a_failure_says_what_failed_and_what_stands_behind_it() -> None:
    steps = [step("billing", S.FAILED, attempt=3), step("mail", S.BLOCKED)]

    assert told(R.FAILED, *steps, errors=(DECLINED,)) == (
        "It stopped: billing failed after 3 attempts: The card was declined. 1 step behind it did not run. It waits for a person."
    )
    assert told(R.ROLLED_BACK, step("billing", S.COMPENSATED), errors=(DECLINED,)) == (
        "Everything that was done has been undone; nothing is left. Before that, billing failed: The card was declined."
    )


def test_what_could_not_be_undone_is_named() -> None:
    error = ErrorView(step="bucket", code="x", message="It is not empty.")

    assert told(R.ROLLBACK_FAILED, step("bucket", S.COMPENSATION_FAILED, error=error)) == (
        "bucket could not be undone: It is not empty. It waits for a person: retry the undoing, or resolve it by hand."
    )


def test_a_message_without_a_full_stop_gets_one() -> None:
    bare = ErrorView(step="billing", code="x", message="no money")

    assert told(R.FAILED, step("billing", S.FAILED), errors=(bare,)) == "It stopped: billing failed: no money. It waits for a person."


def test_a_run_that_was_set_aside_says_so_first() -> None:
    aside = ErrorView(step=None, code="quarantined", message="Provisioning was stopped and needs a person's attention.")

    assert told(R.RUNNING, step("a", S.RUNNING), errors=(aside,)) == "Provisioning was stopped and needs a person's attention."


def test_a_verb_that_is_recorded_and_not_carried_out_yet_is_told() -> None:
    assert told(R.FAILED, step("a", S.FAILED), is_resting=False) == "What was asked for is recorded, and carried out in a moment."


def test_names_are_made_safe_one_by_one() -> None:
    steps = {"a": step("a", S.RUNNING, message="m")}
    view = RunView(
        id="r",
        plan="p",
        plan_version="1",
        subject="x",
        status=R.RUNNING,
        progress=0.0,
        steps=steps,
    )

    assert sentence(view, now=NOW, safe=lambda text: f"<{text}>") == "Working on <a>: <m>."


def test_what_can_not_be_undone_is_not_said_to_be_gone() -> None:
    left = ErrorView(step="mail", code="irreversible", message="This step can't be undone; what it did is left as it is.")
    steps = step("database", S.COMPENSATED), step("mail", S.COMPENSATED)

    assert told(R.ROLLED_BACK, *steps, warnings=(left,)) == "Everything that was done has been undone, but for what can't be: mail."
