"""Leases, takeovers and quarantine, in a world without threads: engines crash, are paused, wake up, and close."""

from __future__ import annotations

import pytest
from engine_plans import Journal, Order, worker

from provisioning_core import Plan, Retry, RunStatus, StepContext, StepError, StepStatus, step
from provisioning_core.testing import VirtualEngine, VirtualWorld

LEASE = 30.0


@pytest.fixture
def world() -> VirtualWorld:
    return VirtualWorld()


def fork(journal: Journal) -> Plan:
    """``slow`` and ``quick`` side by side, and a step behind each."""
    slow, quick = worker(journal, "slow"), worker(journal, "quick")
    return Plan(
        "fork", input=Order, steps=[slow, quick, worker(journal, "after_slow", needs=[slow]), worker(journal, "after", needs=[quick])]
    )


def begin(engine: VirtualEngine, subject: str = "acme") -> None:
    """Start a run and let its first attempts be launched, not run."""
    engine.engine.start("fork", subject=subject, input=Order())
    engine.turn()


def pass_time(world: VirtualWorld, seconds: float, every: float = 1.0) -> None:
    for _ in range(round(seconds / every)):
        world.clock.advance(every)
        world.turn()


def run_call(world: VirtualWorld, step_name: str) -> None:
    next(call for call in world.calls if call.step == step_name).run()


def statuses(engine: VirtualEngine, subject: str = "acme") -> dict[str, StepStatus]:
    return {name: view.status for name, view in engine.engine.status(subject).steps.items()}


def test_the_runs_of_a_killed_process_go_on_at_once_on_the_same_host(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal)), world.engine(fork(journal))
    begin(first)
    run_call(world, "quick")
    first.turn()
    first.crash()
    pass_time(world, 3)
    assert [call.step for call in second.calls] == ["slow", "after"]
    world.settle()
    assert second.engine.status("acme").status is RunStatus.SUCCEEDED
    assert (journal.count("quick"), journal.count("slow")) == (1, 1)


def test_a_paused_engine_of_this_host_is_waited_for_and_the_other_branches_go_on(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal)), world.engine(fork(journal))
    begin(first)
    run_call(world, "quick")
    first.turn()
    first.pause()
    pass_time(world, 10 * LEASE)
    view = second.engine.status("acme").steps["slow"]
    assert (view.status, view.error and view.error.code) == (StepStatus.IN_DOUBT, "engine_silent")
    assert {call.step for call in second.calls} == set()
    assert statuses(second)["after"] is StepStatus.IN_DOUBT, "it was launched by the paused engine too, and not run"
    first.resume()
    for call in list(first.calls):
        call.run()
    world.settle()
    assert second.engine.status("acme").status is RunStatus.SUCCEEDED
    assert second.engine.status("acme").steps["slow"].attempt == 2


def test_a_paused_engine_that_is_killed_at_last_frees_its_steps(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal)), world.engine(fork(journal))
    begin(first)
    first.pause()
    pass_time(world, 2 * LEASE)
    assert second.calls == []
    first.crash()
    pass_time(world, 3)
    assert {call.step for call in second.calls} == {"slow", "quick"}


def test_an_engine_of_another_host_is_waited_for_as_long_as_the_quarantine_says(world: VirtualWorld, journal: Journal) -> None:
    plan = fork(journal)
    first, second = world.engine(plan, host="one"), world.engine(plan, host="two", quarantine=100.0)
    begin(first)
    first.crash()
    pass_time(world, LEASE + 90)
    assert second.calls == []
    pass_time(world, 20)
    assert {call.step for call in second.calls} == {"slow", "quick"}


def test_nothing_is_undone_while_an_attempt_elsewhere_may_be_alive(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal)), world.engine(fork(journal))
    begin(first)
    first.pause()
    pass_time(world, 2 * LEASE)
    second.engine.rollback("acme")
    pass_time(world, 5 * LEASE)
    assert (second.engine.status("acme").status, second.calls) == (RunStatus.ROLLING_BACK, [])
    first.crash()
    world.settle()
    assert second.engine.status("acme").status is RunStatus.ROLLED_BACK
    assert {line for line in journal.lines if line.startswith("undo")} == {"undo slow", "undo quick"}


def test_past_the_trusted_time_an_engine_launches_nothing_and_asks_what_runs_to_end(world: VirtualWorld, journal: Journal) -> None:
    asked: list[bool] = []

    @step
    def patient(ctx: StepContext) -> None:
        asked.append(ctx.cancelled())

    engine = world.engine(Plan("patient", steps=[patient, step(name="next", needs=[patient])(lambda: None)]))
    engine.engine.start("patient", subject="acme")
    engine.turn()
    world.clock.advance(0.95 * LEASE)
    engine.loop.turn(0.0)
    world.calls[0].run()
    engine.loop.turn(0.0)
    assert (asked, engine.calls) == ([True], [])
    world.settle()
    assert engine.engine.status("acme").status is RunStatus.SUCCEEDED


def test_a_result_is_offered_once_under_the_old_epoch_and_taken_if_nobody_took_the_run(world: VirtualWorld, journal: Journal) -> None:
    engine = world.engine(fork(journal))
    begin(engine)
    engine.pause()
    world.clock.advance(5 * LEASE)
    engine.resume()
    run_call(world, "slow")
    world.settle()
    assert engine.engine.status("acme").status is RunStatus.SUCCEEDED
    assert journal.count("slow") == 1


