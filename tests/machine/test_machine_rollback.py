"""The way back: everything begun is undone, in reverse order, and nothing is called undone that is not."""

from __future__ import annotations

import pytest
from machine_world import World, gate, plan, twice

from provisioning_core import machine as m
from provisioning_core.errors import Conflict, IllegalMove
from provisioning_core.model import Phase, RunStatus, StepStatus

PROBED = {"has_probe": True, "in_doubt": "probe"}


def done(drawing: str = "a, b: a, c: a, d: b c", **options: object) -> World:
    """All of it has succeeded."""
    world = World(plan(drawing, **options))  # type: ignore[arg-type]
    assert world.finish() == "SUCCEEDED"
    world.launched.clear()
    return world


def undo(world: World, *steps: str) -> None:
    """These compensations are launched now, and work."""
    assert world.offer() == [f"-{step}" for step in steps]
    world.ok(*steps)


# order


def test_a_rollback_undoes_in_reverse_order_and_in_parallel_where_the_graph_allows() -> None:
    world = done()
    world.rollback()
    undo(world, "d")
    assert world.offer() == ["-c", "-b"]
    world.ok("b")
    assert world.offer() == []
    world.ok("c")
    undo(world, "a")
    assert (world.steps, world.effects) == (dict.fromkeys("abcd", "COMPENSATED"), set())
    assert world.run_states[-3:] == ["SUCCEEDED", "ROLLING_BACK", "ROLLED_BACK"]


def test_a_rollback_knows_no_levels() -> None:
    world = done("a, b: a, c, d: c")
    world.rollback()
    assert world.offer() == ["-b", "-d"]
    world.ok("b")
    assert world.offer() == ["-a"]


def test_a_rollback_before_anything_began_has_nothing_to_do() -> None:
    world = World(plan("a, g", g=gate()))
    world.rollback()
    assert (world.steps, world.status) == ({"a": "CANCELLED", "g": "CANCELLED"}, "ROLLED_BACK")


def test_a_run_that_was_never_taken_up_can_be_rolled_back() -> None:
    world = World(plan("a"))
    fresh = m.Machine(world.graph, world.run.__class__(id="r", plan="p", plan_version="1", fingerprint="", subject="s"), {})
    fresh.handle(m.RollbackRequested(at=1.0))
    assert fresh.status is RunStatus.ROLLED_BACK


# what was begun


def test_all_that_was_begun_is_undone_however_it_stands() -> None:
    world = World(plan("a, b, c, d, e: a", b={"retry": twice()}, c={"timeout": 20.0, "in_doubt": "hold"}))
    world.offer()
    world.ok("a")
    world.fail("b")
    world.fail("d")
    world.wait(20.0)
    world.fail("c")
    world.rollback()
    assert sorted(world.offer()) == ["-a", "-b", "-c", "-d"]
    world.ok("a", "b", "c", "d")
    assert world.steps == {**dict.fromkeys("abcd", "COMPENSATED"), "e": "CANCELLED"}
    assert world.status == "ROLLED_BACK"


def test_a_rollback_waits_for_what_is_still_running_and_for_nothing_else() -> None:
    world = World(plan("a, b: a, c"))
    world.offer()
    world.ok("a", "c")
    world.offer()
    world.rollback()
    assert (world.stopped, world.offer()) == (["b"], ["-c"])
    world.ok("c")
    assert (world.offer(), world.status) == ([], "ROLLING_BACK")
    world.ok("b")
    undo(world, "b")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


@pytest.mark.parametrize("end", ["ok", "fail"])
def test_a_rollback_waits_for_an_attempt_whose_time_is_up(end: str) -> None:
    world = World(plan("a, b: a", b={"timeout": 20.0}))
    world.offer()
    world.ok("a")
    world.offer()
    world.rollback()
    world.wait(20.0)
    assert (world.offer(), world.living) == ([], ["b"])
    getattr(world, end)("b")
    undo(world, "b")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def test_steps_without_a_compensation_have_nothing_to_undo_and_say_so() -> None:
    world = done("a, b: a", b={"has_compensation": False})
    world.rollback()
    first = m.StepMoved(
        step="b", old=StepStatus.SUCCEEDED, new=StepStatus.COMPENSATED, at=1000.0, attempt=1, note=m.Note.NOTHING_TO_UNDO
    )
    assert world.moves[-1] == first
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def test_a_step_that_left_the_code_is_not_taken_for_undone() -> None:
    world = done("a", a={"has_compensation": False, "retired": True})
    world.rollback()
    assert (world.offer(), world.status) == (["-a"], "ROLLING_BACK")


