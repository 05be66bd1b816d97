"""What a run would do, found out from the graph alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from provisioning_core.model._graph import Node, PlanGraph
from provisioning_core.model._views import Preview, StepPreview


def preview_of(graph: PlanGraph, skipped: Collection[str], durations: Mapping[str, float]) -> Preview:
    """``skipped``: steps whose condition is false; those that can't run without them are found here."""
    reasons = _skip_reasons(graph, skipped)
    steps = {node.name: _step(node, reasons.get(node.name, ""), durations.get(node.name)) for node in graph.nodes}
    running = graph.with_nodes(_without(graph, reasons))
    return Preview(
        plan=graph.plan,
        version=graph.version,
        on_failure=graph.on_failure,
        layers=tuple(tuple(layer) for layer in graph.layers()),
        steps=steps,
        critical_path=tuple(running.critical_path(durations)),
    )


def _skip_reasons(graph: PlanGraph, skipped: Collection[str]) -> dict[str, str]:
    """Nodes stand in topological order, so one pass sees all that follows."""
    reasons: dict[str, str] = {}
    for node in graph.nodes:
        missing = [need for need in node.needs if need in reasons and need not in node.tolerates]
        if node.name in skipped:
            reasons[node.name] = "its condition is false"
        elif missing:
            reasons[node.name] = f"it needs the output of {', '.join(missing)}"
    return reasons


def _without(graph: PlanGraph, reasons: Mapping[str, str]) -> list[Node]:
    return [
        replace(node, needs=tuple(need for need in node.needs if need not in reasons))
        for node in graph.nodes
        if node.name not in reasons
    ]


def _step(node: Node, skipped: str, seconds: float | None) -> StepPreview:
    undo = "compensation" if node.has_compensation else "irreversible" if node.irreversible else "nothing"
    return StepPreview(
        name=node.name,
        kind=node.kind,
        needs=node.needs,
        skipped=skipped,
        undo=undo,
        expected_seconds=seconds,
        optional=node.optional,
        description=node.description,
    )
