"""Alone, or inside a product's own app."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import provisioning_http
import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from provisioning_http import create_app, create_health_router, create_router
from provisioning_http._router import ROUTES
from starlette.testclient import TestClient

from provisioning_core import Engine, MissingExtra, Plan, ProvisioningError, RunStatus, gate
from provisioning_core.stores import MemoryStore, SqlStore

TOKEN = {"Authorization": "Bearer t0ken"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("PROVISIONING_APP", raising=False)
    monkeypatch.setenv("PROVISIONING_TOKEN", "t0ken")
    return monkeypatch


def an_engine() -> Engine:
    return Engine(store=MemoryStore(), plans=[Plan("gated", steps=[gate("approval")])])


def module_with(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> None:
    module = ModuleType("a_products_module")
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, "a_products_module", module)


def test_alone_it_asks_for_the_token(world, environment: pytest.MonkeyPatch) -> None:
    client = TestClient(create_app(world.engine))

    assert client.get("/provisioning/plans").status_code == 401
    assert client.get("/provisioning/plans", headers=TOKEN).status_code == 200
    assert client.post("/provisioning/tenants/acme/start", json={"plan": "gated"}, headers=TOKEN).status_code == 202


@pytest.mark.parametrize("token", [None, "", "  "])
def test_alone_it_does_not_start_without_a_token(world, environment: pytest.MonkeyPatch, token: str | None) -> None:
    environment.delenv("PROVISIONING_TOKEN")
    if token is not None:
        environment.setenv("PROVISIONING_TOKEN", token)

    with pytest.raises(ProvisioningError, match="PROVISIONING_TOKEN") as caught:
        create_app(world.engine)
    assert caught.value.code == "not_configured"


def test_alone_with_an_authorize_it_needs_no_token(world, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("PROVISIONING_TOKEN")
    client = TestClient(create_app(world.engine, authorize=lambda *_: True))

    assert client.get("/provisioning/plans").status_code == 200


def test_alone_whatever_is_not_there_is_a_problem(world, environment: pytest.MonkeyPatch) -> None:
    client = TestClient(create_app(world.engine))
    answers = [client.get("/nowhere"), client.get("/docs"), client.delete("/provisioning/plans")]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (404, "not_found"),
        (404, "not_found"),
        (405, "method_not_allowed"),
    ]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


def test_alone_a_trailing_slash_is_not_redirected_to_a_host_that_the_caller_names(world, environment: pytest.MonkeyPatch) -> None:
    client = TestClient(create_app(world.engine), follow_redirects=False)
    answer = client.post("/provisioning/tenants/acme/start/", json={"plan": "gated"}, headers={"Host": "evil.example"})

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "evil.example" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_monitors_may_ask_with_head(world, environment: pytest.MonkeyPatch, path: str) -> None:
    client = TestClient(create_app(world.engine))
    asked, got = client.head(path), client.get(path)

    assert (asked.status_code, dict(asked.headers)) == (200, dict(got.headers))
    assert "head" not in client.get("/openapi.json").json()["paths"][path]


def test_health_needs_no_token_and_tells_nothing(world, environment: pytest.MonkeyPatch) -> None:
    client = TestClient(create_app(world.engine))

    assert [client.get(path).json() for path in ("/healthz", "/readyz")] == [{"status": "ok"}, {"status": "ok"}]


def test_an_engine_handed_in_is_opened_and_left_open(environment: pytest.MonkeyPatch) -> None:
    engine = an_engine()
    with TestClient(create_app(engine)):
        assert engine.is_working
    assert engine.is_working
    engine.close()


@pytest.mark.parametrize("made", [lambda engine: engine, lambda engine: lambda: engine])
def test_the_engine_is_found_by_its_name_and_closed_with_the_app(environment: pytest.MonkeyPatch, made: Any) -> None:
    engine = an_engine()
    module_with(environment, engine=made(engine))
    environment.setenv("PROVISIONING_APP", "a_products_module:engine")
    with TestClient(create_app(), headers=TOKEN) as client:
        assert [each["name"] for each in client.get("/provisioning/plans").json()["items"]] == ["gated"]
        assert engine.is_working
    assert not engine.is_working


@pytest.mark.parametrize("name", [None, "", "a_products_module", ":engine", "a_products_module:nope", "not.there:engine"])
def test_an_engine_that_can_not_be_found_is_told_plainly(environment: pytest.MonkeyPatch, name: str | None) -> None:
    module_with(environment, engine="no engine")
    if name is not None:
        environment.setenv("PROVISIONING_APP", name)

    with pytest.raises(ProvisioningError, match=r"PROVISIONING_APP|Check the name") as caught:
        create_app()
    assert caught.value.code == "not_configured"


def test_what_is_no_engine_is_told_plainly(environment: pytest.MonkeyPatch) -> None:
    module_with(environment, engine="no engine")
    environment.setenv("PROVISIONING_APP", "a_products_module:engine")

    with pytest.raises(ProvisioningError, match="no Engine"):
        create_app()


@pytest.fixture
def product(world) -> FastAPI:
    """An app with routes and exception handlers of its own."""
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"product": "invalid"}, status_code=400)

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"product": "http"}, status_code=error.status_code)

    @app.exception_handler(ProvisioningError)
    async def on_ours(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"product": "ours"}, status_code=418)

    @app.get("/items/{number}")
    async def item(number: int) -> dict[str, int]:
        if number == 0:
            raise HTTPException(410)
        return {"number": number}

    app.include_router(create_router(world.engine, authorize=lambda *_: True), prefix="/api/v1")
    app.include_router(create_health_router(world.engine), prefix="/internal")
    return app


def test_a_products_own_routes_and_handlers_stay_as_they_are(product: FastAPI) -> None:
    client = TestClient(product)

    assert client.get("/items/7").json() == {"number": 7}
    assert (client.get("/items/x").json(), client.get("/items/0").json()) == ({"product": "invalid"}, {"product": "http"})


def test_our_errors_do_not_reach_a_products_handlers(product: FastAPI) -> None:
    client = TestClient(product)
    tenant = "/api/v1/provisioning/tenants/acme"
    answers = [client.get(f"{tenant}/status"), client.get(f"{tenant}/status?wait=x"), client.post(f"{tenant}/start", content=b"x")]

    assert [answer.status_code for answer in answers] == [404, 422, 415]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


@pytest.mark.parametrize("path", ["tenants/acme/status", "tenants/acme/start", "plans", "ui", "ui/assets/page.css"])
def test_a_wrong_method_is_answered_by_the_router(product: FastAPI, path: str) -> None:
    answer = TestClient(product).delete(f"/api/v1/provisioning/{path}")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["allow"] in ("GET", "POST")


def test_below_a_prefix_links_lead_back(product: FastAPI) -> None:
    client = TestClient(product)
    answer = client.post("/api/v1/provisioning/tenants/acme/start", json={"plan": "gated"})

    assert answer.headers["location"] == "/api/v1/provisioning/tenants/acme/status"
    assert {client.get(link).status_code for link in answer.json()["links"].values()} == {200}
    assert client.get("/internal/readyz").status_code == 200


def test_mounted_as_an_app_of_its_own_links_lead_back(world) -> None:
    outer = FastAPI()
    outer.mount("/inner", create_app(world.engine, authorize=lambda *_: True))
    client = TestClient(outer)
    answer = client.post("/inner/provisioning/tenants/acme/start", json={"plan": "gated"})

    assert answer.headers["location"] == "/inner/provisioning/tenants/acme/status"
    assert client.get(answer.headers["location"]).json()["run_id"] == answer.json()["run_id"]


@pytest.mark.parametrize(("root", "path"), [("/p", ""), ("/p", "/p"), ("/p/", ""), ("/tenancy/v1", "")])
def test_behind_a_proxy_links_lead_back_whether_it_takes_its_path_off_or_not(world, root: str, path: str) -> None:
    client = TestClient(create_app(world.engine, authorize=lambda *_: True), root_path=root)
    answer = client.post(f"{path}/provisioning/tenants/acme/start", json={"plan": "gated"})

    assert answer.headers["location"] == f"{root.rstrip('/')}/provisioning/tenants/acme/status"


def test_links_never_trust_the_host_header(product: FastAPI) -> None:
    client = TestClient(product)
    answer = client.post("/api/v1/provisioning/tenants/acme/start", json={"plan": "gated"}, headers={"Host": "evil.example"})

    assert answer.status_code == 202
    assert "evil.example" not in answer.text + str(answer.headers)


def test_two_routers_for_two_engines_live_in_one_app(world) -> None:
    with an_engine() as other:
        app = FastAPI()
        app.include_router(create_router(world.engine, authorize=lambda *_: "one", prefix="/workspaces"))
        app.include_router(create_router(other, authorize=lambda *_: "two", prefix="/shops"))
        client = TestClient(app)
        first = client.post("/workspaces/tenants/acme/start", json={"plan": "gated"})
        absent = client.get("/shops/tenants/acme/status")
        second = client.post("/shops/tenants/acme/start", json={"plan": "gated"})
        found = [world.engine.wait("acme", timeout=10).status, other.wait("acme", timeout=10).status]
        actors = [next(engine.events("acme")).actor for engine in (world.engine, other)]

    assert (first.status_code, absent.status_code, second.status_code) == (202, 404, 202)
    assert (first.headers["location"], second.headers["location"]) == (
        "/workspaces/tenants/acme/status",
        "/shops/tenants/acme/status",
    )
    assert found == [RunStatus.WAITING, RunStatus.WAITING]
    assert actors == ["one", "two"]
    assert len(app.openapi()["paths"]) == 2 * len(ROUTES)


def test_a_products_app_opens_the_engine_and_leaves_closing_to_its_owner() -> None:
    engine = an_engine()
    engine.start("gated", subject="acme")
    engine.close()
    app = FastAPI()
    app.include_router(create_router(engine, authorize=lambda *_: True))
    was_working = engine.is_working
    with TestClient(app):
        assert engine.wait("acme", timeout=10).status is RunStatus.WAITING
    is_working = engine.is_working
    engine.close()

    assert (was_working, is_working) == (False, True)


def test_without_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)

    with pytest.raises(MissingExtra, match=r"provisioning-core\[http\]"):
        importlib.reload(provisioning_http)


def test_a_store_that_is_away_does_not_keep_an_app_from_beginning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'runs.db'}"
    engine = Engine(store=SqlStore(url), plans=[])
    with TestClient(create_app(engine, authorize=lambda *_: True)) as client:
        answer = client.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert "the engine can't work yet" in caplog.text
