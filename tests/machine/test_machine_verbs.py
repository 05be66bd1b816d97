"""What people may ask for: pause, cancel, retry, continue, skip, resolve; and what is refused."""

from __future__ import annotations

import pytest
from machine_world import World, gate, plan, state_of, twice

from provisioning_core import machine as m
from provisioning_core.errors import Conflict, InvalidInput
from provisioning_core.model import Phase, RunRecord, RunStatus


def failed(drawing: str = "a, b: a, c", on_failure: str = "finish", **options: object) -> World:
    """``a`` has failed, everything else that could run is done."""
    world = World(plan(drawing, on_failure, **options))  # type: ignore[arg-type]
    world.offer()
    world.fail("a", retryable=False)
    assert world.finish() == "FAILED"
    world.launched.clear()
    return world


def succeeded(drawing: str, **options: object) -> World:
    world = World(plan(drawing, **options))  # type: ignore[arg-type]
    assert world.finish() == "SUCCEEDED"
    world.launched.clear()
    return world


# pause


def test_a_paused_run_starts_nothing_new_and_rests_when_what_runs_has_ended() -> None:
    world = World(plan("a, b: a"))
    world.offer()
    world.pause()
    assert (world.status, world.machine.run_fields()["pausing"], world.stopped) == ("RUNNING", True, [])
    assert "pause" not in world.machine.allowed_actions()
    world.ok("a")
    assert (world.status, world.offer(), world.is_(a="succeeded", b="pending")) == ("PAUSED", [], True)
    world.go_on()
    assert (world.status, world.offer()) == ("RUNNING", ["b"])


def test_a_pause_can_be_taken_back_before_the_run_rests() -> None:
    world = World(plan("a, b: a"))
    world.offer()
    world.pause()
    assert "continue" in world.machine.allowed_actions()
    world.go_on()
    assert (world.status, world.machine.run_fields()["pausing"]) == ("RUNNING", False)
    world.ok("a")
    assert (world.status, world.offer()) == ("RUNNING", ["b"])


def test_what_was_ready_when_the_pause_was_asked_for_waits_too() -> None:
    world = World(plan("a, b"))
    world.offer(1)
    world.pause()
    assert (world.machine.wanting, world.offer()) == (0, [])
    world.ok("a")
    assert (world.status, world.is_(a="succeeded", b="pending")) == ("PAUSED", True)


def test_a_pause_holds_over_a_crash() -> None:
    world = World(plan("a, b: a"))
    world.offer()
    world.pause()
    world.crash(left=["a"])
    assert (world.status, world.offer()) == ("PAUSED", [])


def test_a_pause_stops_what_waits_for_its_next_attempt_without_losing_it() -> None:
    world = World(plan("a", a={"retry": twice()}))
    world.offer()
    world.fail("a")
    world.pause()
    world.wait(10.0)
    assert (world.status, world.offer()) == ("PAUSED", [])
    world.go_on()
    assert world.offer() == ["a"]


def test_a_run_can_be_paused_before_it_begins_and_while_it_waits() -> None:
    world = World(plan("g", g=gate()))
    world.pause()
    assert world.run_states == ["PENDING", "RUNNING", "WAITING", "PAUSED"]
    fresh = m.Machine(world.graph, RunRecord(id="r", plan="p", plan_version="1", fingerprint="", subject="s"), {})
    fresh.handle(m.PauseRequested(at=1.0))
    assert fresh.status is RunStatus.PAUSED


def test_a_failure_while_pausing_still_turns_the_run_round_if_the_plan_says_so() -> None:
    world = World(plan("a", "rollback"))
    world.offer()
    world.pause()
    world.fail("a")
    assert world.status == "ROLLING_BACK"


# cancel


def test_a_cancelled_run_asks_what_runs_to_end_and_waits_for_it() -> None:
    world = World(plan("a, b: a, c, d, g", c={"retry": twice()}, g=gate(delay=5.0)))
    world.offer()
    world.fail("c")
    world.ok("d")
    world.cancel()
    assert (world.status, world.stopped) == ("CANCELLING", ["a"])
    assert world.steps == {"a": "RUNNING", "b": "CANCELLED", "c": "CANCELLED", "d": "SUCCEEDED", "g": "CANCELLED"}
    world.wait(20.0)
    assert world.offer() == []
    world.fail("a")
    assert (world.is_(a="cancelled"), world.status) == (True, "CANCELLED")


