"""A secret that went in, or that an exception told, comes out nowhere."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"
CANARY = "canary-4711-secret"


def everything(client: TestClient, run_id: str) -> str:
    """All that can be read, in one text."""
    paths = [
        *(f"{ACME}/{name}" for name in ("status", "events?limit=1000", "graph")),
        *(f"{ACME}/graph?format={form}" for form in ("mermaid", "dot", "svg", "text")),
        f"/provisioning/runs/{run_id}",
    ]
    answers = [client.get(path) for path in paths]
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


@pytest.mark.parametrize("path", ["status?wait=", "events?after=", "events?limit=", "graph?format="])
def test_a_secret_in_a_query_is_not_repeated(world, olaf: TestClient, path: str) -> None:
    world.start("gated")
    answer = olaf.get(f"{ACME}/{path}{CANARY}")

    assert answer.status_code == 422
    assert CANARY not in answer.text


def test_a_secret_as_an_idempotency_key_is_not_repeated(olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/start", json={"plan": "gated"}, headers={"Idempotency-Key": f"{CANARY} {CANARY}"})

    assert answer.status_code == 400
    assert CANARY not in answer.text
