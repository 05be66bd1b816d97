"""All that can be told of one step: its attempts, its error, what it recorded outside, its output, and what it is declared to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from provisioning_core.model import Node, PlanGraph, Timeline, span
from provisioning_http._answers import StatusBody


def step_detail(graph: PlanGraph, timeline: Timeline, body: StatusBody, name: str, *, now: datetime) -> dict[str, Any]:
    """For the template."""
    node = graph.nodes[graph.index[name]]
    behind = [graph.nodes[position].name for position in graph.dependents_of[graph.index[name]]]
    bars = [bar for bar in timeline.bars if bar.step == name]
    return {
        "step": body.steps[name],
        "node": node,
        "traits": _traits(node),
        "needs": node.needs,
        "needed_by": behind,
        "bars": [
            {
                "what": bar.what,
                "began": bar.started_at,
                "took": span(((bar.finished_at or now) - bar.started_at).total_seconds()),
                "outcome": bar.result,
                "is_bad": bar.is_bad,
                "message": bar.message,
            }
            for bar in bars
        ],
    }


def worked(timeline: Timeline) -> dict[str, tuple[datetime, datetime | None]]:
    """For each step how long its attempts took in all, as if they had been one: from, and until; None while one is under way."""
    found: dict[str, tuple[datetime, datetime | None]] = {}
    for bar in timeline.bars:
        if bar.kind == "attempt":
            before = _length(found.get(bar.step))
            found[bar.step] = (bar.started_at - before, bar.finished_at)
    return found


def _length(stretch: tuple[datetime, datetime | None] | None) -> timedelta:
    return timedelta() if stretch is None or stretch[1] is None else stretch[1] - stretch[0]


def _traits(node: Node) -> list[str]:
    """What was declared, in words."""
    undo = "can be undone" if node.has_compensation else "can't be undone" if node.irreversible else "leaves nothing to undo"
    attempts = f"up to {node.retry.attempts} attempts" if node.retry.attempts > 1 else ""
    known = (
        (node.is_gate, "waits for a signal"),
        (bool(attempts), attempts),
        (node.timeout is not None, f"at most {span(node.timeout or 0)}"),
        (node.optional, "optional: its failure does not stop the run"),
        (node.conditional, "only under a condition"),
        (node.transactional, "commits together with its record"),
        (node.limit is not None, f"shares the limit {node.limit}"),
        (not node.is_gate, undo),
        (node.retired, "no longer in the code"),
    )
    return [word for holds, word in known if holds]
