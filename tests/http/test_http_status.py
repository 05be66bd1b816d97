"""Reading one tenant: the status, its ETag, long polls, the history and the pictures."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from provisioning_http import Limits, create_router
from starlette.testclient import TestClient

from provisioning_core import Engine

ACME = "/provisioning/tenants/acme"
FIELDS = {
    "tenant_id",
    "run_id",
    "plan",
    "plan_version",
    "status",
    "state",
    "progress",
    "current_steps",
    "completed_steps",
    "failed_steps",
    "steps",
    "errors",
    "warnings",
    "allowed_actions",
    "version",
    "created_at",
    "started_at",
    "finished_at",
    "links",
}


def test_the_status_of_a_finished_run(world, anna: TestClient) -> None:
    run = world.start("quick")
    body = anna.get(f"{ACME}/status").json()

    assert set(body) == FIELDS
    assert (body["tenant_id"], body["run_id"], body["status"], body["state"]) == ("acme", run.id, "SUCCEEDED", "SUCCEEDED")
    assert (body["progress"], body["completed_steps"], body["current_steps"], body["failed_steps"]) == (
        1.0,
        ["database", "bucket"],
        [],
        [],
    )
    assert list(body["steps"]) == ["database", "bucket"]
    assert body["steps"]["database"]["output"] == {"name": "acme", "password": "**********"}
    assert body["created_at"].endswith("Z")
    assert body["links"] == {
        "self": f"/provisioning/runs/{run.id}",
        "status": f"{ACME}/status",
        "events": f"{ACME}/events",
        "graph": f"{ACME}/graph",
        "timeline": f"{ACME}/timeline",
    }


def test_a_run_that_moves_is_in_progress(world, anna: TestClient) -> None:
    world.start("slow")
    body = anna.get(f"{ACME}/status", params={"wait": 5, "after": 1}).json()

    assert (body["status"], body["state"]) == ("IN_PROGRESS", "RUNNING")
    assert body["current_steps"] == ["first"]


def test_a_run_that_waits_says_so(world, anna: TestClient) -> None:
    world.start("gated")
    body = anna.get(f"{ACME}/status").json()

    assert (body["status"], body["state"], body["current_steps"]) == ("WAITING", "WAITING", ["approval"])


def test_errors_are_safe_for_readers_and_whole_for_operators(world, anna: TestClient, olaf: TestClient) -> None:
    world.start("broken")
    read, operated = anna.get(f"{ACME}/status").json(), olaf.get(f"{ACME}/status").json()

    [shown] = read["errors"]
    assert set(shown) == {"step", "code", "message", "at"}
    assert (shown["step"], shown["message"]) == ("database", "Your database could not be made.")
    assert read["failed_steps"] == ["database"]
    [whole] = operated["errors"]
    assert "db.internal" in whole["detail"]
    assert "RuntimeError" in whole["traceback"]
    assert whole["hint"]


def test_resources_are_shown_to_operators(world, anna: TestClient, olaf: TestClient) -> None:
    world.start("quick")

    assert "resources" not in anna.get(f"{ACME}/status").json()["steps"]["database"]
    held = olaf.get(f"{ACME}/status").json()["steps"]["database"]["resources"]
    assert held == [{"kind": "database", "id": "db-acme", "details": {"region": "eu"}}]


def test_nothing_new_is_a_304(world, anna: TestClient) -> None:
    world.start("quick")
    tag = anna.get(f"{ACME}/status").headers["etag"]
    same = anna.get(f"{ACME}/status", headers={"If-None-Match": f'"other", {tag}'})
    other = anna.get(f"{ACME}/status", headers={"If-None-Match": '"other"'})

    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert other.status_code == 200


def test_the_etag_changes_with_the_run(world, anna: TestClient) -> None:
    world.start("gated")
    tag = anna.get(f"{ACME}/status").headers["etag"]
    world.engine.signal("acme", "approval")
    world.engine.wait("acme", timeout=10)
    answer = anna.get(f"{ACME}/status", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.json()["state"]) == (200, "SUCCEEDED")
    assert answer.headers["etag"] != tag


@pytest.mark.parametrize(("plan", "verb"), [("broken", "retry"), ("gated", "pause")])
def test_a_verb_that_no_engine_has_taken_up_yet_changes_the_etag(world, plan: str, verb: str) -> None:
    world.start(plan)
    world.engine.close()
    with Engine(store=world.engine.store, plans=list(world.engine.plans.values()), work=False, secrets_key=bytes(32)) as web:
        app = FastAPI()
        app.include_router(create_router(web, authorize=lambda *_: True))
        client = TestClient(app)
        before = client.get(f"{ACME}/status")
        known = {"If-None-Match": before.headers["etag"]}
        unchanged = client.get(f"{ACME}/status", headers=known)
        accepted = client.post(f"{ACME}/{verb}")
        after = client.get(f"{ACME}/status", headers=known)
        at_once = client.get(f"{ACME}/status?wait=25", headers=known)
        again = client.get(f"{ACME}/status", headers={"If-None-Match": after.headers["etag"]})

    assert [each.status_code for each in (unchanged, accepted, after, at_once, again)] == [304, 202, 200, 200, 304]
    assert after.json()["status"] == "IN_PROGRESS"
    assert (after.json()["state"], after.json()["version"]) == (before.json()["state"], before.json()["version"])
    assert accepted.headers["etag"] == after.headers["etag"]


def test_readers_and_operators_have_etags_of_their_own(world, anna: TestClient, olaf: TestClient) -> None:
    world.start("broken")
    tag = anna.get(f"{ACME}/status").headers["etag"]

    assert olaf.get(f"{ACME}/status", headers={"If-None-Match": tag}).status_code == 200


def test_a_long_poll_wakes_when_something_happens(world, anna: TestClient) -> None:
    world.start("gated")
    version = anna.get(f"{ACME}/status").json()["version"]
    with ThreadPoolExecutor(1) as pool:
        begun = time.perf_counter()
        waiting = pool.submit(anna.get, f"{ACME}/status", params={"wait": 20, "after": version})
        world.engine.signal("acme", "approval")
        answer = waiting.result(timeout=15)

    assert answer.json()["version"] > version
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize("after", [0, 1000])
def test_a_long_poll_for_an_older_version_or_another_runs_answers_at_once(world, anna: TestClient, after: int) -> None:
    world.start("quick")
    begun = time.perf_counter()
    answer = anna.get(f"{ACME}/status", params={"wait": 25, "after": after})

    assert answer.status_code == 200
    assert time.perf_counter() - begun < 5


def test_a_long_poll_ends_with_the_status_as_it_is(world, anna: TestClient) -> None:
    world.start("gated")
    known = anna.get(f"{ACME}/status").json()
    answer = anna.get(f"{ACME}/status", params={"wait": 0.1})

    assert answer.json() == known


def test_a_long_poll_with_an_etag_ends_with_a_304(world, anna: TestClient) -> None:
    world.start("gated")
    tag = anna.get(f"{ACME}/status").headers["etag"]

    assert anna.get(f"{ACME}/status", params={"wait": 0.1}, headers={"If-None-Match": tag}).status_code == 304
    begun = time.perf_counter()
    assert anna.get(f"{ACME}/status", params={"wait": 25}, headers={"If-None-Match": '"older"'}).status_code == 200
    assert time.perf_counter() - begun < 5


def test_long_polls_beyond_the_limit_are_answered_at_once_and_nothing_else_waits(world) -> None:
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=lambda *_: True, limits=Limits(polls=32, calls_per_second=None)))
    with TestClient(app) as client:
        _poll_beyond_the_limit(world, client)


def _poll_beyond_the_limit(world, anna: TestClient) -> None:
    world.start("gated")
    version = anna.get(f"{ACME}/status").json()["version"]
    polls = 50
    begun = threading.Barrier(polls + 1)

    def poll() -> int:
        begun.wait(10)
        return anna.get(f"{ACME}/status", params={"wait": 25, "after": version}).json()["version"]

    with ThreadPoolExecutor(polls) as pool:
        waiting = [pool.submit(poll) for _ in range(polls)]
        begun.wait(10)
        deadline = time.monotonic() + 15
        while sum(each.done() for each in waiting) < polls - 32 and time.monotonic() < deadline:
            begun_at = time.perf_counter()
            assert anna.get(f"{ACME}/status").status_code == 200
            assert time.perf_counter() - begun_at < 5
        at_once = sum(each.done() for each in waiting)
        world.engine.signal("acme", "approval")
        seen = [each.result(timeout=15) for each in waiting]

    assert at_once == polls - 32
    assert sum(each > version for each in seen) == 32


@pytest.mark.parametrize("query", ["wait=-1", "wait=nan", "wait=x", "after=-1", "after=x"])
def test_a_malformed_wait_is_refused(world, anna: TestClient, query: str) -> None:
    answer = anna.get(f"{ACME}/status?{query}")

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert [set(fault) for fault in answer.json()["errors"]] == [{"loc", "msg", "type"}]


def test_a_run_by_its_id_stays_readable_when_a_newer_one_is_there(world, anna: TestClient) -> None:
    old = world.start("quick")
    world.engine.start("quick", subject="acme", input={"slug": "acme"}, again=True).wait(timeout=10)
    answer = anna.get(f"/provisioning/runs/{old.id}")

    assert (answer.status_code, answer.json()["run_id"]) == (200, old.id)
    assert anna.get(f"/provisioning/runs/{old.id}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert answer.json()["links"]["self"] == f"/provisioning/runs/{old.id}"


def test_the_history_comes_in_pages(world, olaf: TestClient) -> None:
    world.start("quick")
    whole = [event.to_dict() for event in world.engine.events("acme")]
    items, after = [], 0
    while True:
        page = olaf.get(f"{ACME}/events", params={"after": after, "limit": 3}).json()
        assert len(page["items"]) <= 3
        if not page["items"]:
            break
        items += page["items"]
        after = page["next_after"]

    assert items == whole
    assert page["next_after"] == len(whole)


def test_readers_see_the_history_without_names_and_reasons(world, anna: TestClient, olaf: TestClient) -> None:
    world.start("broken")
    olaf.post(f"{ACME}/retry", json={"reason": "customer called twice"})
    world.engine.wait("acme", timeout=10)
    read, operated = anna.get(f"{ACME}/events").json()["items"], olaf.get(f"{ACME}/events").json()["items"]

    assert [each["seq"] for each in read] == [each["seq"] for each in operated]
    assert {each["actor"] for each in read} == {None}
    assert "customer called twice" not in str(read)
    assert "customer called twice" in str(operated)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json;q=0", 406),
        ("text/html", 406),
        ("application/json, text/event-stream;q=0.9", 200),
        ("text/event-stream, application/json", 200),
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        ("", 200),
    ],
)
def test_the_history_is_json(world, anna: TestClient, accept: str, status: int) -> None:
    world.start("quick")
    answer = anna.get(f"{ACME}/events", headers={"Accept": accept})

    assert answer.status_code == status
    assert answer.headers["content-type"] == ("application/json" if status == 200 else "application/problem+json")


def test_answers_are_kept_by_no_cache(world, anna: TestClient) -> None:
    world.start("quick")
    kept = {path: anna.get(f"{ACME}/{path}").headers["cache-control"] for path in ("status", "events", "graph")}

    assert kept == dict.fromkeys(("status", "events", "graph"), "no-store")


def test_a_tenant_with_odd_signs_has_working_links(world) -> None:
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=lambda *_: True), prefix="/api v1")
    world.start("gated", "a b%\u00e4#")
    with TestClient(app) as client:
        answer = client.get("/api%20v1/provisioning/tenants/a%20b%25%C3%A4%23/status")
        links = answer.json()["links"]
        followed = {name: client.get(link).status_code for name, link in links.items()}

    assert links["status"] == "/api%20v1/provisioning/tenants/a%20b%25%C3%A4%23/status"
    assert followed == {"self": 200, "status": 200, "events": 200, "graph": 200, "timeline": 200}
