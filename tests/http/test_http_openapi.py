"""The description that clients are made from."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from provisioning_http._router import ROUTES
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"


@pytest.fixture
def described(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {operation["operationId"]: operation for path in described["paths"].values() for operation in path.values()}


def test_every_operation_has_a_name_a_summary_a_tag_and_words(described: dict[str, Any]) -> None:
    found = operations(described)

    assert {f"provisioning_{route.name}" for route in ROUTES} <= set(found)
    assert [name for name, each in found.items() if not (each["summary"] and each["description"] and each["tags"])] == []


def test_every_problem_is_described_as_one(described: dict[str, Any]) -> None:
    kinds = {
        (name, status): set(answer["content"])
        for name, operation in operations(described).items()
        for status, answer in operation["responses"].items()
        if status >= "400"
    }

    assert set(map(frozenset, kinds.values())) == {frozenset({"application/problem+json"})}
    assert ("provisioning_start", "409") in kinds
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_a_verb_is_described_with_its_body_and_its_headers(described: dict[str, Any]) -> None:
    start = operations(described)["provisioning_start"]
    body = start["requestBody"]

    assert body["required"] is True
    assert set(body["content"]["application/json"]["schema"]["properties"]) == {"plan", "input", "again", "labels", "reason"}
    assert set(start["responses"]["202"]["headers"]) == {"Location", "Retry-After", "ETag"}
    assert [each["name"] for each in start["parameters"] if each["in"] == "header"] == ["Idempotency-Key"]
    assert operations(described)["provisioning_retry"]["requestBody"]["required"] is False


def test_answers_hold_what_is_described(world, described: dict[str, Any], olaf: TestClient, root: TestClient) -> None:
    world.start("broken")
    answers = {
        "StatusBody": olaf.get(f"{ACME}/status").json(),
        "EventsBody": olaf.get(f"{ACME}/events").json(),
        "GraphBody": olaf.get(f"{ACME}/graph").json(),
        "RunsBody": root.get("/provisioning/runs").json(),
        "PlansBody": root.get("/provisioning/plans").json(),
        "PlanBody": root.get("/provisioning/plans/quick").json(),
        "PlanGraphBody": root.get("/provisioning/plans/quick/graph").json(),
    }
    schemas = described["components"]["schemas"]

    assert {name: set(body) for name, body in answers.items()} == {name: set(schemas[name]["properties"]) for name in answers}
    assert set(answers["StatusBody"]["steps"]["database"]) == set(schemas["StepBody"]["properties"])
    assert set(answers["StatusBody"]["errors"][0]) == set(schemas["ErrorBody"]["properties"])
    assert set(answers["EventsBody"]["items"][0]) == set(schemas["EventBody"]["properties"])
    assert set(answers["RunsBody"]["items"][0]) == set(schemas["RunLine"]["properties"])
