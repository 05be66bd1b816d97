"""Errors: what each becomes, and what never comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from provisioning_http import create_health_router, create_router
from provisioning_http._problems import problem_of
from starlette.testclient import TestClient

from provisioning_core import (
    Conflict,
    Engine,
    InvalidInput,
    LeaseLost,
    MissingExtra,
    NotFound,
    PlanChanged,
    ProvisioningError,
    SchemaMismatch,
    StoreUnavailable,
)
from provisioning_core.errors import Difference
from provisioning_core.stores import MemoryStore

ACME = "/provisioning/tenants/acme"
JSON = {"Content-Type": "application/json"}
CANARY = "canary-4711-secret"


def refused(answer: Any) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= set(body)
    assert body["status"] == answer.status_code
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("no such plan", code="plan_not_found"), 404, "plan_not_found"),
        (Conflict("not now", code="not_allowed"), 409, "not_allowed"),
        (PlanChanged([Difference(kind="removed", step="mail")], run_id="r1", plan="p"), 409, "plan_changed"),
        (InvalidInput("does not fit"), 422, "invalid_input"),
        (StoreUnavailable(f"postgres://{CANARY}"), 503, "store_unavailable"),
        (SchemaMismatch(f"schema {CANARY}"), 503, "schema_mismatch"),
        (LeaseLost(f"owner {CANARY}"), 503, "lease_lost"),
        (MissingExtra("cli", f"drawing {CANARY}"), 500, "missing_extra"),
        (ProvisioningError(CANARY), 500, "internal_error"),
        (RuntimeError(CANARY), 500, "internal_error"),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, code: str) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.code) == (status, code)
    assert CANARY not in json.dumps(problem.to_dict())
    assert ("Retry-After" in problem.headers) == (status == 503)


def test_a_conflict_tells_all_it_knows() -> None:
    error = Conflict("The run is FAILED.", code="not_allowed", run_id="r1", status="FAILED", allowed_actions=["retry"])

    assert problem_of(error).to_dict() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "The run is FAILED.",
        "code": "not_allowed",
        "hint": "Allowed now: retry.",
        "run_id": "r1",
        "state": "FAILED",
        "allowed_actions": ["retry"],
    }


def test_a_changed_plan_lists_the_differences() -> None:
    error = PlanChanged([Difference(kind="removed", step="mail", detail="it had run", blocking=True)], run_id="r1", plan="p")
    body = problem_of(error).to_dict()

    assert (body["run_id"], body["allowed_actions"]) == ("r1", ["adopt_plan"])
    assert body["errors"] == [{"loc": ["mail"], "msg": "mail: removed (it had run)", "type": "removed"}]


def test_an_unknown_plan_is_a_404_that_does_not_list_the_plans(olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/start", json={"plan": "nope"})

    assert refused(answer) == (404, "plan_not_found")
    assert "gated" not in answer.text


def test_input_that_does_not_fit_is_told_by_place_and_never_repeated(olaf: TestClient) -> None:
    given = {"slug": f"bad-{CANARY}", "size": f"many-{CANARY}", "password": {"no": CANARY}}
    answer = olaf.post(f"{ACME}/start", json={"plan": "quick", "input": given})

    assert refused(answer) == (422, "invalid_input")
    assert CANARY not in answer.text
    faults = answer.json()["errors"]
    assert {tuple(fault) for fault in faults} == {("loc", "msg", "type")}
    assert {fault["loc"][-1] for fault in faults} == {"slug", "size", "password"}
    assert "can't be had" in answer.text


def test_a_body_that_does_not_fit_is_told_by_place_and_never_repeated(olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/start", json={"plan": [CANARY], "again": CANARY, "surprise": CANARY})

    assert refused(answer) == (422, "invalid_input")
    assert CANARY not in answer.text
    assert [(fault["loc"], fault["type"]) for fault in answer.json()["errors"]] == [
        (["body", "plan"], "string_type"),
        (["body", "again"], "bool_type"),
        (["body", "surprise"], "extra_forbidden"),
    ]


@pytest.mark.parametrize(("slug", "said"), [(["string"], "Input should be a valid string"), (None, "Input should be a valid string")])
def test_what_pydantic_says_by_itself_is_not_masked(olaf: TestClient, slug: Any, said: str) -> None:
    answer = olaf.post(f"{ACME}/start", json={"plan": "quick", "input": {"slug": slug}, "reason": "valid"})

    assert [fault["msg"] for fault in answer.json()["errors"]] == [said]
    assert "hint" not in answer.json()


def test_of_very_many_faults_the_first_are_told() -> None:
    errors = [{"loc": ("body", number), "msg": f"not {number}", "type": "x"} for number in range(10_000)]
    body = problem_of(InvalidInput("does not fit", errors=errors), list(range(10_000))).to_dict()

    assert [fault["loc"] for fault in body["errors"]] == [["body", number] for number in range(50)]


@pytest.mark.parametrize("body", ['"text"', "[]", "false", "7"])
def test_a_body_that_is_no_object_is_refused(olaf: TestClient, body: str) -> None:
    assert refused(olaf.post(f"{ACME}/retry", content=body, headers=JSON)) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("plan", "verb", "body"),
    [
        ("broken", "retry", "null"),
        ("broken", "retry", '{"steps": null, "input": null, "reason": null}'),
        ("gated", "cancel", '{"rollback": null}'),
        ("quick", "rollback", '{"to": null, "force": null}'),
        ("gated", "start", '{"plan": "gated", "again": null, "labels": null, "input": null}'),
    ],
)
def test_null_is_as_good_as_absent(world, olaf: TestClient, plan: str, verb: str, body: str) -> None:
    world.start(plan)

    assert olaf.post(f"{ACME}/{verb}", content=body, headers=JSON).status_code == 202


def test_null_is_not_enough_for_what_is_required(olaf: TestClient) -> None:
    assert refused(olaf.post(f"{ACME}/start", json={"plan": None})) == (422, "invalid_input")


def test_an_empty_body_is_enough_where_nothing_is_required(world, olaf: TestClient) -> None:
    world.start("broken")

    assert olaf.post(f"{ACME}/retry").status_code == 202
    assert refused(olaf.post(f"{ACME}/start")) == (422, "invalid_input")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"plan": "quick",}',
        b'{"plan": NaN}',
        b'{"plan": -Infinity}',
        b'{"plan": 1e999}',
        b'{"plan": "a", "plan": "b"}',
        b'{"plan": "\xff"}',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_json_is_refused(olaf: TestClient, body: bytes) -> None:
    assert refused(olaf.post(f"{ACME}/start", content=body, headers=JSON)) == (400, "malformed_body")


@pytest.mark.parametrize("depth", [101, 100_000])
def test_what_nests_too_deep_is_refused(olaf: TestClient, depth: int) -> None:
    body = '{"plan": "gated", "input": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"

    assert refused(olaf.post(f"{ACME}/start", content=body, headers=JSON)) == (400, "body_too_deep")


def test_what_nests_as_deep_as_allowed_is_read(olaf: TestClient) -> None:
    body = '{"plan": "nope", "input": ' + "[" * 99 + "]" * 99 + "}"

    assert refused(olaf.post(f"{ACME}/start", content=body, headers=JSON)) == (404, "plan_not_found")


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"])
def test_a_text_that_can_not_be_stored_is_refused(olaf: TestClient, text: str) -> None:
    for body in (f'{{"plan": "quick", "input": {{"slug": "a{text}"}}}}', f'{{"plan": "quick", "input": {{"a{text}": 1}}}}'):
        assert refused(olaf.post(f"{ACME}/start", content=body, headers=JSON)) == (422, "invalid_request")


def test_a_body_over_the_limit_is_refused_whatever_its_length_is_said_to_be(olaf: TestClient) -> None:
    large = b'{"plan": "' + b"x" * (256 * 1024) + b'"}'

    def in_pieces() -> Iterator[bytes]:
        yield from (large[start : start + 10_000] for start in range(0, len(large), 10_000))

    for content in (large, in_pieces()):
        assert refused(olaf.post(f"{ACME}/start", content=content, headers=JSON)) == (413, "body_too_large")


def test_a_body_at_the_limit_is_read(olaf: TestClient) -> None:
    head = b'{"plan": "nope", "reason": null}'
    body = head + b" " * (256 * 1024 - len(head))

    assert refused(olaf.post(f"{ACME}/start", content=body, headers=JSON)) == (404, "plan_not_found")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_only_json_is_read(olaf: TestClient, headers: dict[str, str]) -> None:
    assert refused(olaf.post(f"{ACME}/start", content=b'{"plan": "gated"}', headers=headers)) == (415, "unsupported_media_type")


def test_json_with_its_charset_is_read(olaf: TestClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=UTF-8"}

    assert olaf.post(f"{ACME}/start", content=b'{"plan": "gated"}', headers=headers).status_code == 202


def test_a_malformed_step_name_is_refused(world, olaf: TestClient) -> None:
    world.start("gated")
    answer = olaf.post(f"{ACME}/signals/a%00b")

    assert refused(answer) == (422, "invalid_request")


class LostStore(MemoryStore):
    """A store that is away, and says more than it should."""

    lost = False

    def latest(self, *given: Any, **more: Any) -> Any:
        self._look()
        return super().latest(*given, **more)

    def counts(self) -> Any:
        self._look()
        return super().counts()

    def _look(self) -> None:
        if self.lost:
            raise StoreUnavailable(f"connection to postgres://admin:{CANARY}@db refused")


def test_a_lost_store_is_a_503_until_it_is_back(world) -> None:
    store = LostStore()
    with Engine(store=store, plans=[world.engine.plans["gated"]]) as engine:
        app = FastAPI()
        app.include_router(create_router(engine, authorize=lambda *_: True))
        app.include_router(create_health_router(engine))
        client = TestClient(app)
        store.lost = True
        answers = [client.get(f"{ACME}/status"), client.post(f"{ACME}/retry"), client.get("/readyz")]
        alive = client.get("/healthz")
        store.lost = False
        ready = client.get("/readyz")

    assert [refused(answer) for answer in answers] == [(503, "store_unavailable"), (503, "store_unavailable"), (503, "not_ready")]
    assert CANARY not in "".join(answer.text for answer in answers)
    assert {answer.headers["retry-after"] for answer in answers} == {"2"}
    assert (alive.status_code, ready.status_code) == (200, 200)
    assert alive.json() == {"status": "ok"}


def test_a_status_that_has_no_name_is_an_error_like_others() -> None:
    assert problem_of(HTTPException(499)).to_dict()["title"] == "Error"


@pytest.mark.parametrize(("status", "name"), [(404, "Not Found"), (413, "Content Too Large"), (422, "Unprocessable Content")])
def test_a_status_is_called_by_its_name_in_the_standard_on_every_python(status: int, name: str) -> None:
    assert problem_of(HTTPException(status)).to_dict()["title"] == name
