"""What goes with every answer that tells of runs."""

from __future__ import annotations

from typing import Any

import pytest
from provisioning_http._router import ROUTES, Route
from starlette.testclient import TestClient

SAFE_NAMES = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-site",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def safe_part(answer: Any) -> dict[str, str]:
    return {name: answer.headers.get(name, "") for name in SAFE_NAMES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_answer_is_kept_by_no_cache_and_is_inert(world, client_of, route: Route) -> None:
    run = world.start("gated")
    path = route.path.format(tenant_id="acme", step="approval", run_id=run.id, name="gated")
    body = None if route.body is None else {}
    answers = [client_of(person).request(route.method, f"/provisioning{path}", json=body) for person in ("root", "fremd", "")]

    assert [safe_part(answer) for answer in answers] == [SAFE_NAMES] * 3


def test_streams_pictures_and_answers_without_a_body_too(world, olaf: TestClient) -> None:
    world.start("quick")
    acme = "/provisioning/tenants/acme"
    tag = olaf.get(f"{acme}/status").headers["etag"]
    unchanged = olaf.get(f"{acme}/status", headers={"If-None-Match": tag})
    stream = olaf.get(f"{acme}/events", headers={"Accept": "text/event-stream"})
    picture = olaf.get(f"{acme}/graph?format=svg")

    assert (unchanged.status_code, safe_part(unchanged)) == (304, SAFE_NAMES)
    assert safe_part(stream) == SAFE_NAMES
    assert safe_part(picture) | {"content-security-policy": ""} == SAFE_NAMES | {"content-security-policy": ""}
    assert "script" not in picture.headers["content-security-policy"]
    assert picture.headers["content-security-policy"].startswith("default-src 'none'")
