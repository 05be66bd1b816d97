"""Outcomes that nobody knows: timeouts, crashes, lost attempts, and what may still be alive."""

from __future__ import annotations

import pytest
from machine_world import World, gate, plan, twice

from provisioning_core import machine as m
from provisioning_core.model import Retry, StepStatus


def timed(drawing: str = "a, b: a", on_failure: str = "finish", **options: object) -> World:
    """``a`` has run into its timeout of 20 s, and may be alive."""
    world = World(plan(drawing, on_failure, a={"timeout": 20.0, **options}))
    world.offer()
    world.wait(20.0)
    return world


PROBED = {"has_probe": True, "in_doubt": "probe"}


# timeouts


def test_an_attempt_whose_time_is_up_is_asked_to_end_and_waited_for() -> None:
    world = timed(retry=twice())
    assert (world.stopped, world.steps) == (["a"], {"a": "IN_DOUBT", "b": "PENDING"})
    world.wait(100.0)
    assert (world.offer(), world.status, world.machine.live) == ([], "RUNNING", 1)
    world.ok("a")
    assert world.is_(a="in_doubt")
    assert world.offer() == ["a"]


def test_a_timeout_uses_up_an_attempt_and_backs_off() -> None:
    world = timed(retry=twice())
    world.fail("a")
    assert (world.offer(), world.machine.next_timer_at) == ([], 1030.0)
    world.wait(10.0)
    world.offer()
    world.wait(20.0)
    assert world.steps == {"a": "FAILED", "b": "BLOCKED"}


def test_the_result_of_an_attempt_whose_time_was_up_is_refused() -> None:
    world = timed()
    assert (world.is_(a="failed", b="blocked"), world.status) == (True, "FAILED")
    world.ok("a")
    assert (world.is_(a="failed", b="blocked"), world.status, world.living) == (True, "FAILED", [])


def test_a_result_after_the_deadline_is_late_even_if_no_timer_went_off() -> None:
    for seconds, status in ((20.0, "SUCCEEDED"), (20.1, "FAILED")):
        world = World(plan("a", a={"timeout": 20.0}))
        world.offer()
        world.now += seconds
        world.ok("a")
        assert world.status == status


def test_a_result_under_an_older_token_changes_nothing() -> None:
    world = World(plan("a", a={"retry": twice()}))
    world.offer()
    old = world.attempt("a")
    world.fail("a")
    world.wait(10.0)
    world.offer()
    late = m.AttemptSucceeded(at=world.now, step="a", token=old.token)
    assert world.handle(late) == m.Decision()
    assert world.is_(a="running")


def test_a_retry_waits_until_the_given_up_attempt_has_ended() -> None:
    world = timed()
    world.retry()
    assert (world.is_(a="pending", b="pending"), world.offer(), world.status) == (True, [], "RUNNING")
    world.fail("a")
    assert world.offer() == ["a"]
    assert world.finish() == "SUCCEEDED"


def test_a_run_rests_although_a_given_up_attempt_may_be_alive() -> None:
    world = timed("a, b", optional=True)
    world.ok("b")
    assert (world.status, world.living) == ("SUCCEEDED", ["a"])
    world.ok("a")
    assert world.is_(a="failed", b="succeeded")


# policies


def crashed(**options: object) -> World:
    """The engine died while ``a`` ran."""
    world = World(plan("a, b: a", a=options))
    world.offer()
    world.crash(left=["a"])
    return world


def test_rerun_runs_again_at_once_after_a_crash_and_counts_no_failure() -> None:
    world = crashed()
    assert world.is_(a="in_doubt", b="pending")
    assert (world.offer(), world.machine.cell("a").failures, world.machine.cell("a").attempt) == (["a"], 0, 2)
    assert world.finish() == "SUCCEEDED"


def test_hold_waits_for_a_person() -> None:
    world = crashed(in_doubt="hold")
    assert (world.is_(a="in_doubt"), world.status, world.offer()) == (True, "WAITING", [])
    world.crash()
    assert (world.status, world.offer()) == ("WAITING", [])
    assert world.machine.allowed_actions() == ("resolve", "rollback", "cancel", "pause")


def test_hold_waits_after_a_timeout_too_and_stays_held_after_a_pause() -> None:
    world = timed(in_doubt="hold", retry=twice())
    world.fail("a")
    assert world.status == "WAITING"
    world.pause()
    world.go_on()
    assert (world.status, world.offer()) == ("WAITING", [])


def test_hold_waits_also_when_the_engine_dies_beside_a_given_up_attempt() -> None:
    world = timed(in_doubt="hold", retry=twice())
    world.crash()
    assert (world.status, world.offer()) == ("WAITING", [])


