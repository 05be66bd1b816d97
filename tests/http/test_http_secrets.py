"""A secret that went in, or that an exception told, comes out nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from provisioning_http import create_router
from pydantic import BaseModel, SecretStr, TypeAdapter, ValidationError, field_validator
from starlette.testclient import TestClient

from provisioning_core import Engine, From, Plan, Retry, StepError, step
from provisioning_core.observers import LogObserver
from provisioning_core.stores import MemoryStore, SqlStore

ACME = "/provisioning/tenants/acme"
CANARY = "canary-4711-secret"
STREAM = {"Accept": "text/event-stream"}


def everything(client: TestClient, run_id: str) -> str:
    """All that can be read, in one text."""
    paths = [
        *(f"{ACME}/{name}" for name in ("status", "events?limit=1000", "graph", "timeline")),
        *(f"{ACME}/graph?format={form}" for form in ("mermaid", "dot", "svg", "text")),
        *(f"{ACME}/timeline?format={form}" for form in ("svg", "text")),
        f"/provisioning/runs/{run_id}",
    ]
    answers = [client.get(path) for path in paths]
    answers += [
        client.get(f"{ACME}/events", headers=STREAM | ({"Last-Event-ID": f"{run_id}:0"} if whole else {})) for whole in (0, 1)
    ]
    answers.append(client.get(client.post(f"{ACME}/events/ticket").json()["url"], headers=STREAM))
    assert {answer.status_code for answer in answers} == {200}
    return "".join(answer.text + str(answer.headers) for answer in answers)


def test_a_secret_in_the_input_and_in_an_output_is_masked_for_everybody(world, olaf: TestClient, anna: TestClient) -> None:
    given = {"slug": "acme", "password": CANARY}
    started = olaf.post(f"{ACME}/start", json={"plan": "quick", "input": given, "reason": "sign-up"})
    world.engine.wait("acme", timeout=10)
    refused = olaf.post(f"{ACME}/start", json={"plan": "slow", "input": given})
    shown = everything(olaf, started.json()["run_id"]) + everything(anna, started.json()["run_id"])

    assert (started.status_code, refused.status_code) == (202, 409)
    assert CANARY not in started.text + refused.text + shown
    assert "**********" in shown


def test_an_exceptions_text_is_for_operators_only(world, olaf: TestClient, anna: TestClient) -> None:
    run = world.start("broken")

    assert CANARY not in everything(anna, run.id)
    assert "Your database could not be made." in everything(anna, run.id)
    assert CANARY in olaf.get(f"{ACME}/status").json()["errors"][0]["detail"]


def test_a_failed_compensations_text_is_for_operators_only(world, olaf: TestClient, anna: TestClient) -> None:
    world.undo_mended.clear()
    run = world.start("quick")
    olaf.post(f"{ACME}/deprovision")
    world.engine.wait("acme", timeout=10)

    assert anna.get(f"{ACME}/status").json()["state"] == "ROLLBACK_FAILED"
    assert CANARY not in everything(anna, run.id)


def test_a_corrected_input_does_not_enter_the_history(world, olaf: TestClient) -> None:
    world.undo_mended.clear()
    run = world.start("quick")
    olaf.post(f"{ACME}/retry", json={"steps": ["bucket"], "input": {"slug": "acme", "password": CANARY}})
    world.engine.wait("acme", timeout=10)

    assert CANARY not in everything(olaf, run.id)


ODD = [
    "canary\n-4711\r\n-secret",
    "canary\"-4711'-secret",
    "canary\\-4711\\n-secret",
    "canary\t-4711\x7f-secret",
    "canary-4711-secret-\u00e9\u4e2d\U0001f680",
    "canary-" * 30 + "4711" + "-secret" * 30,
]
TELLERS: dict[str, Any] = {
    "as it is": lambda value: value,
    "repr": repr,
    "json": json.dumps,
    "json of non-ascii": lambda value: json.dumps(value, ensure_ascii=False),
    "repr of a document": lambda value: repr({"keys": [value]}),
    "repr of json": lambda value: repr(json.dumps({"key": value})),
    "a line of it": lambda value: value.split("\n")[-1],
    "another error": lambda value: str(refusal_of(value)),
}
"""Ways in which a validator may tell of the value."""


def refusal_of(value: str) -> ValidationError:
    try:
        TypeAdapter(int).validate_python(value)
    except ValidationError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("way", TELLERS)
def test_a_value_is_not_repeated_however_a_validator_tells_of_it(way: str, value: str) -> None:
    class Told(BaseModel):
        key: SecretStr

        @field_validator("key")
        @classmethod
        def _is_refused(cls, key: SecretStr) -> SecretStr:
            raise ValueError(f"no key: {TELLERS[way](key.get_secret_value())}!")

    @step
    def use(told: Told) -> None: ...

    plan = Plan("told", input=Told, steps=[use])
    with Engine(store=MemoryStore(), plans=[plan], secrets_key=b"k" * 32) as engine:
        app = FastAPI()
        app.include_router(create_router(engine, authorize=lambda *_: True))
        answer = TestClient(app).post(f"{ACME}/start", json={"plan": "told", "input": {"key": value}})

    assert answer.status_code == 422
    assert "no key" in answer.text
    for part in ("canary", "4711", "-secret"):
        assert part not in answer.text


@pytest.mark.parametrize("path", ["status?wait=", "status?after=", "events?after=", "events?limit=", "graph?format="])
def test_a_secret_in_a_query_is_not_repeated(world, olaf: TestClient, path: str) -> None:
    world.start("gated")
    answer = olaf.get(f"{ACME}/{path}{CANARY}")

    assert answer.status_code == 422
    assert CANARY not in answer.text


def test_a_secret_as_an_idempotency_key_is_not_repeated(olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/start", json={"plan": "gated"}, headers={"Idempotency-Key": f"{CANARY} {CANARY}"})

    assert answer.status_code == 400
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"events?run_id={CANARY}", 404),
        (f"events?ticket={CANARY}", 401),
        (f"events?run_id={CANARY}{'x' * 200}", 422),
        (f"events?ticket={CANARY}{'x' * 200}", 401),
        (f"events?last_event_id={CANARY}{'x' * 300}", 422),
        (f"events?last_event_id={CANARY}", 200),
    ],
)
def test_a_secret_in_what_is_asked_of_a_stream_is_not_repeated(world, olaf: TestClient, path: str, status: int) -> None:
    world.start("quick")
    answer = olaf.get(f"{ACME}/{path}", headers=STREAM)

    assert answer.status_code == status
    assert CANARY not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    "header", ["If-Match", "If-None-Match", "Last-Event-ID", "Origin", "Accept", "Content-Type", "Authorization"]
)
def test_a_secret_in_a_header_is_not_repeated(world, olaf: TestClient, header: str) -> None:
    world.start("gated")
    answers = [
        olaf.post(f"{ACME}/pause", headers={header: CANARY}),
        olaf.get(f"{ACME}/status", headers={header: CANARY}),
        olaf.post(f"{ACME}/pause", headers={header: CANARY}, content=b"{"),
    ]

    assert CANARY not in "".join(answer.text + str(answer.headers) for answer in answers)


class Account(BaseModel):
    slug: str
    password: SecretStr


class Key(BaseModel):
    name: str
    token: SecretStr


@step
def key(account: Account) -> Key:
    return Key(name=account.slug, token=SecretStr(f"{CANARY}-token"))


@step(retry=Retry(attempts=2, initial=0.0), user_message="The door did not open.")
def door(account: Account, made: Key = From(key)) -> None:
    raise StepError(f"no luck with {account.password.get_secret_value()} and {made.token.get_secret_value()}")


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Engine]:
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    plan = Plan("account", input=Account, steps=[key, door])
    with Engine(store=store, plans=[plan], secrets_key=b"k" * 32, poll=0.05, observers=[LogObserver()]) as engine:
        yield engine


def test_secrets_are_in_no_answer_no_log_and_not_in_the_database(
    on_disk: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where a step puts them into an error's text, and not for operators."""
    app = FastAPI()
    app.include_router(create_router(on_disk, authorize=lambda *_: "olaf"))
    body = {"plan": "account", "input": {"slug": "acme", "password": f"{CANARY}-password"}}
    with caplog.at_level(logging.DEBUG), TestClient(app) as client:
        started = client.post(f"{ACME}/start", json=body, headers={"Idempotency-Key": "once"})
        on_disk.wait("acme", timeout=10)
        told = started.text + everything(client, started.json()["run_id"])
        told += client.post(f"{ACME}/start", json=body | {"again": True, "labels": {"a": "b"}}).text
        told += client.post(f"{ACME}/retry", json={"input": body["input"], "steps": ["door"]}).text
        on_disk.wait("acme", timeout=10)
        told += client.post(f"{ACME}/start", json=body | {"input": [body["input"]]}).text
        told += everything(client, started.json()["run_id"])
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert on_disk.status("acme").status == "FAILED"
    assert "**********" in told
    assert CANARY not in told
    assert CANARY not in caplog.text
    assert "StepError" in told
    assert "acme" in caplog.text
    assert files
    assert [name for name, data in files.items() if CANARY.encode() in data] == []
