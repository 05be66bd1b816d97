"""A run's graph and its timeline, as data and as pictures."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"


def test_the_graph_as_json(world, anna: TestClient) -> None:
    run = world.start("quick")
    body = anna.get(f"{ACME}/graph").json()

    assert (body["run_id"], body["plan"], body["plan_version"]) == (run.id, "quick", "3")
    assert [(node["name"], node["status"]) for node in body["nodes"]] == [("database", "SUCCEEDED"), ("bucket", "SUCCEEDED")]
    assert body["edges"] == [{"source": "database", "target": "bucket"}]


@pytest.mark.parametrize(
    ("form", "kind"),
    [("mermaid", "text/plain"), ("dot", "text/vnd.graphviz"), ("svg", "image/svg+xml"), ("text", "text/plain")],
)
def test_the_graph_as_a_picture(world, anna: TestClient, form: str, kind: str) -> None:
    world.start("quick")
    answer = anna.get(f"{ACME}/graph", params={"format": form})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text == world.engine.drawing("acme", format=form)


def test_an_unknown_form_of_the_graph_is_refused(world, anna: TestClient) -> None:
    world.start("quick")

    assert anna.get(f"{ACME}/graph?format=png").status_code == 422


# the timeline


def test_the_timeline_as_json(world, anna: TestClient) -> None:
    run = world.start("broken")
    body = anna.get(f"{ACME}/timeline").json()
    failed = next(bar for bar in body["bars"] if bar["outcome"] == "FAILED")

    assert (body["run_id"], body["plan"], body["plan_version"]) == (run.id, "broken", "1")
    assert body["started_at"] <= body["bars"][0]["started_at"] <= body["bars"][0]["finished_at"] <= body["finished_at"]
    assert (failed["step"], failed["kind"], failed["attempt"]) == ("database", "attempt", 1)
    assert failed["message"] == anna.get(f"{ACME}/status").json()["errors"][0]["message"]


@pytest.mark.parametrize(("form", "kind"), [("svg", "image/svg+xml"), ("text", "text/plain")])
def test_the_timeline_as_a_picture(world, anna: TestClient, form: str, kind: str) -> None:
    world.start("quick")
    answer = anna.get(f"{ACME}/timeline", params={"format": form})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text == getattr(world.engine.timeline("acme"), f"to_{form}")()


def test_the_timeline_of_an_earlier_run(world, anna: TestClient) -> None:
    first = world.start("quick")
    second = world.engine.start("quick", subject="acme", input={"slug": "acme"}, again=True)
    second.wait(timeout=10)
    other = world.start("quick", "other")

    assert anna.get(f"{ACME}/timeline").json()["run_id"] == second.id
    assert anna.get(f"{ACME}/timeline?run_id={first.id}").json()["run_id"] == first.id
    assert anna.get(f"{ACME}/timeline?run_id={other.id}").status_code == 404


def test_an_unknown_form_of_the_timeline_is_refused(world, anna: TestClient) -> None:
    world.start("quick")

    assert anna.get(f"{ACME}/timeline?format=mermaid").status_code == 422


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("image/svg+xml", "image/svg+xml"),
        ("image/avif,image/svg+xml,image/*,*/*;q=0.8", "image/svg+xml"),
        ("image/svg+xml;q=0.5,application/json", "application/json"),
    ],
)
@pytest.mark.parametrize("name", ["graph", "timeline"])
def test_without_a_form_the_accept_header_chooses(world, anna: TestClient, name: str, accepted: str | None, kind: str) -> None:
    world.start("quick")
    answer = anna.get(f"{ACME}/{name}", headers={} if accepted is None else {"Accept": accepted})
    named = anna.get(f"{ACME}/{name}?format=json", headers={"Accept": "image/svg+xml"})

    assert (answer.headers["content-type"].partition(";")[0], answer.headers["vary"]) == (kind, "Accept")
    assert named.headers["content-type"] == "application/json"