def test_a_step_that_succeeds_while_the_run_is_cancelled_has_succeeded() -> None:
    world = World(plan("a, b: a"))
    world.offer()
    world.cancel()
    world.ok("a")
    assert (world.steps, world.status) == ({"a": "SUCCEEDED", "b": "CANCELLED"}, "CANCELLED")


def test_a_run_can_be_cancelled_before_it_begins_and_while_it_is_paused() -> None:
    fresh = m.Machine(plan("a"), RunRecord(id="r", plan="p", plan_version="1", fingerprint="", subject="s"), {})
    fresh.handle(m.CancelRequested(at=1.0))
    assert fresh.status is RunStatus.CANCELLED
    world = World(plan("a"))
    world.pause()
    world.cancel()
    assert world.run_states == ["PENDING", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED"]


def test_a_step_that_polls_while_the_run_is_cancelled_ends() -> None:
    world = World(plan("a"))
    world.offer()
    world.cancel()
    world.not_ready("a", after=5.0)
    assert (world.steps, world.status) == ({"a": "CANCELLED"}, "CANCELLED")


def test_a_cancelled_run_can_be_continued_and_does_only_what_is_not_done() -> None:
    world = World(plan("a, b: a, c: b"))
    world.offer()
    world.ok("a")
    world.cancel()
    world.go_on()
    world.launched.clear()
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["b", "c"]


# retry


def test_a_retry_gives_failed_steps_a_fresh_budget_and_leaves_finished_ones_alone() -> None:
    world = failed(a={"retry": twice()})
    world.retry()
    assert (world.is_(a="pending", b="pending", c="succeeded"), world.offer()) == (True, ["a"])
    world.fail("a")
    assert world.is_(a="retrying")
    world.wait(10.0)
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["a", "a", "b"]


def test_a_retry_frees_what_was_blocked_though_another_failure_remains_behind() -> None:
    world = World(plan("a, b, c: a, d: a b"))
    world.offer()
    world.fail("a")
    world.fail("b")
    assert world.is_(a="failed", b="failed", c="blocked", d="blocked")
    world.retry("a")
    world.offer()
    world.ok("a")
    assert world.finish() == "FAILED"
    assert world.steps == {"a": "SUCCEEDED", "b": "FAILED", "c": "SUCCEEDED", "d": "BLOCKED"}


def test_a_retry_keeps_the_round_so_that_the_idempotency_key_stays_the_same() -> None:
    world = failed()
    world.retry()
    world.offer()
    assert (world.machine.cell("a").round, world.machine.cell("a").attempt, world.attempt("a").token) == (1, 1, 3)


def test_named_steps_run_again_with_all_that_depends_on_them_undone_first() -> None:
    world = succeeded("a, b: a, c: b, d")
    world.retry("b")
    assert (world.status, world.machine.run_fields()["phase"]) == ("RUNNING", Phase.REDO)
    assert world.offer() == ["-c"]
    world.ok("c")
    assert world.offer() == ["-b"]
    world.ok("b")
    assert world.machine.run_fields()["phase"] is Phase.FORWARD
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["-c", "-b", "b", "c"]
    assert [world.machine.cell(step).round for step in "abcd"] == [1, 2, 2, 1]


def test_named_steps_without_a_compensation_simply_run_again() -> None:
    world = succeeded("a, b: a", a={"has_compensation": False}, b={"has_compensation": False})
    world.retry("a")
    assert world.offer() == ["a"]
    assert world.finish() == "SUCCEEDED"


def test_a_named_failed_step_runs_again_without_being_undone() -> None:
    world = failed()
    world.retry("a")
    assert world.offer() == ["a"]


@pytest.mark.parametrize("policy", ["hold", "rerun"])
def test_a_named_step_in_doubt_is_undone_first(policy: str) -> None:
    world = World(plan("a, b: a, c", a={"in_doubt": policy, "retry": twice(), "timeout": 5.0}))
    world.offer()
    world.ok("c")
    world.wait(5.0)
    world.fail("a")
    world.pause()
    world.retry("a")
    assert world.offer() == ["-a"]
    world.ok("a")
    assert world.offer() == ["a"]


def test_a_gate_behind_a_step_that_runs_again_waits_anew() -> None:
    world = World(plan("a, g: a, b: g", g=gate()))
    world.offer()
    world.ok("a")
    world.retry("a")
    assert world.is_(g="cancelled")
    world.offer()
    world.ok("a")
    assert (world.is_(g="pending", b="pending"), world.offer()) == (True, ["a"])
    world.ok("a")
    assert world.is_(g="waiting")


def test_running_again_waits_for_a_given_up_attempt_and_survives_crash_and_pause() -> None:
    world = succeeded("a, b: a")
    world.retry("a")
    world.offer()
    world.pause()
    world.crash(left=["b"])
    assert (world.status, world.machine.run_fields()["phase"]) == ("PAUSED", Phase.REDO)
    world.go_on()
    assert world.offer() == ["-b"]
    world.ok("b")
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["-b", "-b", "-a", "a", "b"]


def undo_failed_before_running_again() -> World:
    world = succeeded("a, b: a")
    world.retry("a")
    world.offer()
    world.fail("b")
    assert (world.status, world.steps) == ("FAILED", {"a": "SUCCEEDED", "b": "COMPENSATION_FAILED"})
    return world


def test_a_compensation_that_fails_before_running_again_fails_the_run_which_can_be_continued() -> None:
    world = undo_failed_before_running_again()
    world.go_on()
    assert world.offer() == ["-b"]
    world.ok("b")
    assert world.finish() == "SUCCEEDED"


def test_a_compensation_that_fails_before_running_again_can_be_done_by_hand() -> None:
    world = undo_failed_before_running_again()
    world.resolve("b", "compensated")
    assert world.status == "FAILED"
    world.go_on()
    assert world.offer() == ["-a"]


def test_a_compensation_that_failed_before_running_again_is_tried_again_by_a_rollback() -> None:
    world = undo_failed_before_running_again()
    world.rollback()
    assert world.offer() == ["-b"]
    assert world.finish() == "ROLLED_BACK"


def test_steps_can_not_be_named_or_skipped_while_others_are_undone() -> None:
    world = undo_failed_before_running_again()
    for verb in (m.RetryRequested(at=world.now, steps=("a",)), m.SkipRequested(at=world.now, step="a")):
        assert world.refuses(verb) is not None


def test_cancelling_while_steps_are_undone_to_run_again() -> None:
    world = succeeded("a, b: a")
    world.retry("a")
    world.offer()
    world.cancel()
    world.ok("b")
    assert (world.status, world.offer()) == ("CANCELLED", [])
    world.go_on()
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["-b", "-a", "a", "b"]


def test_a_named_step_must_take_part_in_the_run() -> None:
    world = World(plan("a, b"), skipped=["b"])
    world.finish()
    refusal = world.refuses(m.RetryRequested(at=world.now, steps=("b",)))
    assert refusal is not None
    assert (refusal.code, "b: the condition is false" in refusal.message) == ("step_not_in_run", True)


def test_running_again_leaves_out_what_the_conditions_leave_out() -> None:
    world = World(plan("a, b: a", b={"tolerates": ("a",)}), skipped=["b"])
    world.finish()
    world.retry("a")
    assert world.finish() == "SUCCEEDED"
    assert (world.launched, world.is_(b="skipped")) == (["a", "-a", "a"], True)


def test_a_retry_with_an_empty_list_is_no_request() -> None:
    with pytest.raises(InvalidInput):
        failed().handle(m.RetryRequested(at=1.0, steps=()))


def test_a_running_run_is_not_retried() -> None:
    world = World(plan("a"))
    for verb in (m.RetryRequested(at=1.0), m.RetryRequested(at=1.0, steps=("a",)), m.ContinueRequested(at=1.0)):
        refusal = world.refuses(verb)
        assert refusal is not None
        assert (refusal.status, refusal.code) == ("RUNNING", "not_allowed")


def test_an_optional_failure_is_tried_again_only_if_nobody_went_on_without_it() -> None:
    for tolerates, expected in (((), ["o", "b", "a"]), (("o",), ["a"])):
        world = World(plan("o, b: o, a", o={"optional": True}, b={"tolerates": tolerates}))
        world.offer()
        world.fail("o")
        world.fail("a")
        assert world.finish() == "FAILED"
        world.launched.clear()
        world.retry()
        world.finish()
        assert sorted(world.launched) == sorted(expected)


# continue


def test_continue_takes_up_a_failed_run_and_does_only_what_is_not_done() -> None:
    world = failed()
    world.go_on()
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["a", "b"]


def test_continue_is_refused_once_a_rollback_has_begun() -> None:
    world = failed()
    world.rollback()
    for _ in range(2):
        refusal = world.refuses(m.ContinueRequested(at=world.now))
        assert refusal is not None
        assert refusal.code == "rollback_begun"
        world.finish()


def test_continue_says_what_a_run_waits_for() -> None:
    world = World(plan("g", g=gate()))
    refusal = world.refuses(m.ContinueRequested(at=world.now))
    assert refusal is not None
    assert "the run is WAITING and waits for g" in refusal.message


def test_continue_takes_up_a_halted_run() -> None:
    world = failed("a, b: a, c", on_failure="halt")
    world.go_on()
    assert world.finish() == "SUCCEEDED"


# skip


def test_a_failed_step_done_by_hand_frees_what_was_blocked() -> None:
    world = failed("a, b: a, c: b")
    world.skip("a")
    assert (world.steps, world.status) == ({"a": "SKIPPED", "b": "PENDING", "c": "PENDING"}, "FAILED")
    world.go_on()
    assert world.finish() == "SUCCEEDED"
    assert (world.launched, world.machine.cell("a").skip_reason) == (["b", "c"], "person")


def test_a_step_skipped_while_the_run_goes_on_frees_what_was_blocked_at_once() -> None:
    world = World(plan("a, b: a, c"))
    world.offer()
    world.fail("a")
    world.skip("a")
    assert (world.status, world.offer()) == ("RUNNING", ["b"])


def test_skipping_the_failure_of_a_halted_run_that_still_runs_lets_it_go_on() -> None:
    world = World(plan("a, b: a, c, g: c", "halt", g=gate()))
    world.offer()
    world.fail("a")
    world.skip("a")
    assert (world.status, world.offer()) == ("RUNNING", ["b"])


def test_what_stays_blocked_by_another_failure_stays_blocked() -> None:
    world = World(plan("a, b, c: a b, d: c"))
    world.offer()
    world.fail("a")
    world.fail("b")
    world.skip("a")
    assert world.steps == {"a": "SKIPPED", "b": "FAILED", "c": "BLOCKED", "d": "BLOCKED"}


def test_only_a_failed_step_is_skipped() -> None:
    world = failed()
    for step in "bc":
        refusal = world.refuses(m.SkipRequested(at=world.now, step=step))
        assert refusal is not None
        assert refusal.code == "step_not_failed"


def test_a_skipped_step_is_undone_by_a_rollback_like_any_other() -> None:
    world = failed()
    world.skip("a")
    world.rollback()
    assert sorted(world.offer()) == ["-a", "-c"]
    assert world.finish() == "ROLLED_BACK"


def test_a_skipped_step_without_a_compensation_has_nothing_to_undo() -> None:
    world = failed("a", a={"has_compensation": False})
    world.skip("a")
    world.rollback()
    assert (world.steps, world.status) == ({"a": "COMPENSATED"}, "ROLLED_BACK")


# resolve


def held(**options: object) -> World:
    """``a`` is in doubt, and held."""
    world = World(plan("a, b: a", a={"in_doubt": "hold", **options}))
    world.offer()
    world.crash()
    assert world.status == "WAITING"
    world.launched.clear()
    return world


def test_a_doubt_resolved_as_succeeded_is_done_and_the_run_waits_for_continue() -> None:
    world = held()
    world.resolve("a", "succeeded")
    assert (world.steps, world.status) == ({"a": "SUCCEEDED", "b": "PENDING"}, "WAITING")
    assert "continue" in world.machine.allowed_actions()
    world.go_on()
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["b"]


def test_a_run_that_rests_after_resolve_is_not_taken_on_by_a_clock_or_by_another_engine() -> None:
    world = held()
    world.resolve("a", "succeeded")
    world.wait(100.0)
    world.crash()
    assert (world.status, world.offer()) == ("WAITING", [])


def test_a_doubt_resolved_as_failed_fails_the_step() -> None:
    world = held()
    world.resolve("a", "failed")
    assert (world.steps, world.status) == ({"a": "FAILED", "b": "BLOCKED"}, "FAILED")


def test_a_doubt_resolved_as_compensated_runs_again_under_a_new_key() -> None:
    world = held()
    world.resolve("a", "compensated")
    assert (world.steps, world.machine.cell("a").round) == ({"a": "PENDING", "b": "PENDING"}, 2)
    world.go_on()
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["a", "b"]


def test_a_doubt_can_be_resolved_while_the_run_goes_on() -> None:
    for as_, launched in (("succeeded", ["b"]), ("compensated", ["a"]), ("failed", [])):
        world = World(plan("a, b: a, c", a={"in_doubt": "hold", "timeout": 5.0}))
        world.offer()
        world.wait(5.0)
        world.fail("a")
        world.resolve("a", as_)
        assert (world.status, world.offer()) == ("RUNNING", launched)


def test_a_doubt_is_not_resolved_while_its_attempt_may_be_alive() -> None:
    world = World(plan("a", a={"in_doubt": "hold", "timeout": 5.0}))
    world.offer()
    world.wait(5.0)
    assert "resolve" not in world.machine.allowed_actions()
    refusal = world.refuses(m.ResolveRequested(at=world.now, step="a", as_="succeeded"))
    assert refusal is not None
    assert refusal.code == "attempt_alive"


def test_resolve_takes_three_answers_and_steps_that_are_in_doubt() -> None:
    world = held()
    with pytest.raises(InvalidInput, match="resolved as 'perhaps'"):
        world.machine.handle(m.ResolveRequested(at=world.now, step="a", as_="perhaps"))
    refusal = world.refuses(m.ResolveRequested(at=world.now, step="b", as_="failed"))
    assert refusal is not None
    assert refusal.code == "step_not_in_doubt"


# refusals, and what is allowed


def test_allowed_actions_name_what_each_situation_allows() -> None:
    running, waiting = World(plan("a, g: a", g=gate())), World(plan("g", g=gate()))
    paused = World(plan("a"))
    paused.pause()
    cancelled = World(plan("a"))
    cancelled.cancel()
    rolled_back = World(plan("a"))
    rolled_back.rollback()
    assert {world.status: world.machine.allowed_actions() for world in (running, waiting, paused, cancelled, rolled_back)} == {
        "RUNNING": ("rollback", "cancel", "pause", "signal"),
        "WAITING": ("rollback", "cancel", "pause", "signal"),
        "PAUSED": ("retry", "continue", "rollback", "cancel"),
        "CANCELLED": ("retry", "continue", "rollback"),
        "ROLLED_BACK": ("retry",),
    }
    assert failed().machine.allowed_actions() == ("retry", "continue", "skip", "rollback")
    assert succeeded("a").machine.allowed_actions() == ("rollback", "deprovision")


def test_a_refusal_says_why_and_what_can_be_done_and_changes_nothing() -> None:
    world = succeeded("a")
    before = state_of(world.machine)
    with pytest.raises(Conflict) as refused:
        world.machine.handle(m.PauseRequested(at=world.now))
    assert refused.value.message == "`pause` is not allowed: the run is SUCCEEDED."
    assert (refused.value.status, refused.value.allowed_actions) == ("SUCCEEDED", ("rollback", "deprovision"))
    assert state_of(world.machine) == before
    assert world.handle(m.TimePassed(at=world.now)) == m.Decision()


def test_a_pause_that_was_asked_for_is_not_asked_for_again() -> None:
    world = World(plan("a"))
    world.offer()
    world.pause()
    with pytest.raises(Conflict, match="it was asked for already"):
        world.pause()


def test_somebody_who_only_looks_allows_what_the_owner_allows() -> None:
    world = World(plan("a, b: a, c: b"))
    world.finish()
    world.rollback()
    world.offer()
    there = world.reloaded()
    assert there.handle(m.TakenUp(at=world.now, only_look=True)).commands == ()
    assert (there.allowed_actions(), there.status) == (world.machine.allowed_actions(), world.machine.status)
    assert there.cell("c").live is not None
