from __future__ import annotations

import asyncio
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from engine_plans import QUICK, Journal, MakeEngine, Order, blocking, chain, until
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Session

from provisioning_core import Event, From, NotReady, Plan, Retry, RunStatus, StepContext, StepError, step
from provisioning_core.executors import InlineExecutor
from provisioning_core.stores import SqlStore


class Login(BaseModel):
    user: str
    password: SecretStr


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"rows": [1.0, math.nan]}, r"\$\.rows\[1\]"),
        ({"text": "\ud800"}, r"\$\.text"),
        ({"text": "a\x00b"}, r"\$\.text"),
        ({1: "x"}, r"\$: a key of type int"),
        ({"blob": "x" * 2_000_000}, "1,048,576 are allowed"),
        ({"it": object()}, r"\$\.it: a value of type object"),
    ],
    ids=["nan", "surrogate", "nul", "key", "2MB", "object"],
)
def test_an_output_that_can_not_be_stored_fails_the_step_and_names_the_path(make_engine: MakeEngine, value: Any, path: str) -> None:
    import re

    @step(retry=QUICK)
    def bad() -> Any:
        return value

    engine = make_engine(Plan("p", steps=[bad]))
    view = engine.start("p", subject="acme").wait(10)
    assert (view.status, view.steps["bad"].attempt, view.errors[0].code) == (RunStatus.FAILED, 1, "invalid_output")
    assert re.search(path, view.errors[0].detail)
    assert engine.status("acme").allowed_actions == ("retry", "continue", "skip", "rollback")


def test_an_output_of_another_type_than_declared_is_refused(make_engine: MakeEngine) -> None:
    @step
    def bad() -> int:
        return "5"  # type: ignore[return-value]  that is what is tested

    view = make_engine(Plan("p", steps=[bad])).start("p", subject="acme").wait(10)
    assert view.errors[0].code == "invalid_output"


def test_secrets_are_masked_everywhere_and_reach_those_who_take_them(make_engine: MakeEngine) -> None:
    seen: list[str] = []

    @step
    def create(login: Login) -> Login:
        return Login(user=login.user, password=SecretStr("generated-pw"))

    @step
    def use(login: Login, made: Login = From(create)) -> None:
        seen.append(made.password.get_secret_value())
        raise RuntimeError(f"refused {made.password.get_secret_value()} and {login.password.get_secret_value()}")

    engine = make_engine(Plan("p", input=Login, steps=[create, use]), secrets_key=os.urandom(32))
    view = engine.start("p", subject="acme", input={"user": "bob", "password": "s3cret-input"}).wait(10)
    shown = f"{view} {view.errors[0].traceback} {[event.to_dict() for event in engine.events('acme')]} {engine.store.load(view.id)}"
    assert seen == ["generated-pw"]
    assert "generated-pw" not in shown
    assert "s3cret-input" not in shown
    assert view.steps["create"].output == {"user": "bob", "password": "**********"}
    assert view.errors[0].detail == "RuntimeError: refused ********** and **********"


def test_async_steps_mix_with_plain_ones_and_can_overlap(make_engine: MakeEngine) -> None:
    arrived = []
    both = asyncio.Event()

    async def meet(name: str) -> str:
        arrived.append(name)
        if len(arrived) == 2:
            both.set()
        await asyncio.wait_for(both.wait(), 10)
        return name

    @step
    async def left() -> str:
        return await meet("left")

    @step
    async def right() -> str:
        return await meet("right")

    @step
    def join(one: str = From(left), two: str = From(right)) -> str:
        return one + two

    view = make_engine(Plan("p", steps=[left, right, join])).start("p", subject="acme").wait(10)
    assert (view.status, view.steps["join"].output) == (RunStatus.SUCCEEDED, "leftright")


def test_an_async_step_is_broken_off_when_its_time_is_up(make_engine: MakeEngine) -> None:
    @step(timeout=0.05)
    async def forever() -> None:
        await asyncio.sleep(60)

    view = make_engine(Plan("p", steps=[forever])).start("p", subject="acme").wait(10)
    assert (view.status, [error.code for error in view.errors]) == (RunStatus.FAILED, ["timeout"])