def test_a_late_result_is_refused_when_another_engine_owns_the_run(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal)), world.engine(fork(journal), host="two", quarantine=0.0)
    begin(first)
    first.pause()
    pass_time(world, LEASE + 5)
    run_call(world, "slow")
    world.turn()
    first.resume()
    for call in list(first.calls):
        call.run()
    world.settle()
    view = second.engine.status("acme")
    assert (view.status, view.steps["slow"].attempt) == (RunStatus.SUCCEEDED, 2)
    assert [event.seq for event in second.engine.events("acme")] == list(range(1, len(list(second.engine.events("acme"))) + 1))


def test_closing_breaks_steps_off_without_counting_that_as_their_failure(world: VirtualWorld, journal: Journal) -> None:
    """A deployment must not fail a tenant: the step has one attempt only, and raises when it is asked to end."""

    @step(retry=Retry(attempts=1))
    def only() -> str:
        journal.write("only")
        return "done"

    plan = Plan("once", steps=[only], on_failure="rollback")
    first = world.engine(plan)
    first.engine.start("once", subject="acme")
    first.turn()
    first.close()
    second = world.engine(plan)
    world.settle()
    assert (second.engine.status("acme").status, journal.lines) == (RunStatus.SUCCEEDED, ["only"])


def test_a_step_that_raises_because_it_was_asked_to_end_is_run_again(world: VirtualWorld, journal: Journal) -> None:
    @step
    def polite(ctx: StepContext) -> None:
        journal.write("polite")
        if ctx.cancelled():
            raise StepError("stopped on request")

    engine = world.engine(Plan("polite", steps=[polite]))
    engine.engine.start("polite", subject="acme")
    engine.turn()
    world.clock.advance(0.95 * LEASE)
    engine.loop.turn(0.0)
    world.settle()
    assert (engine.engine.status("acme").status, journal.lines) == (RunStatus.SUCCEEDED, ["polite", "polite"])


def test_a_run_that_kills_its_engines_is_set_aside_until_a_person_continues_it(world: VirtualWorld, journal: Journal) -> None:
    plan = fork(journal)
    begin(world.engine(plan))
    for _ in range(6):
        world.engines[-1].crash()
        last = world.engine(plan)
        pass_time(world, 2)
    view = last.engine.status("acme")
    assert (view.is_resting, view.errors[0].code, last.calls) == (True, "kills_its_engine", [])
    assert "continue" in view.allowed_actions
    last.engine.continue_("acme", actor="ana")
    world.settle()
    assert last.engine.status("acme").status is RunStatus.SUCCEEDED


def test_engines_that_leave_in_good_order_do_not_count_as_killed(
    world: VirtualWorld, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that looks at a run for a moment leaves while its step is under way, again and again."""
    plan = fork(journal)
    begin(world.engine(plan))
    for _ in range(10):
        leaving = world.engines[-1]
        monkeypatch.setattr(leaving.loop, "_let_end", lambda _: None)
        leaving.loop.wind_up(grace=0.0)
        leaving.crash()
        last = world.engine(plan)
        pass_time(world, 2)
    world.settle()
    assert last.engine.status("acme").status is RunStatus.SUCCEEDED


def test_what_is_done_between_crashes_is_no_reason_to_set_a_run_aside(world: VirtualWorld, journal: Journal) -> None:
    steps = [worker(journal, "s0")]
    for number in range(1, 10):
        steps.append(worker(journal, f"s{number}", needs=[steps[-1]]))
    plan = Plan("fork", input=Order, steps=steps)
    begin(world.engine(plan))
    for _ in range(9):
        world.calls[0].run()
        world.engines[-1].turn()
        world.engines[-1].crash()
        last = world.engine(plan)
        pass_time(world, 2)
    world.settle()
    assert last.engine.status("acme").status is RunStatus.SUCCEEDED
    assert [journal.count(f"s{number}") for number in range(10)] == [1] * 10


def test_the_runs_of_a_dead_engine_are_spread_over_those_that_live(world: VirtualWorld, journal: Journal) -> None:
    plan = fork(journal)
    web = world.engine(plan)
    for number in range(300):
        web.engine.start("fork", subject=f"t{number}", input=Order())
    web.turn()
    web.crash()
    others = [world.engine(plan, max_workers=4) for _ in range(3)]
    shares: dict[str, int] = {engine.name: 0 for engine in others}
    for _ in range(3000):
        world.turn()
        for engine in others:
            if engine.calls:
                shares[engine.name] += 1
                engine.calls[0].run()
        if world.is_at_rest:
            break
        world.clock.advance(0.05)
    assert world.is_at_rest
    assert sum(shares.values()) == 1200
    assert min(shares.values()) >= 0.15 * 1200, shares


def test_an_engine_closed_cleanly_leaves_nothing_to_wait_for(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal), host="one"), world.engine(fork(journal), host="two", quarantine=1e6)
    begin(first)
    first.close()
    world.settle()
    assert second.engine.status("acme").status is RunStatus.SUCCEEDED
    assert [engine.id for engine in world.store.engines()] == [second.name]


def test_rows_of_engines_that_are_gone_are_removed(world: VirtualWorld, journal: Journal) -> None:
    first, second = world.engine(fork(journal)), world.engine(fork(journal))
    first.crash()
    pass_time(world, LEASE + 5)
    assert [engine.id for engine in world.store.engines()] == [second.name]
