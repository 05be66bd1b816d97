"""Walls between tenants: every route, by every kind of caller. A route without a row here fails the first test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from provisioning_http import create_router
from provisioning_http._router import ROUTES, Route
from starlette.testclient import TestClient

ROWS: dict[str, tuple[str, Any]] = {
    "start": ("tenants/acme/start", {"plan": "gated"}),
    "retry": ("tenants/acme/retry", {}),
    "continue": ("tenants/acme/continue", {}),
    "rollback": ("tenants/acme/rollback", {}),
    "cancel": ("tenants/acme/cancel", {}),
    "pause": ("tenants/acme/pause", {}),
    "deprovision": ("tenants/acme/deprovision", {}),
    "adopt_plan": ("tenants/acme/adopt-plan", {}),
    "signal": ("tenants/acme/signals/approval", {}),
    "skip": ("tenants/acme/steps/after/skip", {}),
    "resolve": ("tenants/acme/steps/after/resolve", {"as": "succeeded"}),
    "status": ("tenants/acme/status", None),
    "events": ("tenants/acme/events", None),
    "graph": ("tenants/acme/graph", None),
    "runs": ("runs", None),
    "run": ("runs/{run_id}", None),
    "plans": ("plans", None),
    "plan": ("plans/gated", None),
    "plan_graph": ("plans/gated/graph", None),
}
"""By the route's name: an address below the router, and the body of a POST."""

ALLOWED = {
    "anna": {"read", "start"},
    "olaf": {"read", "start", "operate"},
    "root": {"read", "start", "operate", "admin"},
    "fremd": set(),
    "": set(),
}
"""What each caller may do at acme."""


def send(client: TestClient, world: Any, route: Route) -> Any:
    path, body = ROWS[route.name]
    run = world.start("gated")
    url = f"/provisioning/{path.format(run_id=run.id)}"
    return client.get(url) if body is None else client.post(url, json=body)


def expected(route: Route, person: str) -> set[int]:
    """An allowed verb may still not fit the run's state."""
    if person == "":
        return {401}
    if route.action in ALLOWED[person]:
        return {200} if route.body is None else {202, 409}
    return {403} if route.scope == "fleet" else {404}


def test_every_route_that_is_served_has_a_row(world) -> None:
    router = create_router(world.engine, authorize=lambda *_: True)
    served = {(route.name, *route.methods) for route in router.routes if isinstance(route, APIRoute)}

    assert len(served) == len(router.routes)
    assert served == {(f"provisioning_{name}", "GET" if body is None else "POST") for name, (_, body) in ROWS.items()}


@pytest.mark.parametrize("person", list(ALLOWED))
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_each_route_lets_in_who_is_allowed_and_nobody_else(
    world, client_of: Callable[[str], TestClient], route: Route, person: str
) -> None:
    answer = send(client_of(person), world, route)

    assert answer.status_code in expected(route, person)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scope != "fleet"], ids=lambda route: route.name)
def test_a_foreign_run_can_not_be_told_from_one_that_does_not_exist(
    world, client_of: Callable[[str], TestClient], route: Route
) -> None:
    foreign = send(client_of("fremd"), world, route)
    path, body = ROWS[route.name]
    nobody = path.replace("acme", "nobody").format(run_id="0" * 32)
    root = client_of("root")
    if route.name == "start":
        return_of_nothing = root.get("/provisioning/tenants/nobody/status")
    else:
        return_of_nothing = root.get(f"/provisioning/{nobody}") if body is None else root.post(f"/provisioning/{nobody}", json=body)

    assert (foreign.status_code, foreign.content) == (return_of_nothing.status_code, return_of_nothing.content)
    assert dict(foreign.headers) == dict(return_of_nothing.headers)


def test_a_refused_verb_changes_nothing(world, client_of: Callable[[str], TestClient]) -> None:
    world.start("gated")
    before = world.engine.status("acme")
    for route in (route for route in ROUTES if route.body is not None and route.name != "start"):
        for person in ("", "fremd", "anna"):
            send(client_of(person), world, route)

    assert world.engine.status("acme") == before


def test_an_unknown_run_is_a_401_to_strangers_as_a_known_one_is(world, client_of: Callable[[str], TestClient]) -> None:
    run = world.start("gated")
    known, unknown = (client_of("").get(f"/provisioning/runs/{run_id}") for run_id in (run.id, "0" * 32))

    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 401


def test_who_is_not_let_in_is_told_so_before_the_body_is_read(world, client_of: Callable[[str], TestClient]) -> None:
    url, broken = "/provisioning/tenants/acme/start", {"content": b"{", "headers": {"content-type": "application/json"}}

    assert [client_of(person).post(url, **broken).status_code for person in ("", "fremd", "anna")] == [401, 404, 400]


def test_without_authorize_there_is_no_router(world) -> None:
    with pytest.raises(TypeError):
        create_router(world.engine)
    with pytest.raises(TypeError, match="authorize"):
        create_router(world.engine, authorize=None)


@pytest.mark.parametrize("tenant", ["%00", "a%0Ab", "%7F", "x" * 201, "a%C2%85b"])
def test_a_tenant_id_that_is_none_is_refused_before_anybody_is_asked(world, tenant: str) -> None:
    asked = []
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=lambda *call: asked.append(call) or True))
    answer = TestClient(app).get(f"/provisioning/tenants/{tenant}/status")

    assert (answer.status_code, asked) == (422, [])
    assert answer.json()["errors"][0]["loc"] == ["path", "tenant_id"]
    assert tenant not in answer.text
