"""Log records carry what a formatter needs to find a run again, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from provisioning_core import Engine, Plan, Retry, StepContext, StepError, StoreUnavailable, step
from provisioning_core.engine._workshop import Workshop
from provisioning_core.model import Event
from provisioning_core.observers import JsonFormatter, LogObserver
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.testing import FaultyStore

CANARY = "canary-4711-secret"
KEY = b"0123456789abcdef0123456789abcdef"
FIELDS = ("run_id", "subject", "plan", "step", "attempt")


def _fields(record: logging.LogRecord) -> tuple[Any, ...]:
    return tuple(vars(record)[name] for name in FIELDS)


@step
def hello(ctx: StepContext) -> str:
    ctx.log.info("about to greet")
    return "hello"


def test_every_event_is_logged_in_order_and_failures_as_warnings(caplog: pytest.LogCaptureFixture) -> None:
    @step
    def broken() -> None:
        raise RuntimeError("no")

    caplog.set_level(logging.INFO, logger="provisioning_core.events")
    with Engine(store=MemoryStore(), plans=[Plan("log", steps=[broken])], observers=[LogObserver()]) as engine:
        run = engine.start("log", subject="acme", actor="ana")
        run.wait(10)
        recorded = [(event.seq, event.type, event.step) for event in engine.events("acme")]
    lines = [record for record in caplog.records if record.name == "provisioning_core.events"]
    told = [(line.__dict__["seq"], line.__dict__["event"], line.__dict__["step"]) for line in lines]
    assert told == recorded[-len(told) :]
    assert told[-1][1] == "run.failed"
    assert {line.levelname for line in lines if line.__dict__["event"].endswith("failed")} == {"WARNING"}
    assert {_fields(line)[:3] for line in lines} == {(run.id, "acme", "log")}


def test_an_event_without_its_run_is_logged_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="provisioning_core.events")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    LogObserver().notify([Event(run_id="r", seq=3, at=at, type="step.failed", step="mail", attempt=2)])
    (line,) = caplog.records
    assert (line.getMessage(), _fields(line)) == ("r #3 step.failed mail", ("r", None, None, "mail", 2))


def test_what_a_step_logs_says_whose_step_it_is(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="provisioning_core.step")
    with Engine(store=MemoryStore(), plans=[Plan("log", steps=[hello])]) as engine:
        run = engine.start("log", subject="acme")
        run.wait(10)
    (line,) = [record for record in caplog.records if record.name == "provisioning_core.step"]
    assert _fields(line) == (run.id, "acme", "log", "hello", 1)


def test_what_the_engine_logs_of_an_attempt_says_whose_it_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a fault of our own")

    monkeypatch.setattr(Workshop, "_result", broken)
    with Engine(store=MemoryStore(), plans=[Plan("log", steps=[hello])]) as engine:
        run = engine.start("log", subject="acme")
        run.wait(10)
    (line,) = [record for record in caplog.records if "broke" in record.getMessage()]
    assert _fields(line) == (run.id, "acme", "log", "hello", 1)


def test_what_the_engine_logs_of_a_run_says_whose_it_is(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def on_status(change: Any, _: Any) -> None:
        told.append(change.status)
        if len(told) in (2, 3):  # the first was its creation; a commit that fails is tried alone, then later
            raise RuntimeError("the product's database is away")

    with Engine(store=MemoryStore(), plans=[Plan("log", steps=[hello])], on_status=on_status) as engine:
        run = engine.start("log", subject="acme")
        run.wait(10)
    (line,) = [record for record in caplog.records if "on_status failed" in record.getMessage()]
    assert _fields(line) == (run.id, "acme", "log", None, None)


def test_every_record_that_names_a_run_has_its_fields() -> None:
    """In the source: whoever writes "run %s" or "attempt %s" hands the fields in."""
    from pathlib import Path

    import provisioning_core.engine as engine

    calls = [
        call.partition("\n")[0]
        for path in Path(engine.__file__).parent.glob("*.py")
        for call in path.read_text("utf-8").split("_log.")[1:]
        if '"run %s' in call.partition("\n")[0] or '"attempt %s' in call.partition("\n")[0]
    ]
    assert len(calls) >= 10
    assert [call for call in calls if "extra=about" not in call] == []


def test_the_library_says_nothing_where_nobody_configured_logging() -> None:
    handlers = logging.getLogger("provisioning_core").handlers
    assert [type(handler) for handler in handlers] == [logging.NullHandler]


# JSON


@pytest.fixture
def json_lines() -> Iterator[io.StringIO]:
    """All that the library logs, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("provisioning_core")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_record_is_one_line_of_json_with_all_its_fields(json_lines: io.StringIO) -> None:
    with Engine(store=MemoryStore(), plans=[Plan("log", steps=[hello])]) as engine:
        run = engine.start("log", subject="acme")
        run.wait(10)
    (line,) = [json.loads(line) for line in json_lines.getvalue().splitlines()]
    assert datetime.fromisoformat(line.pop("at")).tzinfo is not None
    assert line == {
        "level": "INFO",
        "logger": "provisioning_core.step",
        "message": "about to greet",
        **dict(zip(FIELDS, (run.id, "acme", "log", "hello", 1), strict=True)),
    }


