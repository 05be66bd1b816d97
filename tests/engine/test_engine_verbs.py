from __future__ import annotations

import pytest
from engine_plans import QUICK, Journal, MakeEngine, Order, blocking, chain, until, worker

from provisioning_core import Conflict, Engine, From, InvalidInput, NotFound, Plan, RunStatus, StepContext, gate, step


def statuses(engine: Engine, subject: str = "acme") -> dict[str, str]:
    return {name: view.status.value for name, view in engine.status(subject).steps.items()}


def test_a_run_succeeds_and_says_so(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a", "b", "c"]))
    view = engine.start("chain", subject="acme", input=Order()).wait(10)
    assert (view.status, view.progress, journal.lines) == (RunStatus.SUCCEEDED, 1.0, ["a", "b", "c"])
    assert {name: each.output for name, each in view.steps.items()} == {"a": "a-of-acme", "b": "b-of-acme", "c": "c-of-acme"}
    assert view.allowed_actions == ("rollback", "deprovision")


def test_independent_steps_run_side_by_side(make_engine: MakeEngine) -> None:
    import threading

    meet = threading.Barrier(3, timeout=10)
    steps = [step(name=f"s{number}")(lambda: meet.wait() >= 0) for number in range(3)]
    engine = make_engine(Plan("wide", steps=steps))
    assert engine.start("wide", subject="acme").wait(10).status is RunStatus.SUCCEEDED


def test_a_failing_step_is_tried_again_under_the_same_key_with_a_larger_token(make_engine: MakeEngine) -> None:
    seen: list[tuple[int, int, str]] = []

    @step(retry=QUICK)
    def flaky(ctx: StepContext) -> None:
        seen.append((ctx.attempt, ctx.token, ctx.idempotency_key))
        if ctx.attempt < 3:
            raise RuntimeError("not yet")

    engine = make_engine(Plan("p", steps=[flaky]))
    view = engine.start("p", subject="acme").wait(10)
    assert view.status is RunStatus.SUCCEEDED
    assert [attempt for attempt, _, _ in seen] == [1, 2, 3]
    assert [token for _, token, _ in seen] == sorted({token for _, token, _ in seen})
    assert {key for _, _, key in seen} == {f"{view.id}/flaky/forward"}


def test_retry_runs_the_failed_step_alone_and_then_what_it_blocked(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["b"] = 1
    engine = make_engine(chain(journal, ["a", "b", "c"]))
    failed = engine.start("chain", subject="acme", input=Order()).wait(10)
    assert failed.status is RunStatus.FAILED
    assert (failed.steps["c"].status.value, failed.steps["c"].waits_for) == ("BLOCKED", ("b",))
    assert [(error.step, error.code) for error in failed.errors] == [("b", "exception")]
    assert "on purpose" in failed.errors[0].detail
    assert "on purpose" not in failed.errors[0].message
    assert engine.retry("acme").wait(10).status is RunStatus.SUCCEEDED
    assert journal.lines == ["a", "b", "b", "c"]


def test_continue_does_only_what_is_not_done(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["c"] = 1
    engine = make_engine(chain(journal, ["a", "b", "c", "d"]))
    engine.start("chain", subject="acme", input=Order()).wait(10)
    assert engine.continue_("acme", actor="me", reason="mended").wait(10).status is RunStatus.SUCCEEDED
    assert journal.lines == ["a", "b", "c", "c", "d"]
    asked = [event for event in engine.events("acme") if event.type == "continue.requested"]
    assert [(event.actor, event.data) for event in asked] == [("me", {"why": "mended"})]


def test_named_steps_run_again_with_all_that_depends_on_them(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a", "b", "c"]))
    engine.start("chain", subject="acme", input=Order()).wait(10)
    assert engine.retry("acme", steps=["b"]).wait(10).status is RunStatus.SUCCEEDED
    assert journal.lines == ["a", "b", "c", "undo c", "undo b", "b", "c"]


def test_a_failing_plan_rolls_itself_back_in_reverse_order(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["c"] = -1
    engine = make_engine(chain(journal, ["a", "b", "c"], on_failure="rollback"))
    view = engine.start("chain", subject="acme", input=Order()).wait(10)
    assert view.status is RunStatus.ROLLED_BACK
    assert journal.lines == ["a", "b", "c", "undo c", "undo b", "undo a"]
    assert [error.step for error in view.errors] == ["c"]
    journal.failing.clear()
    assert engine.retry("acme").wait(10).status is RunStatus.SUCCEEDED


def test_a_failed_compensation_can_be_retried_or_resolved(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing |= {"c": -1, "undo b": 2}
    engine = make_engine(chain(journal, ["a", "b", "c"], on_failure="rollback"))
    view = engine.start("chain", subject="acme", input=Order()).wait(10)
    assert view.status is RunStatus.ROLLBACK_FAILED
    assert statuses(engine) == {"a": "SUCCEEDED", "b": "COMPENSATION_FAILED", "c": "COMPENSATED"}
    assert engine.retry("acme").wait(10).status is RunStatus.ROLLBACK_FAILED
    engine.resolve("acme", "b", as_="compensated", reason="dropped by hand")
    assert engine.retry("acme").wait(10).status is RunStatus.ROLLED_BACK
    assert journal.count("undo a") == 1


def test_deprovision_undoes_what_succeeded(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a", "b"]))
    engine.start("chain", subject="acme", input=Order()).wait(10)
    assert engine.deprovision("acme").wait(10).status is RunStatus.ROLLED_BACK
    assert journal.lines == ["a", "b", "undo b", "undo a"]
    assert engine.start("chain", subject="acme", input=Order()).wait(10).status is RunStatus.SUCCEEDED


def test_a_partial_rollback_stops_where_it_was_told(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a", "b", "c"]))
    engine.start("chain", subject="acme", input=Order()).wait(10)
    assert engine.rollback("acme", to="a").wait(10).status is RunStatus.PAUSED
    assert statuses(engine) == {"a": "SUCCEEDED", "b": "COMPENSATED", "c": "COMPENSATED"}
    assert engine.continue_("acme").wait(10).status is RunStatus.SUCCEEDED


def test_cancel_ends_when_what_runs_has_ended(make_engine: MakeEngine) -> None:
    plan, begun, go = blocking()
    engine = make_engine(plan)
    run = engine.start("blocking", subject="acme")
    assert begun.wait(10)
    engine.cancel("acme")
    assert engine.status("acme").status is RunStatus.CANCELLING
    go.set()
    assert run.wait(10).status is RunStatus.CANCELLED
    assert statuses(engine) == {"slow": "SUCCEEDED", "after": "CANCELLED"}


def test_a_running_step_sees_that_it_is_cancelled(make_engine: MakeEngine) -> None:
    import threading

    begun = threading.Event()

    @step
    def patient(ctx: StepContext) -> str:
        begun.set()
        return "seen" if until(ctx.cancelled) else "not seen"

    engine = make_engine(Plan("p", steps=[patient]))
    run = engine.start("p", subject="acme")
    assert begun.wait(10)
    engine.cancel("acme", rollback=True)
    assert run.wait(10).status is RunStatus.ROLLED_BACK
    assert [event.type for event in engine.events("acme")][-3:] == ["run.rolling_back", "step.compensated", "run.rolled_back"]


def test_pause_and_continue(make_engine: MakeEngine) -> None:
    plan, begun, go = blocking()
    engine = make_engine(plan)
    run = engine.start("blocking", subject="acme")
    assert begun.wait(10)
    engine.pause("acme")
    go.set()
    assert run.wait(10).status is RunStatus.PAUSED
    assert engine.continue_("acme").wait(10).status is RunStatus.SUCCEEDED


def test_a_gate_opens_on_its_signal_and_hands_the_payload_on(make_engine: MakeEngine) -> None:
    approval = gate("approval", payload=int)

    @step
    def use(number: int = From(approval)) -> int:
        return number + 1

    engine = make_engine(Plan("gated", steps=[approval, use]))
    run = engine.start("gated", subject="acme")
    assert run.wait(10).status is RunStatus.WAITING
    with pytest.raises(InvalidInput, match="payload"):
        engine.signal("acme", "approval", "many")
    engine.signal("acme", "approval", 41)
    assert run.wait(10).steps["use"].output == 42


def test_a_gate_that_waits_too_long_fails(make_engine: MakeEngine) -> None:
    engine = make_engine(Plan("gated", steps=[gate("approval", timeout=0.05)]))
    view = engine.start("gated", subject="acme").wait(10)
    assert until(lambda: engine.status("acme").status is RunStatus.FAILED), view
    assert [error.code for error in engine.status("acme").errors] == ["gate_timeout"]


def test_a_gate_with_a_delay_opens_by_itself(make_engine: MakeEngine) -> None:
    engine = make_engine(Plan("gated", steps=[gate("pause", delay=0.05)]))
    assert engine.start("gated", subject="acme").wait(10).status is RunStatus.SUCCEEDED


def test_skip_marks_a_failed_step_as_done_with_that_output(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["a"] = -1
    first = worker(journal, "a")

    @step
    def use(value: str = From(first)) -> str:
        return value.upper()

    engine = make_engine(Plan("p", steps=[first, use]))
    run = engine.start("p", subject="acme")
    assert run.wait(10).status is RunStatus.FAILED
    with pytest.raises(InvalidInput, match="use takes it"):
        engine.skip("acme", "a")
    engine.skip("acme", "a", output="by hand", reason="made it myself")
    assert engine.status("acme").status is RunStatus.FAILED
    view = engine.continue_("acme").wait(10)
    assert (view.status, view.steps["a"].status.value, view.steps["use"].output) == (RunStatus.SUCCEEDED, "SKIPPED", "BY HAND")


def test_a_step_in_doubt_that_holds_waits_for_a_person(make_engine: MakeEngine) -> None:
    import threading

    release = threading.Event()

    @step(timeout=0.05, in_doubt="hold")
    def charge() -> str:
        release.wait(10)
        return "late"

    engine = make_engine(Plan("p", steps=[charge]))
    run = engine.start("p", subject="acme")
    assert until(lambda: engine.status("acme").steps["charge"].status.value == "IN_DOUBT")
    with pytest.raises(Conflict, match="alive"):
        engine.resolve("acme", "charge", as_="succeeded", output="x")
    release.set()
    assert run.wait(10).status is RunStatus.WAITING
    engine.resolve("acme", "charge", as_="succeeded", output="paid")
    view = engine.continue_("acme").wait(10)
    assert (view.status, view.steps["charge"].output) == (RunStatus.SUCCEEDED, "paid")


def test_corrected_input_is_used_by_what_has_not_run(make_engine: MakeEngine) -> None:
    @step
    def check(order: Order) -> str:
        if order.slug == "bad":
            raise ValueError("a bad slug")
        return order.slug

    @step(when=lambda order: order.tier == "pro")
    def extra(order: Order) -> str:
        return order.tier

    engine = make_engine(Plan("p", input=Order, steps=[check, extra]))
    assert engine.start("p", subject="acme", input=Order(slug="bad")).wait(10).status is RunStatus.FAILED
    view = engine.retry("acme", input={"slug": "good", "tier": "pro"}).wait(10)
    assert {name: each.output for name, each in view.steps.items()} == {"check": "good", "extra": "pro"}
    assert view.input == {"slug": "good", "tier": "pro"}


def test_verbs_that_do_not_fit_are_refused_and_change_nothing(make_engine: MakeEngine) -> None:
    plan, begun, go = blocking()
    engine = make_engine(plan)
    run = engine.start("blocking", subject="acme")
    assert begun.wait(10)
    version = run.view().version
    for refused in (engine.retry, engine.continue_, engine.deprovision):
        with pytest.raises(Conflict) as caught:
            refused("acme")
        assert (caught.value.run_id, caught.value.status) == (run.id, "RUNNING")
        assert caught.value.allowed_actions == ("rollback", "cancel", "pause")
    assert run.view().version == version
    go.set()
    assert run.wait(10).status is RunStatus.SUCCEEDED


def test_unknown_names_are_told_with_what_there_is(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    with pytest.raises(NotFound, match="Plans here: chain") as no_plan:
        engine.start("nope", subject="acme")
    with pytest.raises(NotFound) as no_run:
        engine.status("nobody")
    engine.start("chain", subject="acme", input=Order()).wait(10)
    with pytest.raises(NotFound, match="Its steps: a") as no_step:
        engine.signal("acme", "nope")
    assert [each.value.code for each in (no_plan, no_run, no_step)] == ["plan_not_found", "run_not_found", "step_not_found"]


# how a verb names its run and its steps


def test_every_verb_acts_on_a_run_by_its_id(make_engine: MakeEngine) -> None:
    approval = gate("approval", payload=str)
    engine = make_engine(Plan("gated", steps=[approval]))
    run = engine.start("gated", subject="acme")
    run.wait(10)
    engine.signal(run_id=run.id, step=approval, payload="yes")
    assert run.wait(10).steps["approval"].output == "yes"
    for verb in (engine.skip, engine.signal):
        with pytest.raises(TypeError, match="name a step"):
            verb(run_id=run.id)


def test_retry_takes_steps_and_input_by_position_and_one_step_alone(make_engine: MakeEngine, journal: Journal) -> None:
    first = worker(journal, "alpha")
    engine = make_engine(Plan("p", input=Order, steps=[first]))
    run = engine.start("p", subject="acme", input=Order())
    run.wait(10)
    for steps in ([first], "alpha", first):
        engine.retry("acme", steps, Order(slug="b"))
        run.wait(10)
    assert journal.count("alpha") == 4
    assert run.view().input["slug"] == "b"


def test_a_verb_that_is_refused_whatever_comes_with_it_says_so_first(make_engine: MakeEngine, journal: Journal) -> None:
    first = worker(journal, "a")

    @step
    def use(value: str = From(first)) -> str:
        return value

    approval = gate("approval", payload=int, needs=[use])
    engine = make_engine(Plan("p", steps=[first, use, approval]))
    engine.start("p", subject="acme").wait(10)
    with pytest.raises(Conflict) as skipped:
        engine.skip("acme", "a")
    with pytest.raises(Conflict) as resolved:
        engine.resolve("acme", "a", as_="succeeded")
    with pytest.raises(InvalidInput) as signalled:
        engine.signal("acme", "a", {"no": "text"})
    with pytest.raises(InvalidInput) as unfit:
        engine.signal("acme", "approval", "many")
    found = [refused.value.code for refused in (skipped, resolved, signalled, unfit)]
    assert found == ["step_not_failed", "step_not_in_doubt", "not_a_gate", "invalid_output"]


def test_without_the_plans_code_nothing_is_allowed(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    engine.start("chain", subject="acme", input=Order()).wait(10)
    other = make_engine(Plan("other", steps=[worker(journal, "b")]), store=engine.store, work=False)
    assert other.status("acme").allowed_actions == ()
    with pytest.raises(NotFound):
        other.rollback("acme")
