"""A history as bars: one for each attempt, wait, doubt and compensation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from provisioning_core import Event, StepStatus
from provisioning_core.model import Bar, Timeline, timeline_of

BEGAN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def history(*lines: tuple[float, str, str | None, int | None], **data: Any) -> list[Event]:
    return [
        Event(run_id="r", seq=seq, at=at(when), type=kind, step=step, attempt=attempt, data=data)
        for seq, (when, kind, step, attempt) in enumerate(lines, 1)
    ]


def test_each_attempt_and_each_wait_is_a_bar_of_its_own() -> None:
    events = history(
        (0, "run.created", None, None),
        (1, "run.running", None, None),
        (1, "step.running", "a", 1),
        (2, "resource.recorded", "a", 1),
        (3, "step.retrying", "a", 1),
        (5, "step.running", "a", 2),
        (6, "step.succeeded", "a", 2),
        (7, "run.succeeded", None, None),
        message="no",
    )

    assert timeline_of(events) == Timeline(
        started_at=at(0),
        finished_at=at(7),
        bars=(
            Bar(step="a", kind="attempt", attempt=1, started_at=at(1), finished_at=at(3), outcome=StepStatus.RETRYING, message="no"),
            Bar(step="a", kind="wait", attempt=1, started_at=at(3), finished_at=at(5), outcome=StepStatus.RUNNING, message="no"),
            Bar(step="a", kind="attempt", attempt=2, started_at=at(5), finished_at=at(6), outcome=StepStatus.SUCCEEDED, message="no"),
        ),
    )


def test_gates_doubts_and_compensations_are_told_apart() -> None:
    events = history(
        (0, "run.created", None, None),
        (1, "step.waiting", "ok", None),
        (2, "step.succeeded", "ok", None),
        (2, "step.running", "a", 1),
        (3, "step.in_doubt", "a", 1),
        (4, "step.failed", "a", 1),
        (5, "step.compensating", "a", 1),
        (6, "step.compensated", "a", 1),
    )

    assert [(bar.step, bar.kind, bar.outcome) for bar in timeline_of(events).bars] == [
        ("ok", "gate", StepStatus.SUCCEEDED),
        ("a", "attempt", StepStatus.IN_DOUBT),
        ("a", "doubt", StepStatus.FAILED),
        ("a", "undo", StepStatus.COMPENSATED),
    ]


def test_what_lasts_has_no_end_and_a_run_that_moves_again_has_none_either() -> None:
    begun = history((0, "run.created", None, None), (1, "run.running", None, None), (1, "step.running", "a", 1))
    rested = history((0, "run.created", None, None), (1, "run.running", None, None), (2, "run.failed", None, None))
    again = history(*[(event.at.second, event.type, None, None) for event in rested], (3, "run.rolling_back", None, None))

    assert (timeline_of(begun).bars[0].finished_at, timeline_of(begun).finished_at) == (None, None)
    assert timeline_of(rested).finished_at == at(2)
    assert timeline_of(again).finished_at is None
    assert timeline_of([]) == Timeline()
