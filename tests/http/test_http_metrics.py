"""``GET /metrics`` stands on a router of its own, and lets nobody in who is not let in."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from provisioning_http import bearer_token, create_metrics_router
from starlette.testclient import TestClient

from provisioning_core import Engine
from provisioning_core.observers.metrics import Metrics
from provisioning_core.stores import MemoryStore


def _client(authorize: object) -> TestClient:
    metrics = Metrics()
    metrics.watch(Engine(store=MemoryStore(), plans=[], work=False))
    app = FastAPI()
    app.include_router(create_metrics_router(metrics, authorize=authorize))  # type: ignore[arg-type]
    return TestClient(app)


def test_a_scraper_with_its_token_reads_all_metrics() -> None:
    client = _client(bearer_token("the-scrapers-own-token"))
    answer = client.get("/metrics", headers={"Authorization": "Bearer the-scrapers-own-token"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert 'provisioning_runs{status="RUNNING"} 0.0' in answer.text


def test_without_its_token_nothing_is_told() -> None:
    client = _client(bearer_token("the-scrapers-own-token"))
    answer = client.get("/metrics", headers={"Authorization": "Bearer another"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert "provisioning_" not in answer.text


def test_who_may_not_read_them_is_told_so() -> None:
    asked: list[object] = []

    def authorize(request: object, tenant_id: str | None, action: str) -> bool:
        asked.append((tenant_id, action))
        return False

    answer = _client(authorize).get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert asked == [(None, "admin")]


def test_open_to_all_only_if_that_is_said() -> None:
    assert _client(None).get("/metrics").status_code == 200
    with pytest.raises(TypeError, match="authorize"):
        create_metrics_router(Metrics())  # type: ignore[call-arg]