def test_the_backoff_after_a_timeout_outlives_the_engine() -> None:
    world = timed(retry=twice())
    world.crash()
    assert (world.offer(), world.machine.next_timer_at) == ([], 1030.0)


def test_a_probe_that_finds_the_effect_adopts_it() -> None:
    world = crashed(**PROBED)
    assert world.offer() == ["?a"]
    world.found("a")
    assert (world.is_(a="succeeded"), world.offer()) == (True, ["b"])
    assert world.launched == ["a", "?a", "b"]


def test_a_probe_that_finds_nothing_lets_the_step_run_again() -> None:
    world = crashed(**PROBED)
    world.offer()
    world.missed("a")
    assert (world.is_(a="retrying"), world.offer()) == (True, ["a"])


def test_a_probe_that_finds_nothing_says_so_durably() -> None:
    world = crashed(**PROBED)
    world.offer()
    world.missed("a")
    world.crash()
    assert world.offer() == ["a"]


def test_a_probe_that_finds_nothing_after_the_last_timeout_fails_the_step() -> None:
    world = timed(**PROBED)
    world.fail("a")
    assert world.offer() == ["?a"]
    world.missed("a")
    assert (world.steps, world.status) == ({"a": "FAILED", "b": "BLOCKED"}, "FAILED")


def test_a_probe_that_finds_nothing_in_a_halted_run_ends_the_step() -> None:
    world = World(plan("a, b", "halt", a={"retry": twice(), **PROBED}))
    world.offer()
    world.crash()
    world.offer()
    world.fail("b")
    assert world.living == ["?a"]
    world.missed("a")
    assert (world.steps, world.status) == ({"a": "FAILED", "b": "FAILED"}, "FAILED")


def test_a_probe_that_fails_is_sent_again_after_its_backoff_which_outlives_the_engine() -> None:
    world = crashed(retry=twice(attempts=3), **PROBED)
    world.offer()
    world.fail("a")
    assert (world.status, world.machine.next_timer_at) == ("RUNNING", 1010.0)
    world.crash()
    assert (world.offer(), world.machine.next_timer_at) == ([], 1010.0)
    world.wait(10.0)
    assert world.offer() == ["?a"]
    world.not_ready("a", after=1.0)
    assert (world.offer(), world.machine.next_timer_at) == ([], 1030.0)


def test_a_probe_that_is_given_up_waits_for_a_person_until_somebody_retries() -> None:
    world = crashed(**PROBED)
    world.offer()
    world.fail("a")
    assert world.status == "WAITING"
    world.crash()
    assert (world.status, world.offer()) == ("WAITING", [])
    assert "retry" in world.machine.allowed_actions()
    world.retry()
    assert (world.status, world.offer()) == ("RUNNING", ["?a"])
    world.found("a")
    assert world.finish() == "SUCCEEDED"


def test_a_probe_has_a_deadline_too_and_its_late_answer_is_refused() -> None:
    world = timed(retry=twice(attempts=4), **PROBED)
    world.fail("a")
    world.offer()
    world.wait(20.0)
    assert world.living == ["?a"]
    world.found("a")
    assert (world.is_(a="in_doubt"), world.machine.next_timer_at) == (True, 1060.0)
    world.wait(20.0)
    assert world.offer() == ["?a"]


@pytest.mark.parametrize("policy", ["rerun", "probe", "hold"])
def test_a_worker_that_was_killed_leaves_a_doubt_that_counts(policy: str) -> None:
    options = {"in_doubt": policy, "has_probe": policy == "probe"}
    world = World(plan("a", a={"retry": twice(), **options}))
    world.offer()
    world.fail("a", interrupted=True)
    assert (world.is_(a="in_doubt"), world.machine.cell("a").failures) == (True, 1)
    world.wait(10.0)
    assert world.offer() == {"rerun": ["a"], "probe": ["?a"], "hold": []}[policy]


def test_a_lost_attempt_is_a_doubt_that_does_not_count() -> None:
    world = World(plan("a", a={"retry": Retry(attempts=1)}))
    world.offer()
    world.report(m.AttemptLost, world.attempt("a"))
    assert world.is_(a="in_doubt")
    assert world.offer() == ["a"]
    assert world.finish() == "SUCCEEDED"


def test_a_lost_probe_is_sent_again() -> None:
    world = crashed(**PROBED)
    world.offer()
    world.report(m.AttemptLost, world.attempt("a"))
    assert world.offer() == ["?a"]


# another engine takes over


def test_what_committed_with_its_step_is_done_after_a_crash() -> None:
    world = World(plan("a, b: a", a={"transactional": True, "in_doubt": "hold"}))
    world.offer()
    world.crash(left=["a"], completed=["a"])
    assert (world.is_(a="succeeded"), world.offer()) == (True, ["b"])


