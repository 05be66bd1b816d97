"""The page's table of routes, each with what it is about and the action that its caller must be allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends, Request

from provisioning_http._auth import Action
from provisioning_http._call import Face, Scope, guard
from provisioning_http._links import Links
from provisioning_http.ui import _acting, _lists, _run_page, _starting
from provisioning_http.ui._pages import PageRoute, asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One row of the table."""

    name: str
    path: str
    endpoint: Callable[..., Any]
    scope: Scope
    action: Action
    method: str = "GET"


_RUN = "/ui/runs/{run_id}"
_START = "/ui/tenants/{tenant_id}/start"
PAGES = (
    Page(name="ui_runs", path="/ui", endpoint=_lists.runs_page, scope="fleet", action="admin"),
    Page(name="ui_plans", path="/ui/plans", endpoint=_lists.plans_page, scope="fleet", action="admin"),
    Page(name="ui_plan", path="/ui/plans/{name}", endpoint=_lists.plan_page, scope="fleet", action="admin"),
    Page(name="ui_choose", path="/ui/start", endpoint=_starting.choose_page, scope="fleet", action="admin"),
    Page(name="ui_tenant", path="/ui/tenants/{tenant_id}", endpoint=_starting.tenant_page, scope="tenant", action="read"),
    Page(name="ui_start_form", path=_START, endpoint=_starting.start_page, scope="tenant", action="start"),
    Page(name="ui_start", path=_START, endpoint=_starting.start, scope="tenant", action="start", method="POST"),
    Page(name="ui_run", path=_RUN, endpoint=_run_page.run_page, scope="run", action="read"),
    Page(name="ui_act_form", path=f"{_RUN}/{{verb}}", endpoint=_acting.act_page, scope="run", action="operate"),
    Page(name="ui_act", path=f"{_RUN}/{{verb}}", endpoint=_acting.act, scope="run", action="operate", method="POST"),
)


def add_pages(router: APIRouter, face: Face) -> None:
    """Add the pages to the router, each behind its guard, and what they look like, which is behind none."""
    for each in PAGES:
        _add(router, each, face)
    router.add_api_route(
        "/ui/assets/{name}",
        asset,
        methods=["GET"],
        name=_unique(router, "ui_asset"),
        include_in_schema=False,
        route_class_override=PageRoute,
    )


def _add(router: APIRouter, page: Page, face: Face) -> None:
    router.add_api_route(
        page.path,
        page.endpoint,
        methods=[page.method],
        name=_unique(router, page.name),
        dependencies=[_placed(page.path), guard(face, page.scope, page.action, page.path)],
        include_in_schema=False,
        response_model=None,
        route_class_override=PageRoute,
    )


def _placed(route: str) -> Any:
    """Notes where the router is mounted, so that an error's page finds its stylesheet, too."""

    async def note(request: Request) -> None:
        request.state.provisioning_root = Links.of(request, route).root

    return Depends(note)


def _unique(router: APIRouter, name: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9]+', '_', router.prefix).strip('_') or 'provisioning'}_{name}"
