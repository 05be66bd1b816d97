"""A run's graph, as data and as pictures."""

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