def test_nothing_in_a_record_breaks_its_line(json_lines: io.StringIO) -> None:
    log = logging.getLogger("provisioning_core.odd")
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("a\nb\u2028c %s", "\x1b[31m", extra={"subject": "x\ny", "thing": object(), "level": "mine"}, stack_info=True)
    (line,) = json_lines.getvalue().splitlines()
    told = json.loads(line)
    assert line.isascii()
    assert (told["message"], told["subject"], told["level"]) == ("a\nb\u2028c \x1b[31m", "x\ny", "ERROR")
    assert told["thing"].startswith("<object object")
    assert told["exception"].endswith("ValueError: first\nsecond")
    assert told["stack"].startswith("Stack")


# secrets


class Account(BaseModel):
    name: str
    password: SecretStr


class Leaky(LogObserver):
    """Fails, so that its failure is logged, too."""

    def notify_run(self, run: Any, events: Any) -> None:
        super().notify_run(run, events)
        raise RuntimeError("an observer failed")


def test_no_secret_gets_into_the_log(json_lines: io.StringIO, tmp_path: Any) -> None:
    """Whatever goes wrong with a run that has secrets: a step's error, its output, a commit, a hook, an observer."""

    @step(retry=Retry(attempts=2, initial=0.001, jitter=0.0))
    def account(given: Account, ctx: StepContext) -> Account:
        ctx.log.info("making an account for %s", given)
        ctx.record("account", "a-1", note="made")
        if ctx.attempt == 1:
            raise StepError(f"refused: {given.password.get_secret_value()}", user_message=given.password.get_secret_value())
        return given

    @account.compensate
    def close(given: Account, output: Account | None) -> None:
        raise RuntimeError(f"still in use: {given.password.get_secret_value()} {output}")

    @step(needs=[account])
    def bad_output(given: Account) -> int:
        return given.password.get_secret_value()  # type: ignore[return-value]  # on purpose

    hooked: list[str] = []

    def on_status(change: Any, _: Any) -> None:
        hooked.append(change.status)
        if len(hooked) in (3, 4):
            raise RuntimeError("the hook failed")

    store = FaultyStore(SqlStore(f"sqlite:///{tmp_path / 'runs.db'}"))
    plan = Plan("tenant", input=Account, steps=[account, bad_output], on_failure="rollback")
    with Engine(store=store, plans=[plan], secrets_key=KEY, on_status=on_status, observers=[Leaky()], poll=0.02, lease=5.0) as engine:
        store.fail(3, method="commit", error=StoreUnavailable("the disk is full"))
        run = engine.start("tenant", subject="acme", input=Account(name="acme", password=SecretStr(CANARY)))
        assert run.wait(30).status == "ROLLBACK_FAILED"
    text = json_lines.getvalue()
    assert CANARY not in text
    for expected in ("making an account for name='acme'", "on_status failed", "an observer failed", "nothing can be recorded"):
        assert expected in text