def test_the_late_result_of_a_timed_out_attempt_is_refused(make_engine: MakeEngine) -> None:
    calls: list[int] = []
    release = threading.Event()

    @step(timeout=0.1, retry=Retry(attempts=2, initial=0.0, jitter=0.0))
    def slow(ctx: StepContext) -> str:
        calls.append(ctx.attempt)
        if ctx.attempt == 1:
            release.wait(10)
        return f"attempt {ctx.attempt}"

    engine = make_engine(Plan("p", steps=[slow]))
    run = engine.start("p", subject="acme")
    assert until(lambda: engine.status("acme").steps["slow"].status.value == "IN_DOUBT")
    assert calls == [1], "no second attempt while the first may be alive"
    release.set()
    view = run.wait(10)
    assert (view.status, view.steps["slow"].output, calls) == (RunStatus.SUCCEEDED, "attempt 2", [1, 2])


def test_a_probe_adopts_what_a_timed_out_attempt_had_made(make_engine: MakeEngine) -> None:
    made: list[str] = []

    @step(timeout=0.05)
    def create(ctx: StepContext) -> str:
        made.append("it")
        until(ctx.cancelled)
        return "never taken"

    @create.probe
    def find() -> str | None:
        return "found" if made else None

    view = make_engine(Plan("p", steps=[create])).start("p", subject="acme").wait(10)
    assert (view.status, view.steps["create"].output, made) == (RunStatus.SUCCEEDED, "found", ["it"])


def test_not_ready_polls_without_using_up_attempts(make_engine: MakeEngine) -> None:
    asked: list[int] = []

    @step
    def poll(ctx: StepContext) -> int:
        asked.append(ctx.attempt)
        if len(asked) < 5:
            raise NotReady("still building", after=0.01)
        return len(asked)

    view = make_engine(Plan("p", steps=[poll])).start("p", subject="acme").wait(10)
    assert (view.status, view.steps["poll"].output, view.steps["poll"].message) == (RunStatus.SUCCEEDED, 5, "still building")


def test_a_step_error_says_how_it_failed(make_engine: MakeEngine) -> None:
    @step(retry=Retry(attempts=5, initial=0.0))
    def charge() -> None:
        raise StepError("card 4711 declined", code="card_declined", user_message="Your card was declined.", retryable=False)

    view = make_engine(Plan("p", steps=[charge])).start("p", subject="acme").wait(10)
    error = view.errors[0]
    assert (view.steps["charge"].attempt, error.code, error.message) == (1, "card_declined", "Your card was declined.")
    assert "4711" in error.detail


def test_what_is_not_worth_another_try_is_not_tried_again(make_engine: MakeEngine) -> None:
    @step(retry=Retry(attempts=5, initial=0.0, give_up_on=(KeyError,)))
    def look_up() -> None:
        raise KeyError("gone")

    assert make_engine(Plan("p", steps=[look_up])).start("p", subject="acme").wait(10).steps["look_up"].attempt == 1


def test_even_system_exit_only_fails_the_step(make_engine: MakeEngine, journal: Journal) -> None:
    @step
    def leave() -> None:
        raise SystemExit(3)

    engine = make_engine(Plan("p", steps=[leave]), chain(journal, ["a"]))
    assert engine.start("p", subject="acme").wait(10).status is RunStatus.FAILED
    assert engine.start("chain", subject="other", input=Order()).wait(10).status is RunStatus.SUCCEEDED


def test_the_ledger_outlives_failed_attempts_and_reaches_the_compensation(make_engine: MakeEngine) -> None:
    dropped: list[Any] = []

    @step(retry=QUICK)
    def create(ctx: StepContext) -> None:
        ctx.record("bucket", f"b{ctx.attempt}", region="eu")
        raise RuntimeError("half done")

    @create.compensate
    def drop(ctx: StepContext, output: None) -> None:
        dropped.extend((each.kind, each.id, each.details) for each in ctx.resources)

    engine = make_engine(Plan("p", steps=[create], on_failure="rollback"))
    view = engine.start("p", subject="acme").wait(10)
    assert view.status is RunStatus.ROLLED_BACK
    assert dropped == [("bucket", f"b{number}", {"region": "eu"}) for number in (1, 2, 3)]
    assert [each.id for each in view.steps["create"].resources] == ["b1", "b2", "b3"]