# compensate_on


def half_done(ends: str, **options: object) -> World:
    """``a`` succeeded, failed cleanly, or is in doubt; then a rollback."""
    world = World(plan("a", a={"in_doubt": "hold", **options}))
    world.offer()
    if ends == "doubt":
        world.crash(left=["a"])
    else:
        getattr(world, ends)("a")
    world.rollback()
    return world


@pytest.mark.parametrize(
    ("compensate_on", "has_probe", "ends", "launched"),
    [
        ("started", False, "ok", ["-a"]),
        ("started", False, "fail", ["-a"]),
        ("started", True, "doubt", ["-a"]),
        ("succeeded", False, "ok", ["-a"]),
        ("succeeded", False, "fail", []),
        ("succeeded", False, "doubt", ["-a"]),
        ("succeeded", True, "doubt", ["?a"]),
        ("probe", True, "ok", ["-a"]),
        ("probe", True, "fail", ["?a"]),
        ("probe", True, "doubt", ["?a"]),
    ],
)
def test_the_step_chooses_when_its_half_done_state_is_undone(
    compensate_on: str, has_probe: bool, ends: str, launched: list[str]
) -> None:
    world = half_done(ends, compensate_on=compensate_on, has_probe=has_probe)
    assert world.offer() == launched
    assert world.finish() == "ROLLED_BACK"


def test_a_probe_before_the_undoing_decides_whether_there_is_something_to_undo() -> None:
    for answer, then, note in (("found", ["-a"], m.Note.NONE), ("missed", [], m.Note.NOTHING_FOUND)):
        world = half_done("fail", compensate_on="probe", has_probe=True)
        world.offer()
        getattr(world, answer)("a")
        assert world.offer() == then
        world.ok(*[step[1:] for step in then])
        last = [move for move in world.moves if isinstance(move, m.StepMoved)][-1]
        assert (world.status, last.note) == ("ROLLED_BACK", note)


def test_a_probe_before_the_undoing_has_the_budget_of_the_compensation() -> None:
    world = half_done("fail", compensate_on="probe", has_probe=True, compensation_retry=twice())
    world.offer()
    world.fail("a")
    assert (world.status, world.machine.next_timer_at) == ("ROLLING_BACK", 1010.0)
    world.wait(10.0)
    assert world.offer() == ["?a"]
    world.fail("a")
    assert (world.is_(a="compensation_failed"), world.status) == (True, "ROLLBACK_FAILED")


def test_an_earlier_attempt_in_doubt_is_not_forgotten_when_a_later_one_fails_cleanly() -> None:
    world = World(plan("a", a={"compensate_on": "succeeded", "retry": twice()}))
    world.offer()
    world.crash(left=["a"])
    world.offer()
    world.fail("a", retryable=False)
    world.rollback()
    assert world.offer() == ["-a"]


# compensations that fail


def test_a_compensation_has_its_own_retry_and_timeout() -> None:
    options = {"compensation_retry": twice(attempts=3), "compensation_timeout": 5.0, "timeout": 99.0}
    world = done("a", a=options)
    world.rollback()
    world.offer()
    assert world.machine.cell("a").deadline_at == 1005.0
    world.fail("a")
    assert (world.is_(a="compensating"), world.offer(), world.machine.next_timer_at) == (True, [], 1010.0)
    world.crash()
    assert world.machine.next_timer_at == 1010.0
    world.wait(10.0)
    world.offer()
    world.wait(5.0)
    assert (world.stopped, world.offer()) == (["a"], [])
    world.ok("a")
    world.wait(20.0)
    assert world.offer() == ["-a"]
    world.ok("a")
    assert world.status == "ROLLED_BACK"


