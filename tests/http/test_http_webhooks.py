"""Webhooks over HTTP: managed by admins, secrets shown once, targets inside refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from http_people import authorize
from provisioning_http import create_router
from provisioning_http._webhook_routes import WEBHOOK_ROUTES, WebhookRoute
from starlette.testclient import TestClient

from provisioning_core import Engine, Plan, step
from provisioning_core.observers.webhooks import Webhooks
from provisioning_core.observers.webhooks._transport import Answer
from provisioning_core.stores import MemoryStore

URL = "https://hooks.example.com/in?token=t0k3n"
ALL = "/provisioning/webhooks"


@step
def one() -> int:
    return 1


class Outside:
    """What stands in for the network: answers, and what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []
        self.answer = Answer(status=200, body="thanks")

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        self.sent.append(headers)
        return self.answer


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def engine(outside: Outside) -> Iterator[Engine]:
    hooks = Webhooks(resolve=lambda host, port: ["10.0.0.1"] if host.startswith("inside") else ["8.8.8.8"], poll=0.05)
    with Engine(store=MemoryStore(), plans=[Plan("tenant", steps=[one])], secrets_key=b"k" * 32, webhooks=hooks) as engine:
        hooks._poster._transport = outside
        yield engine


@pytest.fixture
def app(engine: Engine) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(engine, authorize=authorize))
    return app


@pytest.fixture
def root(app: FastAPI) -> TestClient:
    return TestClient(app, headers={"Authorization": "Bearer root"})


def added(root: TestClient, **given: Any) -> dict[str, Any]:
    answer = root.post(ALL, json={"url": URL, **given})
    assert answer.status_code == 201, answer.text
    return answer.json()