def test_a_checkpoint_is_there_at_the_next_attempt(make_engine: MakeEngine) -> None:
    @step(retry=QUICK)
    def copy(ctx: StepContext) -> list[int]:
        done = list(ctx.restored or [])
        ctx.checkpoint([*done, ctx.attempt])
        if ctx.attempt < 3:
            raise RuntimeError("interrupted")
        return [*done, ctx.attempt]

    assert make_engine(Plan("p", steps=[copy])).start("p", subject="acme").wait(10).steps["copy"].output == [1, 2, 3]


def test_progress_moves_and_never_goes_backwards(make_engine: MakeEngine) -> None:
    told, go = threading.Event(), threading.Event()

    @step(weight=3)
    def long(ctx: StepContext) -> None:
        ctx.progress(0.5, "half-way")
        told.set()
        go.wait(10)

    @step(weight=1)
    def quick() -> None: ...

    engine = make_engine(Plan("p", steps=[long, quick]))
    run = engine.start("p", subject="acme")
    assert told.wait(10)
    assert until(lambda: run.view().progress == pytest.approx((1 + 1.5) / 4))
    assert (run.view().steps["long"].progress, run.view().steps["long"].message) == (0.5, "half-way")
    go.set()
    assert run.wait(10).progress == 1.0


def test_the_context_tells_the_deadline(make_engine: MakeEngine) -> None:
    @step(timeout=30)
    def look(ctx: StepContext) -> float:
        assert ctx.deadline is not None
        return (ctx.deadline - datetime.now(UTC)).total_seconds()

    assert 20 < make_engine(Plan("p", steps=[look])).start("p", subject="acme").wait(10).steps["look"].output <= 30


def test_a_limit_holds_for_all_runs_together(make_engine: MakeEngine) -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def call(ctx: StepContext) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        until(lambda: False, 0.02)
        with lock:
            inside[0] -= 1

    plan = Plan("p", steps=[step(name=f"s{number}", limit="dns-api")(call) for number in range(6)])
    engine = make_engine(plan, limits={"dns-api": 2})
    runs = [engine.start("p", subject=f"t{number}") for number in range(4)]
    assert [run.wait(20).status for run in runs] == [RunStatus.SUCCEEDED] * 4
    assert most[0] == 2


def test_any_executor_of_the_standard_library_can_be_handed_in(make_engine: MakeEngine, journal: Journal) -> None:
    with ThreadPoolExecutor(2, thread_name_prefix="mine") as pool:
        names: list[str] = []

        @step
        def look() -> None:
            names.append(threading.current_thread().name)

        engine = make_engine(Plan("p", steps=[look]), executor=pool)
        assert engine.start("p", subject="acme").wait(10).status is RunStatus.SUCCEEDED
        assert names[0].startswith("mine")
        engine.close()


def test_inline_steps_run_on_the_loop_and_may_record(make_engine: MakeEngine) -> None:
    @step
    def make(ctx: StepContext) -> str:
        ctx.record("thing", "1")
        ctx.checkpoint({"a": 1})
        return threading.current_thread().name

    engine = make_engine(Plan("p", steps=[make]), executor=InlineExecutor())
    view = engine.start("p", subject="acme").wait(10)
    assert (view.steps["make"].output, view.steps["make"].resources[0].id) == ("provisioning-loop", "1")


def test_observers_are_told_after_the_commit_and_can_not_break_a_run(make_engine: MakeEngine, journal: Journal) -> None:
    class Broken:
        def notify(self, events: Any) -> None:
            raise RuntimeError("an observer's own problem")

    class Listening:
        def __init__(self) -> None:
            self.heard: list[Event] = []

        def notify(self, events: Any) -> None:
            self.heard.extend(events)

    listening = Listening()
    engine = make_engine(chain(journal, ["a"]), observers=[Broken(), listening])
    engine.start("chain", subject="acme", input=Order()).wait(10)
    engine.close()
    assert [event.seq for event in listening.heard] == list(range(2, 2 + len(listening.heard)))
    assert listening.heard[-1].type == "run.succeeded"


