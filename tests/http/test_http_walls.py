"""Walls between tenants: every route, by every kind of caller. A route without a row here fails the first test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from provisioning_http import create_router
from provisioning_http._router import ROUTES, Route
from starlette.testclient import TestClient

from provisioning_core.observers.webhooks import Webhooks

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
    "ticket": ("tenants/acme/events/ticket", {}),
    "graph": ("tenants/acme/graph", None),
    "timeline": ("tenants/acme/timeline", None),
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


def waiting_run(world: Any) -> Any:
    """Acme's run that waits at its gate: the one that is there, or a new one if it has ended."""
    run = world.engine.start("gated", subject="acme", again=True)
    run.wait(timeout=10)
    return run


def send(client: TestClient, world: Any, route: Route) -> Any:
    path, body = ROWS[route.name]
    run = waiting_run(world)
    url = f"/provisioning/{path.format(run_id=run.id)}"
    return client.get(url) if body is None else client.post(url, json=body)


def expected(route: Route, person: str) -> set[int]:
    """An allowed verb may still not fit the run's state."""
    if person == "":
        return {401}
    if route.action in ALLOWED[person]:
        return {route.status} if route.status != 202 else {202, 409}
    return {403} if route.scope == "fleet" else {404}


WALLS: dict[str, tuple[str, str]] = {
    "POST /tenants/{tenant_id}/start": ("tenant", "start"),
    "POST /tenants/{tenant_id}/retry": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/continue": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/rollback": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/cancel": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/pause": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/deprovision": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/adopt-plan": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/signals/{step}": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/steps/{step}/skip": ("tenant", "operate"),
    "POST /tenants/{tenant_id}/steps/{step}/resolve": ("tenant", "operate"),
    "GET /tenants/{tenant_id}/status": ("tenant", "read"),
    "GET /tenants/{tenant_id}/events": ("tenant", "read"),
    "POST /tenants/{tenant_id}/events/ticket": ("tenant", "read"),
    "GET /tenants/{tenant_id}/graph": ("tenant", "read"),
    "GET /tenants/{tenant_id}/timeline": ("tenant", "read"),
    "GET /runs": ("fleet", "admin"),
    "GET /runs/{run_id}": ("tenant", "read"),
    "GET /plans": ("fleet", "admin"),
    "GET /plans/{name}": ("fleet", "admin"),
    "GET /plans/{name}/graph": ("fleet", "admin"),
    "GET /ui": ("fleet", "admin"),
    "GET /ui/plans": ("fleet", "admin"),
    "GET /ui/plans/{name}": ("fleet", "admin"),
    "GET /ui/start": ("fleet", "admin"),
    "GET /ui/tenants/{tenant_id}": ("tenant", "read"),
    "GET /ui/tenants/{tenant_id}/start": ("tenant", "start"),
    "POST /ui/tenants/{tenant_id}/start": ("tenant", "start"),
    "GET /ui/runs/{run_id}": ("tenant", "read"),
    "GET /ui/runs/{run_id}/{verb}": ("tenant", "operate"),
    "POST /ui/runs/{run_id}/{verb}": ("tenant", "operate"),
    "GET /ui/assets/{name}": ("nobody", "nothing"),
    "GET /webhooks": ("fleet", "admin"),
    "POST /webhooks": ("fleet", "admin"),
    "GET /webhooks/{webhook_id}": ("fleet", "admin"),
    "PATCH /webhooks/{webhook_id}": ("fleet", "admin"),
    "DELETE /webhooks/{webhook_id}": ("fleet", "admin"),
    "POST /webhooks/{webhook_id}/rotate-secret": ("fleet", "admin"),
    "POST /webhooks/{webhook_id}/test": ("fleet", "admin"),
    "GET /webhooks/{webhook_id}/deliveries": ("fleet", "admin"),
    "POST /webhooks/{webhook_id}/redeliver": ("fleet", "admin"),
}
"""All that the router serves: whose object it is about, and what a caller must be allowed. Written down by hand, so that a route that
was added, or whose wall was lowered, is seen by somebody. ``nobody``: it tells of nobody's object and is open."""


