"""Each invariant of a history: a real run's history holds, and each way to break it is told with its code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from verify_shop import Shop, line, where

from provisioning_core import RunStatus, StepStatus
from provisioning_core.machine import INVARIANTS
from provisioning_core.model import EventRecord
from provisioning_core.testing import verify_history

Lines = list[EventRecord]
Breaking = Callable[[Shop, str], None]
R, S = RunStatus, StepStatus


def succeeded(shop: Shop) -> str:
    return shop.start(shop.engine().engine)


def failed(shop: Shop) -> str:
    shop.failing["b"] = -1
    return succeeded(shop)


def without(type_: str, step: str | None = None) -> Callable[[Lines], Lines]:
    return lambda events: [event for place, event in enumerate(events) if place != where(events, type_, step)]


def swapped(first: tuple[str, str | None], second: tuple[str, str | None]) -> Callable[[Lines], Lines]:
    def edit(events: Lines) -> Lines:
        one, other = where(events, *first), where(events, *second)
        events[one], events[other] = events[other], events[one]
        return events

    return edit


def with_lines(*lines: EventRecord, behind: tuple[str, str | None]) -> Callable[[Lines], Lines]:
    def edit(events: Lines) -> Lines:
        place = where(events, *behind) + 1
        return [*events[:place], *(replace(each, run_id=events[0].run_id) for each in lines), *events[place:]]

    return edit


def codes(shop: Shop) -> set[str]:
    found = verify_history(shop.world.store)
    assert all(violation.code in INVARIANTS and violation.text.endswith(".") for violation in found)
    return {violation.code for violation in found}


def test_a_missing_line_is_told(shop: Shop) -> None:
    kept = shop.kept(succeeded(shop))
    kept.events = [event for event in kept.events if event.seq != 3]
    assert "events_gapless" in codes(shop)


def test_a_line_that_is_there_twice_is_told(shop: Shop) -> None:
    kept = shop.kept(succeeded(shop))
    kept.events.insert(3, kept.events[3])
    assert "events_gapless" in codes(shop)


def test_a_line_of_another_run_is_told(shop: Shop) -> None:
    kept = shop.kept(succeeded(shop))
    kept.events[3] = replace(kept.events[3], run_id="other")
    assert codes(shop) == {"events_gapless"}


def test_lost_last_lines_are_told(shop: Shop) -> None:
    kept = shop.kept(succeeded(shop))
    kept.events.pop()
    assert "events_gapless" in codes(shop)


def test_lines_that_the_record_does_not_know_are_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    kept = shop.kept(run_id)
    kept.events.append(replace(line("note.written"), run_id=run_id, seq=kept.run.seq + 1))
    assert codes(shop) == {"events_gapless"}


def test_a_history_without_a_beginning_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_events(run_id, without("run.created"))
    assert codes(shop) == {"created_once"}


def test_a_second_beginning_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_events(run_id, with_lines(line("run.created"), behind=("run.running", None)))
    assert codes(shop) == {"created_once"}


def test_a_move_that_no_table_has_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_events(run_id, with_lines(line("step.succeeded", "b", **{"from": "FAILED"}), behind=("step.failed", "b")))
    shop.edit_step(run_id, "b", status=S.SUCCEEDED)
    assert "moves_legal" in codes(shop)


def test_a_run_s_move_that_no_table_has_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_events(run_id, with_lines(line("run.succeeded", **{"from": "FAILED"}), behind=("run.failed", None)))
    shop.edit_run(run_id, status=R.SUCCEEDED)
    assert "moves_legal" in codes(shop)


def test_a_step_s_move_that_is_missing_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_events(run_id, without("step.running", "b"))
    assert codes(shop) == {"chains_join"}


def test_a_run_s_move_that_is_missing_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_events(run_id, without("run.running"))
    assert "chains_join" in codes(shop)


def test_a_move_that_begins_nowhere_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_events(run_id, with_lines(line("run.failed", **{"from": "NOWHERE"}), behind=("run.failed", None)))
    assert "chains_join" in codes(shop)


def test_a_step_that_stands_elsewhere_than_its_history_ends_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_step(run_id, "extra", status=S.FAILED)
    assert codes(shop) == {"chains_join"}


def test_a_run_that_stands_elsewhere_than_its_history_ends_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_run(run_id, status=R.CANCELLED)
    assert "chains_join" in codes(shop)


def test_a_finished_step_that_is_begun_again_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    again = [
        line("step.pending", "extra", **{"from": "SUCCEEDED"}),
        line("step.running", "extra", **{"from": "PENDING"}, attempt=1),
        line("step.succeeded", "extra", **{"from": "RUNNING"}),
    ]
    shop.edit_events(run_id, with_lines(*again, behind=("step.succeeded", "extra")))
    assert "success_final" in codes(shop)


def test_a_person_may_name_it(shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)
    front.retry("acme", steps=["extra"])
    shop.world.settle()
    assert codes(shop) == set()
    shop.edit_events(run_id, without("retry.requested"))
    assert codes(shop) == {"success_final", "undone_in_rollback"}


def test_a_person_s_wish_counts_once(shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)
    front.retry("acme", steps=["extra"])
    shop.world.settle()
    again = [
        line("step.compensating", "extra", **{"from": "SUCCEEDED"}),
        line("step.compensated", "extra", **{"from": "COMPENSATING"}),
    ]

    def edit(events: Lines) -> Lines:
        place = max(place for place, event in enumerate(events) if (event.type, event.step) == ("step.succeeded", "extra"))
        return [*events[: place + 1], *(replace(each, run_id=run_id) for each in again), *events[place + 1 :]]

    shop.edit_events(run_id, edit)
    assert codes(shop) >= {"success_final", "undone_in_rollback"}


def test_naming_another_step_does_not_help(shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)
    front.retry("acme", steps=["b"])
    shop.world.settle()
    named = replace(line("retry.requested"), data={"steps": ["last"]})
    shop.edit_events(run_id, lambda events: [named if event.type == "retry.requested" else event for event in events])
    assert "success_final" in codes(shop)


def test_a_step_that_started_before_what_it_needs_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_events(run_id, swapped(("step.succeeded", "a"), ("step.running", "b")))
    assert codes(shop) == {"order_forward"}


def test_a_step_that_started_behind_one_that_delivered_nothing_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    kept = shop.kept(run_id)
    skipped = line("step.skipped", "a", **{"from": "PENDING", "reason": "condition"})
    edited = [event for event in kept.events if event.type == "run.created" or event.step != "a"]
    kept.events = edited
    shop.edit_events(run_id, with_lines(skipped, behind=("run.created", None)))
    shop.edit_step(run_id, "a", status=S.SKIPPED)
    kept.resources.clear()
    assert codes(shop) >= {"order_forward"}


def test_a_gate_that_was_reached_before_what_it_needs_is_told(shop: Shop) -> None:
    front = shop.engine(shop.gated()).engine
    run_id = shop.start(front, "gated")
    shop.edit_events(run_id, swapped(("step.succeeded", "first"), ("step.waiting", "approval")))
    assert codes(shop) == {"order_forward"}


def test_a_step_that_started_after_a_cancel_is_told(shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.begin(front)
    shop.world.turn()
    shop.world.calls[0].run()
    shop.world.turn()
    front.cancel("acme")
    shop.world.settle()
    shop.edit_events(run_id, swapped(("step.running", "b"), ("run.cancelling", None)))
    assert "start_while_running" in codes(shop)


@pytest.fixture
def undone(shop: Shop) -> str:
    front = shop.engine().engine
    run_id = shop.start(front)
    front.rollback("acme")
    shop.world.settle()
    assert codes(shop) == set()
    return run_id


def test_a_compensation_that_began_before_its_dependent_s_is_told(shop: Shop, undone: str) -> None:
    shop.edit_events(undone, swapped(("step.compensating", "a"), ("step.compensated", "b")))
    assert codes(shop) >= {"order_back"}


def test_a_compensation_outside_a_rollback_is_told(shop: Shop, undone: str) -> None:
    shop.edit_events(undone, swapped(("step.compensating", "last"), ("run.rolling_back", None)))
    assert codes(shop) >= {"undone_in_rollback", "success_final"}


def test_a_compensation_while_the_run_rests_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_events(run_id, with_lines(line("step.compensating", "b", **{"from": "FAILED"}), behind=("run.failed", None)))
    assert "undone_in_rollback" in codes(shop)


def test_a_blocked_step_without_a_cause_is_told(shop: Shop) -> None:
    run_id = failed(shop)
    shop.edit_events(run_id, swapped(("step.failed", "b"), ("step.blocked", "last")))
    assert codes(shop) == {"blocked_has_cause"}


def test_attempts_that_are_not_counted_are_told(shop: Shop) -> None:
    shop.failing["b"] = 1
    run_id = succeeded(shop)
    shop.edit_events(run_id, lambda events: [replace(each, attempt=1) if each.type == "step.running" else each for each in events])
    assert codes(shop) == {"attempts_counted"}


@pytest.mark.parametrize(
    ("shape", "status", "at_fault"),
    [
        (failed, R.SUCCEEDED, {"b", "last"}),
        (failed, R.WAITING, set()),
        (failed, R.ROLLBACK_FAILED, set()),
        (succeeded, R.FAILED, set()),
        (succeeded, R.ROLLED_BACK, {"a", "b", "extra", "last"}),
    ],
)
def test_a_run_s_status_that_its_steps_do_not_explain_is_told(
    shape: Callable[[Shop], str], status: RunStatus, at_fault: set[str], shop: Shop
) -> None:
    run_id = shape(shop)
    last = f"run.{status.lower()}"
    shop.edit_events(run_id, lambda events: [*events[:-1], replace(events[-1], type=last)])
    shop.edit_run(run_id, status=status)
    found = [violation for violation in verify_history(shop.world.store) if violation.code == "status_explained"]
    assert {violation.step for violation in found if violation.step} == at_fault
    assert found


@pytest.mark.parametrize("status", [R.CANCELLED, R.FAILED, R.PAUSED])
def test_a_run_that_rests_while_a_step_is_running_is_told(status: RunStatus, shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.begin(front)
    shop.world.turn()
    shop.edit_events(run_id, lambda events: [*events, replace(line(f"run.{status.lower()}", **{"from": "RUNNING"}), run_id=run_id)])
    shop.edit_run(run_id, status=status)
    assert "status_explained" in codes(shop)


def test_a_ledger_entry_that_is_lost_is_told(shop: Shop) -> None:
    kept = shop.kept(succeeded(shop))
    kept.resources.popitem()
    assert codes(shop) == {"resources_kept"}


def test_a_ledger_entry_of_no_step_is_told(shop: Shop) -> None:
    kept = shop.kept(succeeded(shop))
    key, entry = next(iter(kept.resources.items()))
    kept.resources["z", key[1], key[2]] = replace(entry, step="z")
    assert codes(shop) == {"steps_known"}


def test_a_line_of_no_step_is_told(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_events(run_id, with_lines(line("step.running", "z", **{"from": "PENDING"}), behind=("run.running", None)))
    assert codes(shop) == {"steps_known"}


def test_lines_that_a_later_version_may_write_are_passed_over(shop: Shop) -> None:
    run_id = succeeded(shop)
    shop.edit_events(
        run_id, with_lines(line("step.admired", "a"), line("run.admired"), line("moon.full"), behind=("run.running", None))
    )
    assert codes(shop) == set()


def test_against_a_changed_plan_nothing_is_guessed(shop: Shop) -> None:
    """Before it was adopted the plan was another one; where its steps stand is known again from their next line on."""
    shop.failing["b"] = -1
    first = shop.engine(shop.plan())
    run_id = shop.start(first.engine)
    first.close()
    shop.failing.clear()
    changed = shop.engine(shop.plan(version="2", but=["extra", "last"]))
    changed.engine.adopt_plan("acme")
    changed.engine.continue_("acme")
    shop.world.settle()
    assert "plan.adopted" in [event.type for event in shop.kept(run_id).events]
    assert shop.status(run_id) is R.SUCCEEDED
    assert codes(shop) == set()
    shop.edit_events(run_id, lambda events: [*events[: _last_start(events)], *events[_last_start(events) + 1 :]])
    assert codes(shop) == {"chains_join"}


def _last_start(events: Lines) -> int:
    return max(place for place, event in enumerate(events) if event.type == "step.running")


def test_a_step_that_a_plan_loses_and_gets_back_begins_anew(shop: Shop) -> None:
    first = shop.engine(shop.plan())
    run_id = shop.start(first.engine)
    first.engine.rollback("acme", to="a")
    shop.world.settle()
    first.close()
    without_it = shop.engine(shop.plan(version="2", but=["extra", "last"]))
    without_it.engine.adopt_plan("acme")
    shop.world.settle()
    without_it.close()
    assert "extra" not in shop.kept(run_id).steps
    assert codes(shop) == set()
    front = shop.engine(shop.plan(version="3")).engine
    front.adopt_plan("acme")
    front.continue_("acme")
    shop.world.settle()
    assert shop.status(run_id) is R.SUCCEEDED
    assert codes(shop) == set()
