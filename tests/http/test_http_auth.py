"""The product's ``authorize``: sync or async, and what its answers mean."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from provisioning_http import bearer_token, create_router
from starlette.testclient import TestClient

from provisioning_core import ProvisioningError

ACME = "/provisioning/tenants/acme"


def serve(world: Any, authorize: Any) -> TestClient:
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=authorize))
    return TestClient(app)


def actor_of_a_start(world: Any, authorize: Any) -> Any:
    answer = serve(world, authorize).post(f"{ACME}/start", json={"plan": "gated"})
    assert answer.status_code == 202
    return next(world.engine.events("acme")).actor


class Callable:
    async def __call__(self, *_: Any) -> str:
        return "called"


async def asynchronous(*_: Any) -> str:
    return "async"


@pytest.mark.parametrize(
    ("authorize", "actor"),
    [
        (lambda *_: True, None),
        (lambda *_: "olaf", "olaf"),
        (lambda *_: SimpleNamespace(actor="olaf"), "olaf"),
        (lambda *_: SimpleNamespace(name="olaf"), None),
        (asynchronous, "async"),
        (lambda *call: asynchronous(*call), "async"),
        (Callable(), "called"),
        (lambda request: request.headers["user-agent"], "testclient"),
        (lambda _request, tenant_id: tenant_id, "acme"),
        (lambda *, _unused=None: "nobody in particular", "nobody in particular"),
    ],
)
def test_whoever_is_named_enters_the_history(world, authorize: Any, actor: str | None) -> None:
    assert actor_of_a_start(world, authorize) == actor


@pytest.mark.parametrize("answer", [False, None, "", 0])
def test_a_falsy_answer_is_a_refusal(world, answer: Any) -> None:
    client = serve(world, lambda *_: answer)

    assert client.get(f"{ACME}/status").status_code == 404
    assert client.get("/provisioning/runs").status_code == 403


def test_it_is_told_what_is_asked_for(world) -> None:
    run = world.start("gated")
    asked = []

    def authorize(request: Request, tenant_id: str | None, action: str) -> bool:
        asked.append((request.method, tenant_id, action))
        return True

    client = serve(world, authorize)
    client.get("/provisioning/runs")
    client.get(f"/provisioning/runs/{run.id}")
    client.post(f"{ACME}/pause")

    assert asked == [("GET", None, "admin"), ("GET", "acme", "read"), ("GET", "acme", "operate"), ("POST", "acme", "operate")]


def test_a_sync_one_does_not_run_on_the_event_loop(world) -> None:
    threads = {}

    async def on_the_loop(*_: Any) -> bool:
        threads["loop"] = threading.get_ident()
        return True

    def in_a_thread(*_: Any) -> bool:
        threads["thread"] = threading.get_ident()
        return True

    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=on_the_loop, prefix="/one"))
    app.include_router(create_router(world.engine, authorize=in_a_thread, prefix="/two"))
    with TestClient(app) as client:
        client.get("/one/plans")
        client.get("/two/plans")

    assert threads["loop"] != threads["thread"]


def test_its_http_exceptions_keep_their_status_and_headers(world) -> None:
    def authorize(*_: Any) -> bool:
        raise HTTPException(429, "Slow down.", headers={"Retry-After": "7"})

    answer = serve(world, authorize).get(f"{ACME}/status")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "Slow down.",
        "code": "too_many_requests",
        "allowed_actions": [],
    }


def test_whatever_else_it_raises_is_a_500_that_tells_nothing(world, caplog: pytest.LogCaptureFixture) -> None:
    def authorize(*_: Any) -> bool:
        raise RuntimeError("ldap://canary")

    answer = serve(world, authorize).get(f"{ACME}/status")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "canary" not in answer.text
    assert "canary" in caplog.text


def test_refusing_to_operate_by_exception_leaves_the_read_allowed(world) -> None:
    def authorize(_request: Request, _tenant_id: str | None, action: str) -> bool:
        if action == "operate":
            raise HTTPException(403)
        return True

    world.start("broken")
    answer = serve(world, authorize).get(f"{ACME}/status")

    assert answer.status_code == 200
    assert "detail" not in answer.json()["errors"][0]


@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", "Bearer", "Basic right", "right", "Bearer right right", "Bearer r\u00efght"]
)
def test_a_bearer_token_has_to_be_the_right_one(world, header: str | None) -> None:
    client = serve(world, bearer_token("right"))
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = client.get("/provisioning/plans", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer right", "bearer right"])
def test_the_right_bearer_token_opens_everything(world, header: str) -> None:
    client = serve(world, bearer_token("right", actor="ci"))

    assert client.get("/provisioning/plans", headers={"Authorization": header}).status_code == 200


def test_an_empty_bearer_token_is_refused_at_once() -> None:
    with pytest.raises(ProvisioningError, match="anybody"):
        bearer_token("  ")
