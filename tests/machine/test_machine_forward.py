"""The way forward: dataflow, backoff, polling, optional and conditional steps, the three failure policies."""

from __future__ import annotations

import pytest
from machine_world import World, gate, node, plan, twice

from provisioning_core import machine as m
from provisioning_core.errors import IllegalMove, NotFound
from provisioning_core.model import Direction, PlanGraph, Retry, RunStatus, StepStatus


def test_a_step_starts_as_soon_as_what_it_needs_is_done_without_levels() -> None:
    world = World(plan("a, b: a, c, d: b c"))
    assert world.offer() == ["a", "c"]
    world.ok("a")
    assert world.offer() == ["b"]
    world.ok("b")
    assert world.offer() == []
    world.ok("c")
    assert world.offer() == ["d"]
    world.ok("d")
    assert world.steps == dict.fromkeys("abcd", "SUCCEEDED")
    assert world.run_states == ["PENDING", "RUNNING", "SUCCEEDED"]


def test_a_decision_says_what_moved_what_to_launch_and_what_to_record() -> None:
    world = World(plan("a, b: a", a={"timeout": 20.0}))
    launch = m.Launch(step="a", direction=Direction.FORWARD, token=1, attempt=1, deadline_at=1020.0)
    begun = m.StepMoved(step="a", old=StepStatus.PENDING, new=StepStatus.RUNNING, at=1000.0, attempt=1)
    assert world.handle(m.CapacityOffered(at=1000.0, slots=4)) == m.Decision(moves=(begun,), commands=(launch,), touched=("a",))
    done = m.StepMoved(step="a", old=StepStatus.RUNNING, new=StepStatus.SUCCEEDED, at=1000.0, attempt=1)
    decision = world.report(m.AttemptSucceeded, world.attempt("a"), effect=True)
    assert decision == m.Decision(moves=(done,), touched=("a",))
    assert world.machine.wanting == 1


def test_an_empty_plan_succeeds_at_once() -> None:
    world = World(PlanGraph(plan="p", version="1"))
    assert (world.status, world.machine.progress) == ("SUCCEEDED", 1.0)


def test_no_more_is_launched_than_there_are_workers() -> None:
    world = World(plan("a, b, c"))
    assert world.offer(2) == ["a", "b"]
    assert world.machine.wanting == 1
    assert world.offer(0) == []
    assert world.offer(2) == ["c"]


def test_a_named_limit_holds_back_only_those_it_names() -> None:
    world = World(plan("a, b, c, d", a={"limit": "dns"}, b={"limit": "dns"}, c={"limit": "dns"}))
    assert world.offer(3, dns=1) == ["a", "d"]
    assert world.offer(3, dns=0) == []
    assert world.offer(1, dns=5) == ["b"]
    assert world.offer(3) == ["c"]


def test_workers_go_to_whoever_was_ready_first_whatever_its_limit() -> None:
    world = World(plan("a, b, c, d", b={"limit": "dns"}))
    assert world.offer(2, dns=3) == ["a", "b"]


# retries


def test_a_failed_attempt_is_made_again_after_its_backoff_without_a_worker() -> None:
    world = World(plan("a, b: a", a={"retry": twice()}))
    world.offer()
    world.fail("a")
    assert world.is_(a="retrying", b="pending")
    assert (world.machine.live, world.machine.next_timer_at, world.machine.cell("a").next_attempt_at) == (0, 1010.0, 1010.0)
    world.wait(9.0)
    assert world.offer() == []
    world.wait(1.0)
    assert world.offer() == ["a"]
    assert world.finish() == "SUCCEEDED"


def test_the_backoff_outlives_the_engine() -> None:
    world = World(plan("a", a={"retry": twice()}))
    world.offer()
    world.fail("a")
    world.now += 4.0
    world.crash()
    assert (world.offer(), world.machine.next_timer_at) == ([], 1010.0)
    world.wait(6.0)
    assert world.offer() == ["a"]


def test_a_used_up_budget_fails_the_step_and_blocks_what_is_behind_it() -> None:
    world = World(plan("a, b: a, c: b, d", a={"retry": twice()}))
    world.offer()
    world.fail("a")
    world.wait(10.0)
    world.offer()
    world.fail("a")
    assert world.steps == {"a": "FAILED", "b": "BLOCKED", "c": "BLOCKED", "d": "RUNNING"}
    world.ok("d")
    assert (world.status, world.machine.cell("a").attempt) == ("FAILED", 2)


def test_an_error_that_is_not_worth_it_ends_the_step_at_once() -> None:
    world = World(plan("a", a={"retry": twice()}))
    world.offer()
    world.fail("a", retryable=False)
    assert (world.steps, world.status) == ({"a": "FAILED"}, "FAILED")


def test_retry_after_makes_the_wait_longer_and_never_shorter() -> None:
    for asked, waits_until in ((40.0, 1040.0), (1.0, 1010.0)):
        world = World(plan("a", a={"retry": twice()}))
        world.offer()
        world.fail("a", retry_after=asked)
        assert world.machine.next_timer_at == waits_until


