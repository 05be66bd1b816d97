"""The description that clients are made from."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from listening import messages_in
from provisioning_http._answers import ProgressBody
from provisioning_http._router import ROUTES
from starlette.testclient import TestClient
from tooling import tool

ACME = "/provisioning/tenants/acme"
ROOT = Path(__file__).resolve().parents[2]


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
    assert [each["name"] for each in start["parameters"] if each["in"] == "header"] == ["Idempotency-Key", "If-Match"]
    assert operations(described)["provisioning_retry"]["requestBody"]["required"] is False


def test_answers_hold_what_is_described(world, described: dict[str, Any], olaf: TestClient, root: TestClient) -> None:
    world.start("broken")
    answers = {
        "StatusBody": olaf.get(f"{ACME}/status").json(),
        "EventsBody": olaf.get(f"{ACME}/events").json(),
        "GraphBody": olaf.get(f"{ACME}/graph").json(),
        "TimelineBody": olaf.get(f"{ACME}/timeline").json(),
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
    assert set(answers["TimelineBody"]["bars"][0]) == set(schemas["BarBody"]["properties"])
    assert set(answers["RunsBody"]["items"][0]) == set(schemas["RunLine"]["properties"])


@pytest.fixture
def committed() -> dict[str, Any]:
    """What docs/ holds."""
    return json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))


def test_the_committed_description_breaks_no_client(committed: dict[str, Any]) -> None:
    """What this names has to be taken back, or to go into a new major version."""
    assert tool("openapi").breaks(committed, tool("openapi").document()) == []


def test_the_committed_description_is_the_apps(committed: dict[str, Any]) -> None:
    assert committed == tool("openapi").document(), "run `make docs`"


def test_bodies_and_problems_are_described_once_under_their_names(committed: dict[str, Any]) -> None:
    text = json.dumps(committed["paths"])

    assert text.count('"$ref": "#/components/schemas/Problem"') > 100
    assert text.count('"title": "Problem"') == 0
    assert {"StatusBody", "EventBody", "Problem", "StartBody", "TicketAnswer"} <= set(committed["components"]["schemas"])


def test_references_lead_somewhere_and_operations_have_names_of_their_own(committed: dict[str, Any]) -> None:
    named = {f"#/components/schemas/{name}" for name in committed["components"]["schemas"]}
    found = re.findall(r'"\$ref": "([^"]*)"', json.dumps(committed))
    names = [operation["operationId"] for path in committed["paths"].values() for operation in path.values()]
    linked = re.findall(r'"operationId": "([^"]*)", "parameters": \{"', json.dumps(committed))

    assert set(found) <= named
    assert len(set(names)) == len(names)
    assert set(linked) <= set(names)


def test_every_example_is_one(committed: dict[str, Any]) -> None:
    count = 0
    for operation in operations(committed).values():
        for answer in [*operation["responses"].values(), operation.get("requestBody", {})]:
            for kind, content in answer.get("content", {}).items():
                if "example" in content and kind != "text/event-stream":
                    schema = {**content["schema"], "components": committed["components"]}
                    jsonschema_rs.validate(schema, content["example"])
                    count += 1

    assert count > 100


def test_every_verb_problem_and_answer_has_an_example(committed: dict[str, Any]) -> None:
    for name, operation in operations(committed).items():
        body = operation.get("requestBody")
        assert body is None or body["content"]["application/json"]["example"] is not None, name
        for status, answer in operation["responses"].items():
            problem = answer.get("content", {}).get("application/problem+json")
            assert problem is None or problem["example"]["status"] == int(status), (name, status)


def test_the_streams_example_is_a_stream(committed: dict[str, Any]) -> None:
    content = operations(committed)["provisioning_events"]["responses"]["200"]["content"]
    told = messages_in(content["text/event-stream"]["example"])

    assert set(content) == {"application/json", "text/event-stream"}
    assert [message.name for message in told] == ["snapshot", "message", "progress"]
    for message, name in zip(told[:2], ("StatusBody", "EventBody"), strict=True):
        jsonschema_rs.validate({"$ref": f"#/components/schemas/{name}", "components": committed["components"]}, message.data)
    assert ProgressBody.model_validate(told[2].data).model_dump() == told[2].data


def test_conditions_and_resuming_are_described(committed: dict[str, Any]) -> None:
    headers = {
        name: {each["name"] for each in operation.get("parameters", ()) if each["in"] == "header"}
        for name, operation in operations(committed).items()
    }

    assert headers["provisioning_start"] == {"Idempotency-Key", "If-Match"}
    assert headers["provisioning_rollback"] == {"If-Match"}
    assert headers["provisioning_status"] == headers["provisioning_run"] == {"If-None-Match"}
    assert headers["provisioning_events"] == {"Last-Event-ID"}


def test_a_client_knows_which_calls_need_a_token(committed: dict[str, Any]) -> None:
    open_ones = {name for name, operation in operations(committed).items() if operation.get("security") == []}

    assert committed["security"] == [{"token": []}]
    assert open_ones == {"provisioning_healthz", "provisioning_readyz"}


STATUS = ("paths", "/provisioning/tenants/{tenant_id}/status", "get")
START = ("paths", "/provisioning/tenants/{tenant_id}/start", "post")
SCHEMAS = ("components", "schemas")


def at(document: dict[str, Any], *path: str | int) -> Any:
    for part in path:
        document = document[part]
    return document


def without(*path: str) -> Any:
    return lambda new: at(new, *path[:-1]).pop(path[-1])


def changed(value: Any, *path: str | int) -> Any:
    return lambda new: at(new, *path[:-1]).__setitem__(path[-1], value)


BREAKS = {
    "GET /provisioning/tenants/{tenant_id}/status is gone": without(*STATUS[:2]),
    "POST /provisioning/tenants/{tenant_id}/start is gone": without(*START),
    "its operationId was provisioning_start and is begin": changed("begin", *START, "operationId"),
    "the parameter wait (query) is gone": changed([], *STATUS, "parameters"),
    "the parameter after (query) is required now": lambda new: at(new, *STATUS, "parameters")[2].update(required=True),
    "it does not answer 202 any more": without(*START, "responses", "202"),
    "it can't be had as text/event-stream any more": without(
        "paths", "/provisioning/tenants/{tenant_id}/events", "get", "responses", "200", "content", "text/event-stream"
    ),
    "the header Location is gone": without(*START, "responses", "202", "headers", "Location"),
    "the field progress is gone": without(*SCHEMAS, "StatusBody", "properties", "progress"),
    "the field state may be missing now": lambda new: at(new, *SCHEMAS, "StatusBody", "required").remove("state"),
    "version: it was integer and is string": changed({"type": "string"}, *SCHEMAS, "StatusBody", "properties", "version"),
    "steps additionalProperties: the field attempt is gone": without(*SCHEMAS, "StepBody", "properties", "attempt"),
    "errors items: the field code is gone": without(*SCHEMAS, "ErrorBody", "properties", "code"),
    "started_at: it was null or string and is integer or null": changed(
        {"anyOf": [{"type": "integer"}, {"type": "null"}]}, *SCHEMAS, "StatusBody", "properties", "started_at"
    ),
    "body: the field again is not taken any more": without(*SCHEMAS, "StartBody", "properties", "again"),
    "body: the field reason is required now": lambda new: at(new, *SCHEMAS, "StartBody", "required").append("reason"),
    "retry: a body is required now": lambda new: at(
        new, "paths", "/provisioning/tenants/{tenant_id}/retry", "post", "requestBody"
    ).update(required=True),
    "plan: maxLength was 200 and is 100": changed(100, *SCHEMAS, "StartBody", "properties", "plan", "maxLength"),
    "plan: minLength was 1 and is 2": changed(2, *SCHEMAS, "StartBody", "properties", "plan", "minLength"),
    "plan: string was taken and integer is": changed("integer", *SCHEMAS, "StartBody", "properties", "plan", "type"),
    "as: the value failed is not taken any more": changed(["succeeded"], *SCHEMAS, "ResolveBody", "properties", "as", "enum"),
    "missing_only: the pattern was not there and is ^x$": changed(
        "^x$", *SCHEMAS, "Redelivery", "properties", "missing_only", "pattern"
    ),
}


@pytest.mark.parametrize("told", BREAKS)
def test_what_breaks_clients_is_named(committed: dict[str, Any], told: str) -> None:
    new = copy.deepcopy(committed)
    BREAKS[told](new)
    found = tool("openapi").breaks(committed, new)

    assert [each for each in found if told in each], found


ADDITIONS = {
    "a route": changed({"get": {"responses": {}}}, "paths", "/provisioning/new"),
    "a field that is told": changed({"type": "string"}, *SCHEMAS, "StatusBody", "properties", "mood"),
    "a field that may be sent": changed({"type": "string"}, *SCHEMAS, "StartBody", "properties", "mood"),
    "a parameter": lambda new: at(new, *STATUS, "parameters").append({"in": "query", "name": "mood", "schema": {"type": "string"}}),
    "a problem": changed({"description": "No tea here."}, *START, "responses", "418"),
    "a wider limit": changed(400, *SCHEMAS, "StartBody", "properties", "plan", "maxLength"),
    "another value that is taken": lambda new: at(new, *SCHEMAS, "ResolveBody", "properties", "as", "enum").append("skipped"),
    "a problem less": without(*START, "responses", "413"),
    "other words": changed("Begin.", *START, "description"),
}


@pytest.mark.parametrize("what", ADDITIONS)
def test_additions_break_nobody(committed: dict[str, Any], what: str) -> None:
    new = copy.deepcopy(committed)
    ADDITIONS[what](new)

    assert new != committed
    assert tool("openapi").breaks(committed, new) == []