def test_a_crash_while_a_probe_runs_sends_it_again() -> None:
    world = crashed(**PROBED)
    world.offer()
    world.crash()
    assert world.offer() == ["?a"]


def test_what_may_be_alive_elsewhere_is_not_run_again_before_its_end_is_known() -> None:
    world = World(plan("a, b, c: a"))
    world.offer()
    world.take_over()
    assert (world.is_(a="in_doubt", b="in_doubt"), world.offer(), world.stopped) == (True, [], ["a", "b"])
    world.report(m.AttemptLost, world.attempt("a"), effect=True)
    assert world.offer() == ["a"]
    world.ok("a")
    assert world.offer() == ["c"]


def test_a_probe_that_may_be_alive_elsewhere_is_waited_for() -> None:
    world = crashed(**PROBED)
    world.offer()
    world.take_over()
    world.take_over()
    assert world.offer() == []
    world.report(m.AttemptLost, world.attempt("a"))
    assert world.offer() == ["?a"]


def test_a_compensation_that_may_be_alive_elsewhere_is_waited_for() -> None:
    world = World(plan("a"))
    world.offer()
    world.ok("a")
    world.rollback()
    world.offer()
    world.take_over()
    assert (world.offer(), world.status) == ([], "ROLLING_BACK")
    world.report(m.AttemptLost, world.attempt("a"))
    assert world.offer() == ["-a"]
    assert world.finish() == "ROLLED_BACK"


# doubts in a run that stops


@pytest.mark.parametrize(("policy", "status"), [("rerun", "cancelled"), ("probe", "in_doubt"), ("hold", "in_doubt")])
def test_a_cancelled_run_keeps_its_doubts_and_asks_before_it_runs_again(policy: str, status: str) -> None:
    world = World(plan("a", a={"in_doubt": policy, "has_probe": policy == "probe"}))
    world.offer()
    world.cancel()
    world.fail("a", interrupted=True)
    assert (world.is_(a=status), world.status) == (True, "CANCELLED")
    world.go_on()
    assert world.offer() == {"rerun": ["a"], "probe": ["?a"], "hold": []}[policy]


def test_a_cancelled_run_waits_for_an_attempt_whose_time_was_up() -> None:
    world = World(plan("a", a={"timeout": 20.0}))
    world.offer()
    world.cancel()
    world.wait(20.0)
    assert (world.status, world.is_(a="cancelled")) == ("CANCELLING", True)
    world.ok("a")
    assert world.status == "CANCELLED"


def test_a_probe_that_ends_in_a_cancelled_run_decides_nothing_new() -> None:
    for answer, status in (("missed", "cancelled"), ("found", "succeeded"), ("fail", "in_doubt")):
        world = crashed(**PROBED)
        world.offer()
        world.cancel()
        getattr(world, answer)("a")
        assert (world.is_(a=status), world.status, world.offer()) == (True, "CANCELLED", [])


@pytest.mark.parametrize("answer", ["missed", "found", "fail"])
def test_a_probe_under_way_when_the_run_turns_round_is_waited_for(answer: str) -> None:
    world = crashed(**PROBED)
    world.offer()
    world.rollback()
    assert (world.status, world.offer()) == ("ROLLING_BACK", [])
    getattr(world, answer)("a")
    assert world.finish() == "ROLLED_BACK"
    assert world.launched == (["a", "?a"] if answer == "missed" else ["a", "?a", "-a"])


def test_a_probe_whose_time_was_up_when_the_run_turned_round_is_waited_for() -> None:
    world = timed(retry=twice(attempts=4), **PROBED)
    world.fail("a")
    world.offer()
    world.rollback()
    world.wait(20.0)
    assert (world.living, world.offer()) == (["?a"], [])
    world.found("a")
    assert world.offer() == ["-a"]
    assert world.finish() == "ROLLED_BACK"


def test_a_retry_timer_of_the_way_forward_means_nothing_on_the_way_back() -> None:
    world = World(plan("a, b, c: b", a={"retry": twice()}))
    world.offer()
    world.fail("a")
    world.rollback()
    world.wait(10.0)
    assert world.offer() == ["-a"]
    world.ok("b")
    assert world.finish() == "ROLLED_BACK"


def test_a_gate_does_not_hide_that_a_step_is_held() -> None:
    world = World(plan("a, g", a={"in_doubt": "hold"}, g=gate()))
    world.offer()
    world.crash()
    world.signal("g")
    assert (world.status, world.machine.cell("a").status) == ("WAITING", StepStatus.IN_DOUBT)
