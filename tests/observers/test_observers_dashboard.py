"""The page, the dashboard and the alert rules name exactly what is exported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioning_core import Engine
from provisioning_core.observers.metrics import Metrics
from provisioning_core.stores import MemoryStore

DOCS = Path(__file__).parents[2] / "docs"
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}
LABELS_OF_SCRAPES = {"job", "instance", "le"}


@pytest.fixture(scope="module")
def exported() -> dict[str, tuple[str, set[str]]]:
    """Of each metric its kind and its labels, by the name that the page has."""
    metrics = Metrics(webhook_backlog=lambda: 0)
    with Engine(store=MemoryStore(), plans=[]) as engine:
        metrics.watch(engine)
        return {name: (kind, labels) for name, kind, labels in _families(metrics)}


def _families(metrics: Metrics) -> Iterator[tuple[str, str, set[str]]]:
    labelled = {
        family._name: set(family._labelnames)
        for family in vars(metrics._counted).values()  # those that have no samples yet
    }
    for family in metrics.registry.collect():
        labels = labelled.get(family.name, {label for sample in family.samples for label in sample.labels} - {"le"})
        yield family.name + ("_total" if family.type == "counter" else ""), family.type, labels


def _asked(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric in an expression, with the labels by which it is selected."""
    for name, selectors in re.findall(r"\b(provisioning_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*=~?\s*\"", selectors))


def _grouped(expression: str) -> set[str]:
    return {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}


def _faults(expression: str, exported: dict[str, tuple[str, set[str]]]) -> list[str]:
    samples = {name.removesuffix("_total") + end: labels for name, (kind, labels) in exported.items() for end in SUFFIXES[kind]}
    asked = list(_asked(expression))
    faults = [f"no metric {name}" for name, _ in asked if name not in samples]
    known = [(name, labels) for name, labels in asked if name in samples]
    faults += [f"{name} has no label {label}" for name, labels in known for label in labels - samples[name] - LABELS_OF_SCRAPES]
    common = set.intersection(*(samples[name] for name, _ in known)) if known else set()
    return faults + [f"nothing to group by {label}: {expression}" for label in _grouped(expression) - common - LABELS_OF_SCRAPES]


def _dashboard() -> Any:
    return json.loads((DOCS / "grafana" / "provisioning.json").read_text("utf-8"))


def _expressions() -> list[str]:
    return [target["expr"] for panel in _dashboard()["panels"] for target in panel.get("targets", [])]


def test_the_page_explains_what_is_exported_and_nothing_else(exported: dict[str, tuple[str, set[str]]]) -> None:
    rows = re.findall(r"^\| `(provisioning_\w+)` \| (\w+) \|([^|]*)\|", (DOCS / "observability.md").read_text("utf-8"), re.M)
    explained = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert explained == exported


def test_the_dashboard_asks_for_what_there_is(exported: dict[str, tuple[str, set[str]]]) -> None:
    expressions = _expressions()
    assert [fault for expression in expressions for fault in _faults(expression, exported)] == []
    shown = " ".join(expressions)
    assert [name for name in exported if name not in shown] == []


def test_the_dashboards_variables_are_asked_of_what_there_is(exported: dict[str, tuple[str, set[str]]]) -> None:
    queries = [each["query"]["query"] for each in _dashboard()["templating"]["list"] if isinstance(each["query"], dict)]
    names = [re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups() for query in queries]  # type: ignore[union-attr]
    assert names == [("provisioning_engines_working", "job"), ("provisioning_runs_started_total", "plan")]
    assert all(name in exported for name, _ in names)


def test_the_dashboards_panels_lie_beside_each_other() -> None:
    places = [panel["gridPos"] for panel in _dashboard()["panels"]]
    cells = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in _dashboard()["panels"]}) == len(places)


def test_the_alerts_ask_for_what_there_is_and_say_what_to_do(exported: dict[str, tuple[str, set[str]]]) -> None:
    text = (DOCS / "grafana" / "alerts.yml").read_text("utf-8")
    rules = text.split("- alert: ")[1:]
    expressions = [rule.partition("expr: ")[2].partition("labels:")[0] for rule in rules]
    assert [fault for expression in expressions for fault in _faults(expression, exported)] == []
    assert len(rules) >= 8
    assert all("action: " in rule and "summary: " in rule for rule in rules)


def test_a_wrong_name_or_label_would_be_found(exported: dict[str, tuple[str, set[str]]]) -> None:
    assert _faults('max(provisioning_runs{state="FAILED"})', exported) == ["provisioning_runs has no label state"]
    assert _faults("sum(provisioning_steps_waiting)", exported) == ["no metric provisioning_steps_waiting"]
    assert len(_faults("sum by (step) (provisioning_runs)", exported)) == 1
