"""``If-Match`` on verbs: whoever looks at an old picture does not act by it."""

from __future__ import annotations

import pytest
from provisioning_http._router import ROUTES, Route
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"
VERBS = [route for route in ROUTES if route.status == 202]
BODIES = {"start": {"plan": "gated"}, "resolve": {"as": "succeeded"}}


def send(client: TestClient, route: Route, if_match: str, tenant: str = "acme"):
    path = route.path.format(tenant_id=tenant, step="approval")
    return client.post(f"/provisioning{path}", json=BODIES.get(route.name, {}), headers={"If-Match": if_match})


@pytest.mark.parametrize("route", VERBS, ids=lambda route: route.name)
def test_a_verb_for_an_older_version_is_refused_and_the_present_one_named(world, olaf: TestClient, route: Route) -> None:
    run = world.start("gated")
    before = world.engine.status("acme")
    answer = send(olaf, route, f'"{before.version - 1}"')

    assert answer.status_code == 412
    assert answer.headers["etag"] == f'"{before.version}"'
    assert answer.json() == {
        "type": "about:blank",
        "title": "Precondition Failed",
        "status": 412,
        "detail": "The run has changed since the caller looked at it.",
        "code": "version_mismatch",
        "hint": "Look at the run again, and decide anew.",
        "run_id": run.id,
        "version": before.version,
        "state": "WAITING",
        "allowed_actions": list(before.allowed_actions),
    }
    assert world.engine.status("acme") == before


@pytest.mark.parametrize("route", VERBS, ids=lambda route: route.name)
def test_a_verb_for_the_present_version_is_judged_as_without_a_condition(world, olaf: TestClient, route: Route) -> None:
    world.start("gated")
    answer = send(olaf, route, f'"{world.engine.status("acme").version}"')

    assert answer.status_code in (202, 409)


@pytest.mark.parametrize("form", ['"{version}"', 'W/"{version}"', '"1", "{version}"', "*", "{etag}"])
def test_forms_of_the_present_version(world, olaf: TestClient, form: str) -> None:
    world.start("gated")
    tag = olaf.get(f"{ACME}/status").headers["etag"]
    if_match = form.format(version=world.engine.status("acme").version, etag=tag)

    assert olaf.post(f"{ACME}/pause", headers={"If-Match": if_match}).status_code == 202


def test_an_etag_of_another_run_does_not_fit(world, olaf: TestClient) -> None:
    world.start("gated")
    tag = olaf.get(f"{ACME}/status").headers["etag"].replace(world.engine.status("acme").id, "0" * 32)

    assert olaf.post(f"{ACME}/pause", headers={"If-Match": tag}).status_code == 412


@pytest.mark.parametrize("if_match", ["*", '"1"'])
def test_where_there_is_no_run_no_condition_is_met(world, olaf: TestClient, if_match: str) -> None:
    answer = olaf.post(f"{ACME}/start", json={"plan": "gated"}, headers={"If-Match": if_match})

    assert (answer.status_code, answer.json()["code"]) == (412, "version_mismatch")
    assert list(world.engine.runs()) == []