def test_a_compensation_can_poll_without_using_up_its_attempts() -> None:
    world = done("a")
    world.rollback()
    for _ in range(5):
        world.offer()
        world.not_ready("a", after=3.0)
        world.wait(3.0)
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def failed_undo() -> World:
    """``b`` could not be undone; ``a`` is upstream of it, ``c`` is not."""
    world = done("a, b: a, c")
    world.rollback()
    world.offer()
    world.fail("b")
    world.ok("c")
    return world


def test_a_failed_compensation_stops_only_what_is_upstream_of_it() -> None:
    world = failed_undo()
    assert world.steps == {"a": "SUCCEEDED", "b": "COMPENSATION_FAILED", "c": "COMPENSATED"}
    assert (world.status, world.effects) == ("ROLLBACK_FAILED", {"a", "b"})
    assert world.machine.allowed_actions() == ("retry", "resolve", "rollback")


@pytest.mark.parametrize("verb", ["retry", "rollback"])
def test_a_failed_compensation_is_tried_again_on_request(verb: str) -> None:
    world = failed_undo()
    getattr(world, verb)()
    undo(world, "b")
    undo(world, "a")
    assert (world.status, world.effects) == ("ROLLED_BACK", set())


def test_a_failed_compensation_that_was_done_by_hand_lets_the_rest_go_on() -> None:
    world = failed_undo()
    world.resolve("b", "compensated")
    assert world.status == "ROLLBACK_FAILED"
    world.retry()
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def test_the_last_failed_compensation_done_by_hand_ends_the_rollback() -> None:
    world = done("a, b: a")
    world.rollback()
    undo(world, "b")
    world.offer()
    world.fail("a")
    world.resolve("a", "compensated")
    assert world.status == "ROLLED_BACK"


def test_a_failed_compensation_done_by_hand_while_others_are_undone() -> None:
    world = done("a, b: a, c")
    world.rollback()
    world.offer()
    world.fail("b")
    world.resolve("b", "compensated")
    assert (world.status, world.offer()) == ("ROLLING_BACK", ["-a"])
    world.ok("c", "a")
    assert world.status == "ROLLED_BACK"


def test_a_failed_compensation_is_resolved_in_no_other_way() -> None:
    world = failed_undo()
    for as_ in ("succeeded", "failed"):
        refusal = world.refuses(m.ResolveRequested(at=world.now, step="b", as_=as_))
        assert refusal is not None
        assert refusal.hint == "Resolve it as compensated, or `retry` its compensation."


def test_rolled_back_is_impossible_while_anything_is_left() -> None:
    world = done("a")
    world.rollback()
    board = world.machine._board
    with pytest.raises(IllegalMove, match="can't be ROLLED_BACK while these are not undone: a"):
        board.move_run(RunStatus.ROLLED_BACK, world.now)
    assert board.status is RunStatus.ROLLING_BACK


def test_succeeded_is_impossible_while_anything_is_not_done() -> None:
    world = World(plan("a, b"))
    with pytest.raises(IllegalMove, match="can't be SUCCEEDED while these are not done: a, b"):
        world.machine._board.move_run(RunStatus.SUCCEEDED, world.now)
    assert world.status == "RUNNING"


def test_a_rollback_goes_on_after_a_crash() -> None:
    world = done("a, b: a")
    world.rollback()
    world.offer()
    world.crash(left=["b"])
    undo(world, "b")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


# in doubt on the way back


@pytest.mark.parametrize(("as_", "launched"), [("succeeded", ["-b"]), ("failed", ["-b"]), ("compensated", ["-a"])])
def test_a_doubt_can_be_settled_while_it_waits_to_be_undone(as_: str, launched: list[str]) -> None:
    world = World(plan("a, b: a", b={"in_doubt": "hold"}))
    world.offer()
    world.ok("a")
    world.offer()
    world.crash(left=["b"])
    world.rollback()
    world.resolve("b", as_)
    assert world.offer() == launched
    assert world.finish() == "ROLLED_BACK"


