"""No answer waits for a step: verbs on a store on disk, while steps sleep for half a minute."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from provisioning_http import create_app
from starlette.testclient import TestClient

from provisioning_core import Engine, Plan, StepContext, StepError, step
from provisioning_core.stores import SqlStore

AT_ONCE = 0.05
TENANTS = [f"tenant-{number}" for number in range(7)]


class Sleepers:
    """A plan whose one step sleeps for 30 seconds, or fails at once."""

    def __init__(self) -> None:
        self.awake = threading.Event()
        self.failing: set[str] = set()

    def plan(self) -> Plan:
        @step
        def sleep(ctx: StepContext) -> None:
            if ctx.subject in self.failing:
                raise StepError("not now")
            self.awake.wait(30)

        return Plan("sleepers", steps=[sleep])


@pytest.fixture
def sleepers() -> Sleepers:
    return Sleepers()


@pytest.fixture
def client(sleepers: Sleepers, tmp_path: Path) -> Iterator[TestClient]:
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    with Engine(store=store, plans=[sleepers.plan()], poll=0.05) as engine:
        with TestClient(create_app(engine, authorize=lambda *_: True)) as made:
            made.get("/provisioning/plans")
            yield made
        sleepers.awake.set()


def seconds_of(client: TestClient, tenant: str, verb: str, body: dict[str, str]) -> float:
    """How long the answer takes; it is a 202 whose run still moves."""
    begun = time.perf_counter()
    answer = client.post(f"/provisioning/tenants/{tenant}/{verb}", json=body)
    took = time.perf_counter() - begun
    assert (answer.status_code, answer.json()["status"]) == (202, "IN_PROGRESS")
    return took


@pytest.mark.parametrize("verb", ["start", "retry", "continue"])
def test_a_verb_is_answered_within_50_ms_while_steps_sleep_for_30_s(client: TestClient, sleepers: Sleepers, verb: str) -> None:
    body = {"plan": "sleepers"}
    if verb != "start":
        sleepers.failing = set(TENANTS)
        for tenant in TENANTS:
            client.post(f"/provisioning/tenants/{tenant}/start", json=body)
        assert [ends_as(client, tenant) for tenant in TENANTS] == ["FAILED"] * len(TENANTS)
        sleepers.failing.clear()

    took = [seconds_of(client, tenant, verb, body if verb == "start" else {}) for tenant in TENANTS]

    print(f"{verb}: " + ", ".join(f"{each * 1000:.1f} ms" for each in took))
    assert statistics.median(took) < AT_ONCE
    assert max(took) < 1


def ends_as(client: TestClient, tenant: str) -> str:
    """The run's state when it moves no more."""
    body = client.get(f"/provisioning/tenants/{tenant}/status").json()
    while body["status"] == "IN_PROGRESS":
        query = {"wait": 10, "after": body["version"]}
        body = client.get(f"/provisioning/tenants/{tenant}/status", params=query).json()
    return str(body["state"])