def test_the_wait_grows_is_clamped_and_never_overflows() -> None:
    world = World(plan("a", a={"retry": Retry(attempts=2000, initial=1.0, factor=2.0, maximum=3600.0, jitter=0.0)}))
    waits = []
    for _ in range(1200):
        world.offer()
        world.fail("a")
        waits.append(world.machine.cell("a").next_attempt_at - world.now)  # type: ignore[operator]
        world.wait(waits[-1])
    assert waits[:14] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 3600.0, 3600.0]
    assert set(waits[12:]) == {3600.0}


@pytest.mark.parametrize("factor", [2.0, 1e9, 1e300])
def test_the_backoff_of_attempt_48_and_far_beyond_is_the_maximum(factor: float) -> None:
    policy = Retry(attempts=10**6, initial=0.5, factor=factor, maximum=60.0, jitter=0.2)
    assert [policy.delay(failures, 0.5) for failures in (48, 64, 1100, 10**6)] == [60.0] * 4
    assert (policy.delay(48, 0.0), policy.delay(48, 1.0)) == (48.0, 72.0)


def test_jitter_is_the_dice_the_event_brought() -> None:
    for chance, waits_until in ((0.0, 1005.0), (0.5, 1010.0), (0.75, 1012.5)):
        world = World(plan("a", a={"retry": twice(jitter=0.5)}))
        world.offer()
        world.fail("a", chance=chance)
        assert world.machine.next_timer_at == waits_until


def test_polling_does_not_use_up_attempts() -> None:
    world = World(plan("a", a={"retry": twice()}))
    for _ in range(50):
        world.offer()
        world.not_ready("a", after=5.0)
        assert world.is_(a="retrying")
        world.wait(5.0)
    world.offer()
    world.fail("a")
    assert (world.steps, world.machine.cell("a").failures) == ({"a": "RETRYING"}, 1)
    world.wait(10.0)
    world.offer()
    world.fail("a")
    assert world.steps == {"a": "FAILED"}


def test_timers_of_attempts_that_have_ended_are_forgotten() -> None:
    world = World(plan("a", a={"timeout": 86_400.0}), checks=False)
    for _ in range(500):
        world.offer()
        world.not_ready("a", after=1.0)
        world.wait(1.0)
    assert len(world.machine._timers._heap) < 30
    world.offer()
    world.ok("a")
    assert world.machine.next_timer_at is None


# optional and conditional steps


def test_an_optional_failure_is_a_warning() -> None:
    world = World(plan("a, b", a={"optional": True}))
    world.offer()
    world.fail("a")
    world.ok("b")
    assert (world.steps, world.status) == ({"a": "FAILED", "b": "SUCCEEDED"}, "SUCCEEDED")


@pytest.mark.parametrize("on_failure", ["halt", "rollback"])
def test_an_optional_failure_never_stops_the_run(on_failure: str) -> None:
    world = World(plan("a, b, c: b", on_failure, a={"optional": True}))
    world.offer()
    world.fail("a")
    world.ok("b")
    assert world.finish() == "SUCCEEDED"


def test_who_accepts_nothing_runs_after_an_optional_failure_and_others_are_skipped() -> None:
    world = World(plan("a, b: a, c: a, d: c", a={"optional": True}, b={"tolerates": ("a",)}))
    world.offer()
    world.fail("a")
    assert world.steps == {"a": "FAILED", "b": "PENDING", "c": "SKIPPED", "d": "SKIPPED"}
    assert world.machine.cell("c").skip_reason == "absent"
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["a", "b"]


def test_an_optional_failure_that_a_person_mends_brings_back_those_that_were_left_out() -> None:
    world = World(plan("a, b: a, c: b, other", a={"optional": True}))
    world.offer()
    world.fail("a")
    assert world.is_(b="skipped", c="skipped")
    world.skip("a")
    assert world.is_(a="skipped", b="pending", c="pending")
    assert world.finish() == "SUCCEEDED"
    assert world.launched == ["a", "other", "b", "c"]


def test_a_step_whose_condition_is_false_is_not_run_and_its_consumers_go_by_what_they_accept() -> None:
    world = World(plan("a, b: a, c: a", b={"tolerates": ("a",)}), skipped=["a"])
    assert world.offer() == ["b"]
    world.ok("b")
    assert (world.steps, world.status) == ({"a": "SKIPPED", "b": "SUCCEEDED", "c": "SKIPPED"}, "SUCCEEDED")


def test_a_skip_passes_through_a_gate_at_once() -> None:
    world = World(plan("a, g: a, b: g", g=gate()), skipped=["a"])
    assert (world.steps, world.status) == ({"a": "SKIPPED", "g": "SKIPPED", "b": "SKIPPED"}, "SUCCEEDED")


# failure policies


def failing(on_failure: str, drawing: str = "a, b, c: b, d: a", **options: object) -> World:
    """``a`` fails while ``b`` runs."""
    world = World(plan(drawing, on_failure, **options))  # type: ignore[arg-type]
    world.offer()
    world.fail("a")
    return world


