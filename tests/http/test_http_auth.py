"""The product's ``authorize``: sync or async, and what its answers mean."""

from __future__ import annotations

import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from provisioning_http import bearer_token, create_metrics_router, create_router
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


def by_keyword(*, request: Request, tenant_id: str | None, action: str) -> str:
    return f"{request.method} {tenant_id} {action}"


async def with_a_database(database: str, request: Request, tenant_id: str | None, action: str) -> str:
    assert database == "db"
    return by_keyword(request=request, tenant_id=tenant_id, action=action)


@pytest.mark.parametrize(
    "authorize",
    [
        by_keyword,
        partial(with_a_database, database="db"),
        partial(with_a_database, "db"),
        lambda request, action, tenant_id: by_keyword(request=request, tenant_id=tenant_id, action=action),
        lambda **asked: by_keyword(**asked),
        lambda request, **more: by_keyword(request=request, **more),
        lambda who, *more: by_keyword(request=who, tenant_id=more[0], action=more[1]),
        lambda who, action, where: by_keyword(request=who, tenant_id=where, action=action),
        lambda tenant_id, /, *, action, request: by_keyword(request=request, tenant_id=tenant_id, action=action),
    ],
)
def test_each_parameter_gets_what_its_name_says(world, authorize: Any) -> None:
    assert actor_of_a_start(world, authorize) == "POST acme start"


@pytest.mark.parametrize("name", ["tenant_id", "action"])
def test_one_that_takes_a_single_thing_gets_that(world, name: str) -> None:
    taken = {"tenant_id": lambda tenant_id: tenant_id, "action": lambda action: action}

    assert actor_of_a_start(world, taken[name]) == {"tenant_id": "acme", "action": "start"}[name]


@pytest.mark.parametrize(
    "authorize",
    [
        lambda request, tenant_id, action, database: True,
        lambda *, database: True,
        type,
    ],
)
def test_one_that_can_not_be_asked_is_refused_at_once(world, authorize: Any) -> None:
    for make in (
        lambda: create_router(world.engine, authorize=authorize),
        lambda: create_metrics_router(SimpleNamespace(), authorize=authorize),
    ):
        with pytest.raises(TypeError, match="authorize"):
            make()


def forbidding() -> Any:
    raise HTTPException(403, "Not yours.", headers={"X-Why": "other tenant"})


def denying() -> Any:
    raise PermissionError("not yours")


@pytest.mark.parametrize("refuse", [forbidding, denying])
def test_a_refusal_by_exception_tells_as_little_as_any_other(world, refuse: Any) -> None:
    run = world.start("gated")
    client, silent = serve(world, lambda *_: refuse()), serve(world, lambda *_: None)
    paths = [f"{ACME}/status", f"/provisioning/runs/{run.id}", f"/provisioning/runs/{'0' * 32}", "/provisioning/runs"]
    answers, expected = ([each.get(path) for path in paths] for each in (client, silent))

    assert [answer.status_code for answer in answers] == [404, 404, 404, 403]
    assert [(answer.content, dict(answer.headers)) for answer in answers] == [
        (answer.content, dict(answer.headers)) for answer in expected
    ]


def test_what_is_raised_for_a_foreign_run_is_raised_for_an_unknown_one(world) -> None:
    run = world.start("gated")

    def authorize(*_: Any) -> bool:
        raise HTTPException(404, "Nothing of yours.")

    known, unknown = (serve(world, authorize).get(f"/provisioning/runs/{run_id}") for run_id in (run.id, "0" * 32))

    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)


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