def test_what_a_probe_found_to_be_without_effect_has_nothing_to_undo() -> None:
    world = World(plan("a", a={"retry": twice(), **PROBED}))
    world.offer()
    world.crash()
    world.offer()
    world.missed("a")
    world.rollback()
    assert (world.steps, world.status, world.launched) == ({"a": "CANCELLED"}, "ROLLED_BACK", ["a", "?a"])


# partial


def test_a_partial_rollback_stops_at_the_named_step_and_the_run_can_go_on() -> None:
    world = done("a, b: a, c: b, d: a")
    world.rollback(to="b")
    assert world.offer() == ["-c", "-d"]
    world.ok("c", "d")
    assert world.steps == {"a": "SUCCEEDED", "b": "SUCCEEDED", "c": "COMPENSATED", "d": "COMPENSATED"}
    assert (world.status, world.moves[-1].note) == ("PAUSED", m.Note.AS_FAR_AS_ASKED)
    world.go_on()
    assert world.offer() == ["c", "d"]
    assert world.finish() == "SUCCEEDED"
    assert world.machine.cell("c").round == 2


def test_a_partial_rollback_goes_on_after_a_crash() -> None:
    world = done("a, b: a, c: b")
    world.rollback(to="b")
    world.crash()
    undo(world, "c")
    assert world.status == "PAUSED"


def test_after_a_partial_rollback_a_full_one_is_possible() -> None:
    world = done("a, b: a, c: b")
    world.rollback(to="b")
    undo(world, "c")
    world.rollback()
    undo(world, "b")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def test_a_rollback_stops_only_at_a_step_that_is_done() -> None:
    world = World(plan("a, b: a"))
    world.offer()
    refusal = world.refuses(m.RollbackRequested(at=world.now, to="b"))
    assert refusal is not None
    assert "step 'b' is PENDING; a rollback stops at a step that is done" in refusal.message


def test_a_rollback_does_not_stop_at_a_step_whose_needs_are_gone() -> None:
    world = failed_undo_of_a_need()
    refusal = world.refuses(m.RollbackRequested(at=world.now, to="b"))
    assert refusal is not None
    assert "what step 'b' needs is not done: a" in refusal.message


def failed_undo_of_a_need() -> World:
    world = World(plan("a, b: a", a={"optional": True}, b={"tolerates": ("a",)}), skipped=["b"])
    world.offer()
    world.ok("a")
    world.rollback()
    world.offer()
    world.fail("a")
    return world


# pivots


def crossing() -> World:
    return done("a, p: a, b: p", p={"irreversible": True})


def test_a_rollback_that_would_cross_an_irreversible_step_is_refused() -> None:
    world = crossing()
    with pytest.raises(Conflict) as refused:
        world.rollback()
    world.history.pop()
    assert (refused.value.code, world.status) == ("irreversible", "SUCCEEDED")
    assert "it would cross what can't be undone: p" in refused.value.message
    for verb in (m.RollbackRequested(at=world.now, to="a"), m.RollbackRequested(at=world.now)):
        assert world.refuses(verb) is not None


def test_a_rollback_may_stop_behind_an_irreversible_step() -> None:
    world = crossing()
    world.rollback(to="p")
    undo(world, "b")
    assert world.status == "PAUSED"


def test_force_crosses_an_irreversible_step() -> None:
    world = crossing()
    world.rollback(force=True)
    undo(world, "b")
    undo(world, "a")
    assert (world.steps, world.status) == ({"a": "COMPENSATED", "p": "COMPENSATED", "b": "COMPENSATED"}, "ROLLED_BACK")


def test_force_is_remembered_while_the_rollback_is_not_done() -> None:
    world = crossing()
    world.rollback(force=True)
    world.offer()
    world.fail("b")
    world.rollback()
    undo(world, "b")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"
    world.retry()
    assert world.machine.run_fields()["forced"] is False


