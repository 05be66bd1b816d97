"""What is no single tenant's: all runs, and the plans."""

from __future__ import annotations

from fastapi import Response

from provisioning_core import Plan
from provisioning_http._answers import PlansBody
from provisioning_http._call import Allowed, answer
from provisioning_http._reads import BY_ACCEPT, form_by_accept, picture
from provisioning_http._rendering import IN_PROGRESS, plan_body, plan_graph_body, plan_line, runs_body
from provisioning_http._requests import AskedFormat, Cursor, Format, Limit, PlanName, QueryName, Statuses


async def runs(
    call: Allowed,
    status: Statuses,
    plan: QueryName = None,
    tenant: QueryName = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Runs, newest first."""
    states = [state for word in status for state in (map(str, IN_PROGRESS) if word == "IN_PROGRESS" else [word])]
    page = await call.asks(
        lambda: call.engine.runs(status=states or None, plan=plan, subject=tenant, cursor=cursor, limit=limit),
    )
    return answer(runs_body(page, call.links))


async def plans(call: Allowed) -> Response:
    """All plans that can be started."""
    return answer(PlansBody(items=[plan_line(plan, call.links) for plan in call.engine.plans.values()]))


async def plan(call: Allowed, name: PlanName) -> Response:
    """One plan: its input's schema and its steps."""
    return answer(plan_body(call.engine.plan(name), call.links))


async def plan_graph(call: Allowed, name: PlanName, form: AskedFormat = None) -> Response:
    """A plan's graph."""
    found = call.engine.plan(name)
    wanted = form or form_by_accept(call)
    if wanted == "json":
        return answer(plan_graph_body(found), headers=BY_ACCEPT)
    return picture(await call.asks(lambda: _draw(found, wanted)), wanted)


def _draw(plan: Plan, form: Format) -> str:
    match form:
        case "mermaid":
            return plan.to_mermaid()
        case "dot":
            return plan.to_dot()
        case "svg":
            return plan.to_svg()
        case _:
            return plan.to_text()
