"""The fleet's pages: all runs with counts as filters, the plans, and one plan."""

from __future__ import annotations

from typing import Any

from fastapi import Response

from provisioning_core import Plan, Preview, RunStatus
from provisioning_http._call import Allowed
from provisioning_http._rendering import IN_PROGRESS, plan_body, runs_body
from provisioning_http._requests import Cursor, PlanName, QueryName, Statuses
from provisioning_http.ui._folding import LARGEST, fold, part_of
from provisioning_http.ui._graph_picture import Looks, draw
from provisioning_http.ui._marks import RUN_MARKS
from provisioning_http.ui._pages import page
from provisioning_http.ui._paths import Paths
from provisioning_http.ui._run_page import Shown

_PAGE = 50
NEEDS_PERSON = (RunStatus.WAITING, RunStatus.PAUSED, RunStatus.FAILED, RunStatus.ROLLBACK_FAILED)


async def runs_page(
    call: Allowed,
    status: Statuses,
    plan: QueryName = None,
    tenant: QueryName = None,
    cursor: Cursor = None,
    refresh: Shown = None,
) -> Response:
    """Runs, newest first."""
    states = [state for word in status for state in (map(str, IN_PROGRESS) if word == "IN_PROGRESS" else [word])]
    found = await call.asks(lambda: call.engine.runs(status=states or None, plan=plan, subject=tenant, cursor=cursor, limit=_PAGE))
    counts = await call.asks(call.engine.counts)
    paths = Paths(call.links.root)
    older = found.next_cursor
    asked = ",".join(status)
    return page(
        call,
        "runs.html",
        is_fleet=True,
        runs=runs_body(found, call.links).items,
        chips=_chips(counts, asked, plan, tenant, paths),
        asked={"status": asked, "plan": plan or "", "tenant": tenant or "", "cursor": cursor},
        plans=list(call.engine.plans),
        older=paths.runs(status=asked, plan=plan, tenant=tenant, cursor=older) if older else "",
        newest=paths.runs(status=asked, plan=plan, tenant=tenant),
        live=True,
        refresh=None if refresh == "off" or cursor else 10,
        stop_refresh=paths.runs(status=asked, plan=plan, tenant=tenant, refresh="off"),
    )


def _chips(counts: Any, asked: str, plan: str | None, tenant: str | None, paths: Paths) -> list[dict[str, Any]]:
    needs = ",".join(NEEDS_PERSON)
    total = sum(counts.values())
    waiting = sum(counts.get(status, 0) for status in NEEDS_PERSON)
    rows: list[tuple[Any, str, int, str]] = [(None, "all", total, ""), (None, "need a person", waiting, needs)]
    rows += [(RUN_MARKS[each], RUN_MARKS[each].word, counts.get(each, 0), str(each)) for each in RunStatus]
    return [
        {
            "mark": mark,
            "word": word,
            "count": count,
            "href": paths.runs(status=value, plan=plan, tenant=tenant),
            "is_chosen": value == asked,
        }
        for mark, word, count, value in rows
        if count or value in ("", asked)
    ]


async def plans_page(call: Allowed) -> Response:
    """All plans that can be started."""
    return page(call, "plans.html", is_fleet=True, plans=list(call.engine.plans.values()))


async def plan_page(call: Allowed, name: PlanName, group: Shown = None) -> Response:
    """One plan: what it does, how long it took before, what can be undone."""
    shown = await call.asks(lambda: _shown(call.engine.plan(name), call.engine.preview(name), Paths(call.links.root), group))
    return page(call, "plan.html", is_fleet=True, plan=plan_body(call.engine.plan(name), call.links), **shown)


def _shown(plan: Plan, preview: Preview, paths: Paths, group: str | None) -> dict[str, Any]:
    folded = fold(plan.graph)
    members = folded.group_of(group or "")
    looks = Looks(None, lambda name, count: paths.plan(plan.name, group=name) + "#graph" if count > 1 else "#steps")
    inner = folded if len(members) <= 1 else fold(part_of(plan.graph, members))
    steps = [preview.steps[name] for name in (members if len(members) > 1 else preview.steps)]
    known = [step.expected_seconds for step in preview.steps.values() if step.expected_seconds is not None]
    path = [preview.steps[name].expected_seconds or 0.0 for name in preview.critical_path]
    return {
        "picture": draw(inner.graph, inner.groups, looks),
        "groups": len(folded.groups) if len(plan.graph.nodes) > LARGEST else 0,
        "group": members if len(members) > 1 else (),
        "preview": preview,
        "steps": steps[: LARGEST * 10],
        "slowest": max(known, default=0.0),
        "expected": sum(path) if known else None,
    }