def test_finish_lets_independent_branches_go_on() -> None:
    world = failing("finish")
    world.ok("b")
    assert world.offer() == ["c"]
    world.ok("c")
    assert world.steps == {"a": "FAILED", "b": "SUCCEEDED", "c": "SUCCEEDED", "d": "BLOCKED"}
    assert world.run_states == ["PENDING", "RUNNING", "FAILED"]


def test_halt_starts_nothing_new_and_lets_end_what_runs() -> None:
    world = failing("halt")
    assert (world.status, world.stopped) == ("RUNNING", [])
    world.ok("b")
    assert world.offer() == []
    assert world.steps == {"a": "FAILED", "b": "SUCCEEDED", "c": "PENDING", "d": "BLOCKED"}
    assert world.status == "FAILED"


def test_halt_gives_no_further_attempt_to_what_waits_for_one_and_opens_no_gate() -> None:
    world = World(plan("a, b, g, c: b", "halt", b={"retry": twice()}, g=gate()))
    world.offer()
    world.fail("b")
    assert world.is_(b="retrying", g="waiting")
    world.fail("a")
    assert world.steps == {"a": "FAILED", "b": "FAILED", "g": "CANCELLED", "c": "BLOCKED"}
    assert world.status == "FAILED"


def test_after_a_halt_a_failure_a_poll_or_a_new_gate_waits_for_nothing() -> None:
    world = World(plan("a, b, c, d, g: d", "halt", b={"retry": twice()}, g=gate()))
    world.offer()
    world.fail("a")
    world.fail("b")
    world.not_ready("c", after=5.0)
    world.ok("d")
    assert world.steps == {"a": "FAILED", "b": "FAILED", "c": "FAILED", "d": "SUCCEEDED", "g": "PENDING"}
    assert (world.status, world.machine.next_timer_at) == ("FAILED", None)
    world.go_on()
    assert world.is_(a="pending", b="pending", c="pending", d="succeeded", g="waiting")


def test_rollback_on_failure_undoes_what_was_begun() -> None:
    world = failing("rollback")
    assert (world.status, world.stopped, world.offer()) == ("ROLLING_BACK", ["b"], ["-a"])
    world.ok("b", "a")
    assert world.offer() == ["-b"]
    world.ok("b")
    assert world.steps == {"a": "COMPENSATED", "b": "COMPENSATED", "c": "CANCELLED", "d": "BLOCKED"}
    assert world.run_states == ["PENDING", "RUNNING", "ROLLING_BACK", "ROLLED_BACK"]


def test_rollback_on_failure_does_not_cross_what_is_irreversible_but_halts() -> None:
    world = failing("rollback", "b, a, c: b, g", b={"irreversible": True}, g=gate())
    assert world.is_(a="failed", g="cancelled")
    world.ok("b")
    assert (world.offer(), world.status) == ([], "FAILED")
    last = world.moves[-1]
    assert isinstance(last, m.RunMoved)
    assert last.note is m.Note.IRREVERSIBLE


def test_rollback_on_failure_turns_round_after_all_when_the_irreversible_step_had_no_effect() -> None:
    world = failing("rollback", "b, a", b={"irreversible": True})
    assert world.status == "RUNNING"
    world.fail("b")
    assert world.finish() == "ROLLED_BACK"


# progress


def test_progress_counts_by_weight_and_is_whole_only_at_the_end() -> None:
    world = World(plan("a, b: a, c: b", a={"weight": 6.0}, b={"weight": 2.0}, c={"weight": 0.0}))
    seen = [world.machine.progress]
    for step in "abc":
        world.offer()
        world.ok(step)
        seen.append(world.machine.progress)
    assert seen == [0.0, 0.75, 0.9999, 1.0]
    assert [world.machine.weight_share(step) for step in "abc"] == [0.75, 0.25, 0.0]


def test_without_any_weight_each_step_counts_the_same() -> None:
    world = World(plan("a, b: a", a={"weight": 0.0}, b={"weight": 0.0}))
    world.offer()
    world.ok("a")
    assert (world.machine.progress, world.machine.weight_share("a")) == (0.5, 0.0)


# what can't be


def test_an_unknown_step_is_not_found() -> None:
    with pytest.raises(NotFound, match="no step 'x'"):
        World(plan("a")).skip("x")


def test_an_attempt_can_not_end_in_a_way_that_is_not_its_own() -> None:
    world = World(plan("a"))
    world.offer()
    with pytest.raises(IllegalMove, match="can't end with ProbeFound"):
        world.machine.handle(m.ProbeFound(at=world.now, step="a", token=1))
    world.ok("a")
    assert world.status == "SUCCEEDED"


def test_weights_of_the_run_win_over_those_of_the_plan() -> None:
    world = World(plan("a, b"))
    machine = m.Machine(world.graph, world.run, world.records, {"a": 3.0})
    assert (machine.weight_share("a"), machine.weight_share("b")) == (0.75, 0.25)
    assert (machine.graph, machine.status) == (world.graph, RunStatus.RUNNING)
    assert machine.cell("a").status is StepStatus.PENDING


def test_nodes_are_undoable_unless_they_are_gates_or_irreversible() -> None:
    undoable = [node("a"), node("g", kind="gate"), node("i", irreversible=True)]
    assert [each.has_compensation for each in undoable] == [True, False, False]
