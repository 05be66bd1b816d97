"""The backend's HTTP API."""

import time
from collections.abc import Iterator
from threading import Event

import pytest
from fastapi.testclient import TestClient

from examples.workspaces import faults
from examples.workspaces.app import create_app, operator_token
from examples.workspaces.settings import Settings

ACME = {"slug": "acme", "company": "Acme", "email": "founder@acme.example"}


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app()) as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def state_of(client: TestClient, slug: str, token: str, *, until: str) -> str:
    """The tenant's status in the backend's own row, once it is as expected or after half a minute."""
    deadline, pause = time.monotonic() + 30, Event()
    while (state := client.get(f"/tenants/{slug}", headers=bearer(token)).json()["status"]) != until and time.monotonic() < deadline:
        pause.wait(0.05)
    return state


def test_a_signup_is_answered_at_once_and_becomes_a_working_tenant(client: TestClient):
    answer = client.post("/signup", json=ACME)
    assert answer.status_code == 202
    assert {**answer.json(), "token": "..."} == {
        "tenant": "acme",
        "status": "ONBOARDING",
        "token": "...",
        "links": {"status": "/provisioning/tenants/acme/status"},
    }
    token = answer.json()["token"]
    assert state_of(client, "acme", token, until="ACTIVE") == "ACTIVE"
    run = client.get(answer.json()["links"]["status"], headers=bearer(token)).json()
    assert (run["tenant_id"], run["status"], run["progress"]) == ("acme", "SUCCEEDED", 1.0)


def test_a_failed_signup_is_continued_by_operations_but_not_by_the_tenant(client: TestClient, settings: Settings):
    faults.inject(settings, {"publish": faults.FOR_EVER})
    token = client.post("/signup", json=ACME).json()["token"]
    assert state_of(client, "acme", token, until="FAILED") == "FAILED"
    faults.inject(settings, {})
    path = "/provisioning/tenants/acme/continue"
    assert client.post(path, headers=bearer(token)).status_code in (403, 404)
    assert client.post(path, headers=bearer(operator_token(settings))).status_code == 202
    assert state_of(client, "acme", token, until="ACTIVE") == "ACTIVE"


def test_a_tenant_sees_nothing_of_another(client: TestClient):
    client.post("/signup", json=ACME)
    token = client.post("/signup", json={**ACME, "slug": "globex"}).json()["token"]
    paths = ["/tenants/acme", "/provisioning/tenants/acme/status", "/tenants/nobody", "/provisioning/tenants/nobody/status"]
    assert [client.get(path, headers=bearer(token)).status_code for path in paths] == [404] * 4
    assert client.get("/tenants/globex", headers=bearer(token)).status_code == 200


def test_a_name_can_be_taken_once(client: TestClient):
    assert [client.post("/signup", json=ACME).status_code for _ in range(2)] == [202, 409]


def test_a_name_that_can_not_be_a_host_is_refused(client: TestClient):
    assert client.post("/signup", json={**ACME, "slug": "../etc"}).status_code == 422