@pytest.fixture
def world_options() -> dict[str, Any]:
    """All that an engine can be given, so that all routes are there."""
    return {"webhooks": Webhooks()}


def test_every_route_that_is_served_has_a_row_in_both_tables(world) -> None:
    router = create_router(world.engine, authorize=lambda *_: True)
    served = [f"{method} {route.path.removeprefix(router.prefix)}" for route in router.routes for method in sorted(route.methods)]

    assert sorted(served) == sorted(WALLS), "a new route needs a row in WALLS"
    assert {route.name for route in ROUTES} == set(ROWS), "a new route needs a row in ROWS"


def url_of(path: str, run_id: str) -> str:
    parts = {"tenant_id": "acme", "run_id": run_id, "step": "approval", "verb": "pause", "webhook_id": "unknown"}
    return f"/provisioning{path.format(**parts, name='page.css' if 'assets' in path else 'gated')}"


def test_the_product_is_asked_for_what_the_table_says(world) -> None:
    asked: list[tuple[str | None, str]] = []
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=lambda _, tenant_id, action: asked.append((tenant_id, action))))
    run, client, found = waiting_run(world), TestClient(app), {}
    for where in WALLS:
        asked.clear()
        method, path = where.split(" ")
        client.request(method, url_of(path, run.id), follow_redirects=False)
        found[where] = ["nobody", "nothing"] if not asked else ["tenant" if asked[0][0] == "acme" else "fleet", asked[0][1]]

    assert found == {where: list(row) for where, row in WALLS.items()}


@pytest.mark.parametrize("where", WALLS)
def test_each_wall_is_where_the_table_says(world, client_of: Callable[[str], TestClient], where: str) -> None:
    """Whatever comes after the wall (a form without a token, a body that does not fit) is others' business."""
    for person in ALLOWED:
        _stands_before(world, client_of(person), where, person)


def _stands_before(world: Any, client: TestClient, where: str, person: str) -> None:
    (method, path), (scope, action) = where.split(" "), WALLS[where]
    run = waiting_run(world)
    before = world.engine.status("acme")
    url = url_of(path, run.id)
    query = {"plan": "gated"} if path.endswith("/start") else {}
    answer = client.request(method, url, params=query, follow_redirects=False)

    stopped = {401: "", 403: "forbidden", 404: "There is no such"}
    if scope == "nobody" or action in ALLOWED[person]:
        assert answer.status_code not in ((401, 403) if scope == "fleet" else (401, 404)), person
        assert "forbidden" not in answer.text
    else:
        wall = 401 if person == "" else 403 if scope == "fleet" else 404
        assert answer.status_code == wall, person
        assert stopped[wall] in answer.text or path.startswith("/ui")
        assert world.engine.status("acme") == before


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_each_route_lets_in_who_is_allowed_and_nobody_else(world, client_of: Callable[[str], TestClient], route: Route) -> None:
    for person in ALLOWED:
        answer = send(client_of(person), world, route)
        assert answer.status_code in expected(route, person), person
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


@pytest.mark.parametrize("tenant", ["%00", "a%0Ab", "%7F", "x" * 201, "a%C2%85b", "%2E", "%2E%2E", "%FF", "a%C0%AFb"])
def test_a_tenant_id_that_is_none_is_refused_before_anybody_is_asked(world, tenant: str) -> None:
    asked = []
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=lambda *call: asked.append(call) or True))
    answer = TestClient(app).get(f"/provisioning/tenants/{tenant}/status")

    assert (answer.status_code, asked) == (422, [])
    assert answer.json()["errors"][0]["loc"] == ["path", "tenant_id"]
    assert tenant not in answer.text
