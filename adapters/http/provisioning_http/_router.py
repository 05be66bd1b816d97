"""The router: a table of routes, each with the action that its caller must be allowed. A route without one can't be written down."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from provisioning_core import Engine
from provisioning_http import _commands, _fleet, _reads
from provisioning_http import _requests as r
from provisioning_http._answers import EventsBody, GraphBody, PlanBody, PlanGraphBody, PlansBody, RunsBody, StatusBody
from provisioning_http._auth import Action, Authorize, Doorkeeper
from provisioning_http._call import Face, Scope, guard
from provisioning_http._lifespan import opened
from provisioning_http._openapi import idempotency_header, problems, request_body, status_headers
from provisioning_http._polls import Polls
from provisioning_http._problems import ProblemRoute

_READ_PROBLEMS = (401, 404, 422, 500, 503)
_VERB_PROBLEMS = (400, 401, 404, 409, 413, 415, 422, 500, 503)
_FLEET_PROBLEMS = (401, 403, 422, 500, 503)
_PICTURES = ("text/plain", "text/vnd.graphviz", "image/svg+xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One row of the table."""

    name: str
    path: str
    endpoint: Callable[..., Any]
    scope: Scope
    action: Action
    answers: type[BaseModel]
    body: type[BaseModel] | None = None
    problems: tuple[int, ...] = _READ_PROBLEMS
    pictures: bool = False

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


def _verb(name: str, endpoint: Callable[..., Any], body: type[BaseModel], *, path: str = "", action: Action = "operate") -> Route:
    where = f"/tenants/{{tenant_id}}/{path or name}"
    return Route(
        name=name,
        path=where,
        endpoint=endpoint,
        scope="tenant",
        action=action,
        answers=StatusBody,
        body=body,
        problems=_VERB_PROBLEMS,
    )


def _read(name: str, endpoint: Callable[..., Any], answers: type[BaseModel], **more: Any) -> Route:
    where = f"/tenants/{{tenant_id}}/{name}"
    return Route(name=name, path=where, endpoint=endpoint, scope="tenant", action="read", answers=answers, **more)


def _list(name: str, path: str, endpoint: Callable[..., Any], answers: type[BaseModel], **more: Any) -> Route:
    more = {"problems": _FLEET_PROBLEMS} | more
    return Route(name=name, path=path, endpoint=endpoint, scope="fleet", action="admin", answers=answers, **more)


ROUTES = (
    _verb("start", _commands.start, r.StartBody, action="start"),
    _verb("retry", _commands.retry, r.RetryBody),
    _verb("continue", _commands.continue_, r.ReasonBody),
    _verb("rollback", _commands.rollback, r.RollbackBody),
    _verb("cancel", _commands.cancel, r.CancelBody),
    _verb("pause", _commands.pause, r.ReasonBody),
    _verb("deprovision", _commands.deprovision, r.ReasonBody),
    _verb("adopt_plan", _commands.adopt_plan, r.ReasonBody, path="adopt-plan"),
    _verb("signal", _commands.signal, r.SignalBody, path="signals/{step}"),
    _verb("skip", _commands.skip, r.SkipBody, path="steps/{step}/skip"),
    _verb("resolve", _commands.resolve, r.ResolveBody, path="steps/{step}/resolve"),
    _read("status", _reads.status, StatusBody),
    _read("events", _reads.events, EventsBody, problems=(*_READ_PROBLEMS, 406)),
    _read("graph", _reads.graph, GraphBody, pictures=True),
    _list("runs", "/runs", _fleet.runs, RunsBody),
    Route(name="run", path="/runs/{run_id}", endpoint=_reads.run_status, scope="run", action="read", answers=StatusBody),
    _list("plans", "/plans", _fleet.plans, PlansBody),
    _list("plan", "/plans/{name}", _fleet.plan, PlanBody, problems=(*_FLEET_PROBLEMS, 404)),
    _list("plan_graph", "/plans/{name}/graph", _fleet.plan_graph, PlanGraphBody, problems=(*_FLEET_PROBLEMS, 404), pictures=True),
)


def create_router(engine: Engine, *, authorize: Authorize, prefix: str = "/provisioning") -> APIRouter:
    """A router for a product's own app: ``app.include_router(create_router(engine, authorize=...))``.

    ``authorize(request, tenant_id, action)`` is asked for every call, see :data:`Authorize`. All errors are answered by the router
    itself, so the app's exception handlers stay as they are. Several routers, with prefixes of their own, live in one app. The
    engine is opened when the app begins; closing it is left to its owner.
    """
    if not callable(authorize):
        raise TypeError("create_router needs authorize=: a function (request, tenant_id, action) that says who may do what.")
    face = Face(engine=engine, doorkeeper=Doorkeeper(authorize), polls=Polls(engine))
    router = APIRouter(prefix=prefix, route_class=ProblemRoute, tags=["provisioning"], lifespan=opened(engine))
    for route in ROUTES:
        _add(router, route, face)
    return router


def _add(router: APIRouter, route: Route, face: Face) -> None:
    unique = f"{re.sub(r'[^A-Za-z0-9]+', '_', router.prefix).strip('_') or 'provisioning'}_{route.name}"
    router.add_api_route(
        route.path,
        route.endpoint,
        methods=[route.method],
        name=unique,
        operation_id=unique,
        summary=route.name.replace("_", " ").capitalize(),
        dependencies=[guard(face, route.scope, route.action, route.path)],
        status_code=200 if route.body is None else 202,
        response_model=route.answers,
        responses=_responses(route),
        openapi_extra=_extra(route),
    )


def _responses(route: Route) -> dict[int | str, dict[str, Any]]:
    found = problems(*route.problems)
    if route.body is not None:
        found[202] = {"description": "Recorded. The run as it is now.", "headers": status_headers()}
    if route.answers is StatusBody and route.body is None:
        found[304] = {"description": "Nothing has changed since the answer with that ETag."}
    if route.pictures:
        found[200] = {"content": {kind: {"schema": {"type": "string"}} for kind in _PICTURES}}
    return found


def _extra(route: Route) -> dict[str, Any] | None:
    if route.body is None:
        return None
    extra = request_body(route.body)
    return extra | {"parameters": [idempotency_header()]} if route.name == "start" else extra
