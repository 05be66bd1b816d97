"""Starting from the page: choose a tenant and a plan, then fill in the plan's input."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Response

from provisioning_core import Conflict, InvalidInput, NotFound, Plan, RunView
from provisioning_http._call import Allowed, Call
from provisioning_http._csrf import posted_form
from provisioning_http._masking import sent_texts, without
from provisioning_http._problems import Refused
from provisioning_http._requests import is_name
from provisioning_http.ui._input_form import fields_of, value_of
from provisioning_http.ui._pages import page, redirect
from provisioning_http.ui._paths import Paths
from provisioning_http.ui._run_page import Shown


async def choose_page(call: Allowed, tenant: Shown = None, plan: Shown = None) -> Response:
    """Which tenant, and by which plan. Leads to that tenant's own page, which asks whether this person may start it."""
    paths = Paths(call.links.root)
    if tenant and is_name(tenant) and plan in call.engine.plans:
        return redirect(paths.start(tenant, plan))
    fault = "A tenant's name has 1 to 200 signs, none of them a control character." if tenant is not None else ""
    shown = {"plans": list(call.engine.plans.values()), "tenant": tenant or "", "plan": plan or "", "fault": fault}
    return page(call, "choose.html", is_fleet=True, status=422 if fault else 200, **shown)


async def tenant_page(call: Allowed, step: Shown = None) -> Response:
    """The tenant's latest run, and in it this step; without a run, the plans that it can be started by."""
    view = await call.asks(lambda: _latest(call))
    if view is not None:
        return redirect(Paths(call.links.root).run(view.id, step=step))
    may_start = await call.face.doorkeeper.would_admit(call.request, call.tenant_id, "start")
    may_list = await call.face.doorkeeper.would_admit(call.request, None, "admin")
    plans = list(call.engine.plans.values()) if may_start else []
    return page(call, "tenant.html", is_fleet=may_list, tenant_id=call.tenant_id, plans=plans)


def _latest(call: Call) -> RunView | None:
    try:
        return call.engine.status(call.tenant_id)
    except NotFound:
        return None


async def start_page(call: Allowed, plan: Shown = None) -> Response:
    """The plan's input, to be filled in."""
    chosen = call.engine.plan(plan or "")
    return await _page(call, chosen)


async def start(call: Allowed) -> Response:
    """Start it; then to the run's page."""
    fields = await posted_form(call.request)
    chosen = call.engine.plan(fields.get("plan", ""))
    secret = [value for name, value in fields.items() if name.startswith("input.")]
    call.request.state.provisioning_sent = secret
    try:
        run = await call.asks(lambda: _start(call, chosen, fields))
    except InvalidInput as error:
        return await _page(call, chosen, fields, without(sent_texts(secret), _told(error)), status=422)
    except (Conflict, Refused) as error:
        told = error.problem.detail if isinstance(error, Refused) else f"{error.message} {error.hint}"
        return await _page(call, chosen, fields, told, status=409)
    return redirect(Paths(call.links.root).run(run))


def _start(call: Call, plan: Plan, fields: Mapping[str, str]) -> str:
    reason = fields.get("reason", "").strip() or None
    given = value_of(plan.input_schema, fields)
    again = fields.get("again") == "yes"
    return call.engine.start(plan, subject=call.tenant_id, input=given, again=again, actor=call.actor, reason=reason).id


def _told(error: InvalidInput) -> str:
    faults = "; ".join(f"{'.'.join(map(str, each.get('loc', ())))}: {each.get('msg', '')}" for each in error.errors)
    return f"{error.message} {faults}".strip()


async def _page(call: Call, plan: Plan, fields: Mapping[str, str] | None = None, fault: str = "", *, status: int = 200) -> Response:
    may_list = await call.face.doorkeeper.would_admit(call.request, None, "admin")
    return page(
        call,
        "start.html",
        status=status,
        is_fleet=may_list,
        tenant_id=call.tenant_id,
        plan=plan,
        inputs=fields_of(plan.input_schema, fields),
        reason=(fields or {}).get("reason", ""),
        is_again=(fields or {}).get("again") == "yes",
        fault=fault,
    )
