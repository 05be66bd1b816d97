"""Steps that wait for a signal or for a time."""

from __future__ import annotations

import pytest
from machine_world import World, gate, plan

from provisioning_core import machine as m
from provisioning_core.errors import Conflict, InvalidInput


def waiting(on_failure: str = "finish", drawing: str = "a, g: a, b: g", **options: object) -> World:
    world = World(plan(drawing, on_failure, g=gate(**options)))
    world.offer()
    world.ok("a")
    return world


def test_a_run_waits_for_a_signal_and_goes_on_with_it() -> None:
    world = waiting()
    assert (world.steps, world.status) == ({"a": "SUCCEEDED", "g": "WAITING", "b": "PENDING"}, "WAITING")
    assert world.machine.next_timer_at is None
    world.signal("g")
    assert (world.status, world.offer()) == ("RUNNING", ["b"])
    assert world.finish() == "SUCCEEDED"
    assert world.run_states == ["PENDING", "RUNNING", "WAITING", "RUNNING", "SUCCEEDED"]


def test_a_run_does_not_wait_while_something_else_runs() -> None:
    world = World(plan("g, a", g=gate()))
    world.offer()
    assert world.status == "RUNNING"
    world.ok("a")
    assert world.status == "WAITING"


def test_an_early_signal_is_kept() -> None:
    world = World(plan("a, g: a, b: g", g=gate()))
    world.signal("g")
    world.crash()
    world.offer()
    world.ok("a")
    assert (world.is_(g="succeeded"), world.offer()) == (True, ["b"])


def test_a_signal_does_not_come_twice() -> None:
    world = World(plan("a, g: a", g=gate()))
    world.signal("g")
    refusal = world.refuses(m.SignalReceived(at=world.now, step="g"))
    assert refusal is not None
    assert (refusal.code, "signal" in refusal.allowed_actions) == ("already_signalled", False)


def test_only_gates_take_signals() -> None:
    with pytest.raises(InvalidInput) as refused:
        World(plan("a")).signal("a")
    assert refused.value.code == "not_a_gate"


def test_a_gate_that_waits_too_long_fails() -> None:
    world = waiting(timeout=50.0)
    assert (world.status, world.machine.next_timer_at) == ("WAITING", 1050.0)
    world.wait(49.0)
    assert world.is_(g="waiting")
    world.wait(1.0)
    assert (world.steps, world.status) == ({"a": "SUCCEEDED", "g": "FAILED", "b": "BLOCKED"}, "FAILED")
    assert world.moves[-3].note is m.Note.GATE_TIMEOUT


def test_a_gate_that_waits_too_long_is_a_failure_like_any_other() -> None:
    world = waiting("rollback", timeout=50.0)
    world.wait(50.0)
    assert world.offer() == ["-a"]
    assert world.finish() == "ROLLED_BACK"


def test_an_optional_gate_that_waits_too_long_is_a_warning() -> None:
    world = waiting(drawing="a, g: a", timeout=50.0, optional=True)
    world.wait(50.0)
    assert (world.steps, world.status) == ({"a": "SUCCEEDED", "g": "FAILED"}, "SUCCEEDED")


def test_a_gate_opens_by_itself_when_its_time_comes_and_the_run_moves_until_then() -> None:
    world = waiting(delay=30.0, timeout=50.0)
    assert (world.is_(g="waiting"), world.status) == (True, "RUNNING")
    assert world.machine.next_timer_at == 1030.0
    world.wait(30.0)
    assert (world.is_(g="succeeded"), world.offer()) == (True, ["b"])


def test_a_run_whose_last_timed_gate_has_opened_waits_for_its_other_gates() -> None:
    world = World(plan("g, h", g=gate(delay=30.0), h=gate()))
    world.offer()
    assert world.status == "RUNNING"
    world.wait(30.0)
    assert (world.steps, world.status) == ({"g": "SUCCEEDED", "h": "WAITING"}, "WAITING")


def test_a_gate_with_a_delay_opens_earlier_on_a_signal_and_its_timer_means_nothing_then() -> None:
    world = waiting(delay=30.0)
    world.signal("g")
    assert world.machine.next_timer_at is None
    world.wait(30.0)
    assert world.is_(g="succeeded")


def test_a_gates_times_outlive_the_engine_and_a_pause() -> None:
    world = waiting(timeout=50.0)
    world.crash()
    world.pause()
    world.wait(60.0)
    assert (world.is_(g="waiting"), world.status) == (True, "PAUSED")
    world.go_on()
    world.wait(0.0)
    assert (world.is_(g="failed"), world.status) == (True, "FAILED")


def test_a_signal_while_paused_or_failed_is_kept_for_later() -> None:
    world = waiting()
    world.pause()
    world.signal("g")
    assert (world.is_(g="succeeded"), world.status, world.offer()) == (True, "PAUSED", [])
    world.go_on()
    assert world.offer() == ["b"]


def test_a_gate_that_failed_waits_anew_after_a_retry() -> None:
    world = waiting(timeout=50.0)
    world.wait(50.0)
    world.retry()
    assert (world.is_(g="waiting"), world.machine.next_timer_at) == (True, 1100.0)


def test_a_rollback_gives_up_waiting_and_a_new_round_asks_again() -> None:
    world = waiting()
    world.signal("g")
    world.rollback()
    assert world.finish() == "ROLLED_BACK"
    assert world.is_(a="compensated", g="succeeded", b="cancelled")
    world.retry()
    world.offer()
    world.ok("a")
    assert world.is_(a="succeeded", g="waiting", b="pending")


def test_a_rolled_back_run_takes_no_signal() -> None:
    world = waiting()
    world.rollback()
    world.finish()
    with pytest.raises(Conflict, match="the run is ROLLED_BACK"):
        world.signal("g")