def test_closing_lets_running_steps_end_and_a_new_engine_goes_on(make_engine: MakeEngine) -> None:
    plan, begun, go = blocking()
    engine = make_engine(plan)
    run = engine.start("blocking", subject="acme")
    assert begun.wait(10)
    threading.Timer(0.1, go.set).start()
    engine.close(timeout=10)
    assert {name: each.status.value for name, each in run.view().steps.items()} == {"slow": "SUCCEEDED", "after": "PENDING"}
    begun.clear()
    other = make_engine(plan, store=engine.store)
    assert other.wait("acme", timeout=10).status is RunStatus.SUCCEEDED
    assert not begun.is_set(), "what had succeeded must not run again"


# what steps say, at its edges


@pytest.mark.parametrize(
    ("given", "least"), [("5", 5.0), (1.7e12, 365 * 86_400.0), (math.inf, 365 * 86_400.0), (math.nan, 0.0), ("Wed, 21 Oct", 0.0)]
)
def test_a_wait_that_a_provider_asks_for_is_taken_as_far_as_it_is_one(make_engine: MakeEngine, given: Any, least: float) -> None:
    @step(retry=Retry(attempts=2, initial=3600.0, maximum=3600.0, jitter=0.0))
    def busy() -> None:
        raise StepError("busy", retry_after=given)

    engine = make_engine(Plan("p", steps=[busy]))
    before = datetime.now(UTC)
    engine.start("p", subject="acme")
    assert until(lambda: engine.status("acme").steps["busy"].status == "RETRYING")
    at = engine.status("acme").steps["busy"].next_attempt_at
    assert at is not None
    assert abs((at - before).total_seconds() - max(least, 3600.0)) < 10


def test_a_time_beyond_the_calendar_can_be_looked_at(make_engine: MakeEngine) -> None:
    @step(timeout=1e12)
    def patient(ctx: StepContext) -> str:
        return str(ctx.deadline)

    view = make_engine(Plan("p", steps=[patient])).start("p", subject="acme").wait(10)
    assert view.steps["patient"].output == "9999-12-31 23:59:59.999999+00:00"


def test_a_step_that_fails_in_an_odd_way_fails_all_the_same(make_engine: MakeEngine) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @step
    def mute() -> None:
        raise Mute

    @step
    def verbose() -> None:
        raise StepError(None, code="c" * 500, user_message="m" * 100_000)  # type: ignore[arg-type]

    view = make_engine(Plan("p", steps=[mute, verbose])).start("p", subject="acme").wait(10)
    told = {error.step: error for error in view.errors}
    assert (told["mute"].code, told["mute"].detail) == ("exception", "Mute: (its text can't be had)")
    assert (len(told["verbose"].code) <= 150, len(told["verbose"].message) <= 2_100, told["verbose"].detail) == (True, True, "None")


def test_secrets_do_not_get_into_progress_messages_and_codes(make_engine: MakeEngine) -> None:
    go = threading.Event()

    class Login(BaseModel):
        password: SecretStr
        empty: SecretStr = SecretStr("")

    @step
    def log_in(login: Login, ctx: StepContext) -> None:
        ctx.progress(0.5, f"with {login.password.get_secret_value()}")
        go.wait(10)
        raise StepError("no", code=f"bad_{login.password.get_secret_value()}")

    engine = make_engine(Plan("p", input=Login, steps=[log_in]), secrets_key=os.urandom(32))
    run = engine.start("p", subject="acme", input={"password": "hunter2"})
    assert until(lambda: run.view().steps["log_in"].message != "")
    assert run.view().steps["log_in"].message == "with **********"
    go.set()
    assert run.wait(10).errors[0].code == "bad_**********"


def test_what_a_transactional_step_recorded_is_known_though_its_transaction_was_taken_back(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    @step(transactional=True)
    def seed(session: Session, ctx: StepContext) -> None:
        ctx.record("vm", "vm-1", region="eu")
        raise StepError("no")

    @seed.compensate
    def unseed(ctx: StepContext) -> None:
        seen.append([entry.id for entry in ctx.resources])

    engine = make_engine(Plan("p", steps=[seed]), store=SqlStore(f"sqlite:///{tmp_path / 'runs.db'}"))
    view = engine.start("p", subject="acme").wait(10)
    assert [(entry.kind, entry.id, entry.details) for entry in view.steps["seed"].resources] == [("vm", "vm-1", {"region": "eu"})]
    assert [event.type for event in engine.events("acme")].count("resource.recorded") == 1
    engine.rollback("acme").wait(10)
    assert seen == [["vm-1"]]