def wait_for(root: TestClient, path: str, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        items = root.get(path).json()["items"]
        if len(items) >= count:
            return items
    raise AssertionError(f"{items} are not {count}")


def test_a_webhook_is_made_and_its_secret_is_shown_once(root: TestClient) -> None:
    answer = root.post(ALL, json={"url": URL, "events": ["run.succeeded"], "plans": ["tenant"], "description": "Billing"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{ALL}/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made == {
        "id": made["id"],
        "url": URL,
        "events": ["run.succeeded"],
        "plans": ["tenant"],
        "description": "Billing",
        "enabled": True,
        "disabled_why": "",
        "paused_until": None,
        "old_secret_until": None,
        "created_at": made["created_at"],
        "waiting": 0,
    }
    for path in (ALL, f"{ALL}/{made['id']}", f"{ALL}/{made['id']}/deliveries"):
        again = root.get(path)
        assert again.status_code == 200
        assert 'secret"' not in again.text
        assert secret not in again.text
    assert root.get(ALL).json() == {"items": [made]}


def test_only_what_is_given_is_changed(root: TestClient) -> None:
    made = added(root, description="a", plans=["tenant"])
    path = f"{ALL}/{made['id']}"
    changed = root.patch(path, json={"events": ["*"], "enabled": False}).json()
    assert (changed["events"], changed["enabled"], changed["disabled_why"]) == (["*"], False, "Disabled by an operator.")
    assert (changed["url"], changed["description"], changed["plans"]) == (URL, "a", ["tenant"])
    emptied = root.patch(path, json={"plans": [], "description": "", "enabled": True}).json()
    assert (emptied["plans"], emptied["description"], emptied["enabled"]) == ([], "", True)
    assert root.patch(path, json={}).json() == emptied


def test_a_webhook_is_removed(root: TestClient) -> None:
    path = f"{ALL}/{added(root)['id']}"
    gone = root.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (root.get(path), root.delete(path), root.patch(path, json={}), root.post(f"{path}/test")):
        assert (answer.status_code, answer.json()["code"]) == (404, "webhook_not_found")


def test_a_secret_is_replaced(root: TestClient) -> None:
    made = added(root)
    answer = root.post(f"{ALL}/{made['id']}/rotate-secret", json={"overlap": 60})
    assert answer.status_code == 200
    assert answer.json()["secret"] not in ("", made["secret"])
    assert answer.json()["old_secret_until"] is not None
    at_once = root.post(f"{ALL}/{made['id']}/rotate-secret", json={"overlap": 0}).json()
    assert at_once["old_secret_until"] is None
    assert root.post(f"{ALL}/{made['id']}/rotate-secret", json={"overlap": -1}).status_code == 422


def test_a_test_message_says_what_came_of_it(root: TestClient, outside: Outside) -> None:
    path = f"{ALL}/{added(root)['id']}"
    told = root.post(f"{path}/test").json()
    assert (told["outcome"], told["status"], told["body"], told["type"], told["run_id"]) == (
        "delivered",
        200,
        "thanks",
        "webhook.test",
        None,
    )
    assert outside.sent[0]["webhook-id"] == told["message_id"]
    again = root.post(f"{path}/test")
    assert (again.status_code, again.json()["code"]) == (409, "test_too_soon")
    assert root.post(f"{path}/test", json={"what": 1}).status_code == 422


def test_deliveries_are_listed_filtered_and_sent_again(root: TestClient, engine: Engine, outside: Outside) -> None:
    path = f"{ALL}/{added(root)['id']}"
    run = engine.start("tenant", subject="acme")
    run.wait(10)
    items = wait_for(root, f"{path}/deliveries", 3)
    assert [item["type"] for item in items] == ["run.succeeded", "run.running", "run.created"]
    assert {item["run_id"] for item in items} == {run.id}
    page = root.get(f"{path}/deliveries", params={"limit": 2}).json()
    rest = root.get(f"{path}/deliveries", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [item["number"] for item in page["items"] + rest["items"]] == [item["number"] for item in items]
    assert rest["next_cursor"] is None
    for query, count in ({"outcome": "failed,gone"}, 0), ({"outcome": "delivered", "run_id": run.id}, 3), ({"run_id": "other"}, 0):
        assert len(root.get(f"{path}/deliveries", params=query).json()["items"]) == count
    answer = root.post(f"{path}/redeliver", json={"delivery": items[0]["number"]})
    assert (answer.status_code, answer.json()) == (202, {"runs": 1})
    assert wait_for(root, f"{path}/deliveries", 4)[0]["message_id"] == items[0]["message_id"]
    everything = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00+01:00"}
    assert root.post(f"{path}/redeliver", json=everything).json() == {"runs": 0}
    assert root.post(f"{path}/redeliver", json={**everything, "missing_only": False}).json() == {"runs": 1}
    assert len(wait_for(root, f"{path}/deliveries", 7)) == 7


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "no_range"),
        ({"until": "2100-01-01T00:00:00Z"}, "no_range"),
        ({"since": "2100-01-01T00:00:00"}, "invalid_input"),
        ({"since": "yesterday"}, "invalid_input"),
        ({"delivery": 0}, "invalid_input"),
    ],
)
def test_a_range_that_is_none_is_refused(root: TestClient, body: dict[str, Any], code: str) -> None:
    answer = root.post(f"{ALL}/{added(root)['id']}/redeliver", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_delivery_that_is_not_there_is_not_found(root: TestClient) -> None:
    answer = root.post(f"{ALL}/{added(root)['id']}/redeliver", json={"delivery": 4711})
    assert (answer.status_code, answer.json()["code"]) == (404, "delivery_not_found")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"url": "https://inside.example.com/?token=t0k3n"}, "webhook_target_refused"),
        ({"url": "http://hooks.example.com/?token=t0k3n"}, "webhook_target_refused"),
        ({"url": "https://10.0.0.1/?token=t0k3n"}, "webhook_target_refused"),
        ({"url": URL, "events": ["run.suceeded"]}, "invalid_webhook"),
        ({"url": URL, "events": []}, "invalid_input"),
        ({"url": URL, "plans": "tenant"}, "invalid_input"),
        ({"url": URL, "secret": "whsec_mine"}, "invalid_input"),
        ({"events": ["*"]}, "invalid_input"),
        ({"url": "https://hooks.example.com/" + "a" * 2000}, "invalid_input"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_repeated(root: TestClient, given: dict[str, Any], code: str) -> None:
    answer = root.post(ALL, json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "t0k3n" not in answer.text
    assert root.get(ALL).json() == {"items": []}


def _path_of(route: WebhookRoute, webhook_id: str) -> str:
    return "/provisioning" + route.path.replace("{webhook_id}", webhook_id)


@pytest.mark.parametrize("route", WEBHOOK_ROUTES, ids=lambda route: route.name)
def test_they_are_for_admins_only(root: TestClient, app: FastAPI, route: WebhookRoute) -> None:
    path = _path_of(route, added(root)["id"])
    for token, status in (("", 401), ("nobody", 401), ("anna", 403), ("olaf", 403), ("fremd", 403)):
        answer = TestClient(app, headers={"Authorization": f"Bearer {token}"}).request(route.method, path, json=None)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    for webhook_id in ("wh_unknown", "%00", "x" * 101):
        answer = TestClient(app, headers={"Authorization": "Bearer olaf"}).request(route.method, _path_of(route, webhook_id))
        assert answer.status_code == 403, "whoever may not look does not learn what there is"


@pytest.mark.parametrize("route", WEBHOOK_ROUTES, ids=lambda route: route.name)
def test_the_product_is_asked_for_the_right_to_administer(engine: Engine, route: WebhookRoute) -> None:
    asked: list[tuple[str | None, str]] = []
    app = FastAPI()
    app.include_router(create_router(engine, authorize=lambda _, tenant_id, action: asked.append((tenant_id, action))))
    assert TestClient(app).request(route.method, _path_of(route, "wh_1")).status_code == 403
    assert asked == [(None, "admin")]


@pytest.mark.parametrize("route", [each for each in WEBHOOK_ROUTES if each.method != "GET"], ids=lambda route: route.name)
def test_a_foreign_page_cannot_make_a_browser_do_it(root: TestClient, engine: Engine, route: WebhookRoute) -> None:
    path, before = _path_of(route, added(root)["id"]), root.get(ALL).json()
    by_cookie = FastAPI()
    by_cookie.include_router(create_router(engine, authorize=lambda *_: "root"))
    foreign = {"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site"}
    answer = TestClient(by_cookie).request(route.method, path, headers=foreign)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_form")
    assert root.get(ALL).json() == before


def test_an_engine_without_webhooks_has_no_such_routes() -> None:
    app = FastAPI()
    engine = Engine(store=MemoryStore(), plans=[], work=False)
    app.include_router(create_router(engine, authorize=authorize))
    assert not [path for path in app.openapi()["paths"] if "webhook" in path]


def test_they_are_described(app: FastAPI, root: TestClient) -> None:
    described = app.openapi()
    operations = {each["operationId"]: each for path in described["paths"].values() for each in path.values()}
    for route in WEBHOOK_ROUTES:
        found = operations[f"provisioning_{route.name}"]
        assert found["description"]
        assert str(route.status) in found["responses"]
        assert ("requestBody" in found) == (route.body is not None)
    schema = described["components"]["schemas"]["WebhookSecretBody"]["properties"]
    assert set(added(root)) == set(schema)
