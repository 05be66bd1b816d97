"""What is no single tenant's: the list of runs, and the plans."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient


@pytest.fixture
def fleet(world) -> dict[str, str]:
    """Some runs, by their tenants."""
    started = {"a": "quick", "b": "gated", "c": "broken", "d": "quick", "e": "slow"}
    return {tenant: world.start(plan, tenant).id for tenant, plan in started.items()}


def test_runs_are_listed_newest_first(fleet: dict[str, str], root: TestClient) -> None:
    body = root.get("/provisioning/runs").json()

    assert [(each["tenant_id"], each["run_id"]) for each in body["items"]] == list(reversed(fleet.items()))
    assert body["next_cursor"] is None
    assert {each["tenant_id"]: (each["status"], each["state"]) for each in body["items"] if each["tenant_id"] != "e"} == {
        "a": ("SUCCEEDED", "SUCCEEDED"),
        "b": ("WAITING", "WAITING"),
        "c": ("FAILED", "FAILED"),
        "d": ("SUCCEEDED", "SUCCEEDED"),
    }
    assert body["items"][0]["status"] == "IN_PROGRESS"


def test_links_of_a_list_lead_to_the_runs(fleet: dict[str, str], root: TestClient) -> None:
    for each in root.get("/provisioning/runs").json()["items"]:
        assert root.get(each["links"]["self"]).json()["run_id"] == each["run_id"]
        assert root.get(each["links"]["status"]).json()["tenant_id"] == each["tenant_id"]


@pytest.mark.parametrize("subject", ["a/b", "/", "..", "."])
def test_links_of_a_subject_that_no_path_can_name_lead_to_its_run(world, root: TestClient, subject: str) -> None:
    run = world.start("gated", subject)
    [listed] = root.get("/provisioning/runs").json()["items"]
    shown = root.get(listed["links"]["self"]).json()

    assert listed["links"] == shown["links"] == {"self": f"/provisioning/runs/{run.id}"}
    assert (shown["tenant_id"], shown["run_id"]) == (subject, run.id)


def test_pages_join_without_gaps(fleet: dict[str, str], root: TestClient) -> None:
    seen, cursor = [], None
    while True:
        page = root.get("/provisioning/runs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["items"]) <= 2
        seen += [each["tenant_id"] for each in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == ["e", "d", "c", "b", "a"]


@pytest.mark.parametrize(
    ("query", "tenants"),
    [
        ("status=FAILED", ["c"]),
        ("status=FAILED&status=WAITING", ["c", "b"]),
        ("status=failed,waiting", ["c", "b"]),
        ("status=FAILED&plan=&cursor=", ["c"]),
        ("status=&plan=&tenant=&cursor=", ["e", "d", "c", "b", "a"]),
        ("status=IN_PROGRESS", ["e"]),
        ("plan=quick", ["d", "a"]),
        ("plan=quick&status=FAILED", []),
        ("tenant=b", ["b"]),
        ("plan=nope", []),
    ],
)
def test_runs_are_filtered(fleet: dict[str, str], root: TestClient, query: str, tenants: list[str]) -> None:
    assert [each["tenant_id"] for each in root.get(f"/provisioning/runs?{query}").json()["items"]] == tenants


@pytest.mark.parametrize("query", ["status=BROKEN", "limit=0", "limit=201", "cursor=nonsense"])
def test_a_malformed_query_is_refused(fleet: dict[str, str], root: TestClient, query: str) -> None:
    answer = root.get(f"/provisioning/runs?{query}")

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_plans_are_listed(root: TestClient) -> None:
    items = root.get("/provisioning/plans").json()["items"]

    assert [each["name"] for each in items] == ["quick", "slow", "gated", "broken", "stalling", "telling"]
    assert items[0] == {
        "name": "quick",
        "version": "3",
        "description": "done at once",
        "links": {"self": "/provisioning/plans/quick", "graph": "/provisioning/plans/quick/graph"},
    }


def test_a_plan_tells_its_inputs_schema_and_its_steps(world, root: TestClient) -> None:
    body = root.get("/provisioning/plans/quick").json()

    assert (body["name"], body["version"], body["on_failure"]) == ("quick", "3", "finish")
    assert body["input_schema"] == world.engine.plans["quick"].input_schema
    assert list(body["steps"]) == ["database", "bucket"]
    assert body["steps"]["database"] == {
        "name": "database",
        "kind": "step",
        "needs": [],
        "description": "the tenant's own database",
        "optional": False,
        "conditional": False,
        "irreversible": False,
        "undoable": True,
        "attempts": 1,
        "timeout": None,
    }


def test_a_plan_without_input_has_no_schema(root: TestClient) -> None:
    assert root.get("/provisioning/plans/gated").json()["input_schema"] is None


def test_a_plans_graph_as_json(root: TestClient) -> None:
    body = root.get("/provisioning/plans/gated/graph").json()

    assert (body["plan"], [(node["name"], node["kind"]) for node in body["nodes"]]) == (
        "gated",
        [("approval", "gate"), ("after", "step")],
    )
    assert body["edges"] == [{"source": "approval", "target": "after"}]


def test_a_plans_graph_as_a_picture(world, root: TestClient) -> None:
    plan = world.engine.plans["quick"]
    drawn = {form: root.get(f"/provisioning/plans/quick/graph?format={form}").text for form in ("mermaid", "dot", "svg", "text")}

    assert drawn == {"mermaid": plan.to_mermaid(), "dot": plan.to_dot(), "svg": plan.to_svg(), "text": plan.to_text()}


def test_an_unknown_plan_is_a_404(root: TestClient) -> None:
    for path in ("nope", "nope/graph"):
        answer = root.get(f"/provisioning/plans/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "plan_not_found")