def test_an_irreversible_step_that_had_no_effect_is_no_obstacle() -> None:
    world = World(plan("a, p: a", p={"irreversible": True}))
    world.offer()
    world.ok("a")
    world.offer()
    world.fail("p")
    world.rollback()
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def test_an_irreversible_step_that_may_have_had_its_effect_is_an_obstacle() -> None:
    world = World(plan("p", p={"irreversible": True}))
    world.offer()
    for verb in (m.RollbackRequested(at=world.now), m.CancelRequested(at=world.now, rollback=True)):
        refusal = world.refuses(verb)
        assert refusal is not None
        assert refusal.code == "irreversible"


# deprovision


def test_deprovisioning_undoes_a_run_that_succeeded_and_crosses_what_is_irreversible() -> None:
    world = crossing()
    assert "deprovision" in world.machine.allowed_actions()
    world.deprovision()
    assert world.moves[-1] == m.RunMoved(old=RunStatus.SUCCEEDED, new=RunStatus.ROLLING_BACK, at=1000.0, note=m.Note.DEPROVISIONED)
    undo(world, "b")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


def test_only_what_succeeded_is_deprovisioned() -> None:
    world = World(plan("a"))
    with pytest.raises(Conflict, match="Only what succeeded is deprovisioned"):
        world.deprovision()


# cancel, then undo


def test_cancelling_with_rollback_undoes_once_nothing_runs_any_more() -> None:
    world = World(plan("a, b: a, c"))
    world.offer()
    world.ok("a")
    world.offer()
    world.cancel(rollback=True)
    assert (world.status, world.stopped, world.offer()) == ("CANCELLING", ["b", "c"], [])
    world.ok("b")
    world.fail("c")
    assert world.status == "ROLLING_BACK"
    assert world.offer() == ["-b", "-c"]
    assert world.finish() == "ROLLED_BACK"


def test_cancelling_with_rollback_survives_a_crash() -> None:
    world = World(plan("a"))
    world.offer()
    world.cancel(rollback=True)
    world.crash(left=["a"])
    assert (world.status, world.offer()) == ("ROLLING_BACK", ["-a"])


def test_a_cancelled_run_can_be_rolled_back_later() -> None:
    world = World(plan("a, b: a"))
    world.offer()
    world.ok("a")
    world.cancel()
    world.rollback()
    undo(world, "a")
    assert (world.steps, world.status) == ({"a": "COMPENSATED", "b": "CANCELLED"}, "ROLLED_BACK")


def test_a_rollback_may_overtake_a_cancellation() -> None:
    world = World(plan("a"))
    world.offer()
    world.cancel()
    world.rollback()
    world.ok("a")
    undo(world, "a")
    assert world.status == "ROLLED_BACK"


# afterwards


def test_after_a_rollback_a_retry_provisions_anew_in_the_same_run() -> None:
    world = World(plan("a, b: a, g: b, c", g=gate()))
    world.finish()
    world.signal("g")
    world.rollback()
    assert world.finish() == "ROLLED_BACK"
    world.retry()
    assert world.machine.run_fields()["phase"] is Phase.FORWARD
    assert world.steps == {"a": "PENDING", "b": "PENDING", "g": "PENDING", "c": "PENDING"}
    assert [world.machine.cell(step).round for step in "abgc"] == [2, 2, 2, 2]
    assert world.finish() == "WAITING"
    world.signal("g")
    assert world.status == "SUCCEEDED"


def test_provisioning_anew_leaves_out_what_the_conditions_leave_out() -> None:
    world = World(plan("a, b"), skipped=["b"])
    world.finish()
    world.rollback()
    world.finish()
    world.retry()
    assert (world.offer(), world.is_(b="skipped")) == (["a"], True)


def test_a_step_that_left_the_code_is_not_provisioned_anew() -> None:
    world = done("a, b", b={"retired": True})
    world.rollback()
    world.finish()
    world.retry()
    assert world.steps == {"a": "PENDING", "b": "SKIPPED"}
    assert world.machine.cell("b").skip_reason == "retired"
    assert world.finish() == "SUCCEEDED"
