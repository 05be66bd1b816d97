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
from provisioning_http import _openapi as described
from provisioning_http import _requests as r
from provisioning_http._answers import (
    EventsBody,
    GraphBody,
    PlanBody,
    PlanGraphBody,
    PlansBody,
    RunsBody,
    StatusBody,
    TicketAnswer,
    TimelineBody,
)
from provisioning_http._auth import Action, Authorize, Doorkeeper
from provisioning_http._call import Face, Scope, guard
from provisioning_http._lifespan import opened
from provisioning_http._limits import Limits
from provisioning_http._problems import ProblemRoute
from provisioning_http._stop import Stop
from provisioning_http._webhook_routes import add_webhooks
from provisioning_http.ui import add_pages

_READ_PROBLEMS = (401, 404, 422, 429, 500, 503)
_VERB_PROBLEMS = (400, 401, 403, 404, 409, 412, 413, 415, 422, 429, 500, 503)
_TICKET_PROBLEMS = (400, 401, 403, 404, 413, 415, 422, 429, 500, 503)
_FLEET_PROBLEMS = (401, 403, 422, 429, 500, 503)
_PICTURES = ("text/plain", "image/svg+xml")
_GRAPHS = (*_PICTURES, "text/vnd.graphviz")


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
    pictures: tuple[str, ...] = ()
    """Media types that it can be had in besides JSON."""
    status: int = 200

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def shows_a_run(self) -> bool:
        """Whether it reads a run's status, which has an ETag."""
        return self.answers is StatusBody and self.body is None


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
        status=202,
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
    Route(
        name="events",
        path="/tenants/{tenant_id}/events",
        endpoint=_reads.events,
        scope="stream",
        action="read",
        answers=EventsBody,
        problems=(*_READ_PROBLEMS, 406),
    ),
    Route(
        name="ticket",
        path="/tenants/{tenant_id}/events/ticket",
        endpoint=_reads.ticket,
        scope="tenant",
        action="read",
        answers=TicketAnswer,
        body=r.TicketBody,
        problems=_TICKET_PROBLEMS,
        status=201,
    ),
    _read("graph", _reads.graph, GraphBody, pictures=_GRAPHS),
    _read("timeline", _reads.timeline, TimelineBody, pictures=_PICTURES),
    _list("runs", "/runs", _fleet.runs, RunsBody),
    Route(name="run", path="/runs/{run_id}", endpoint=_reads.run_status, scope="run", action="read", answers=StatusBody),
    _list("plans", "/plans", _fleet.plans, PlansBody),
    _list("plan", "/plans/{name}", _fleet.plan, PlanBody, problems=(*_FLEET_PROBLEMS, 404)),
    _list("plan_graph", "/plans/{name}/graph", _fleet.plan_graph, PlanGraphBody, problems=(*_FLEET_PROBLEMS, 404), pictures=_GRAPHS),
)


def create_router(
    engine: Engine,
    *,
    authorize: Authorize,
    prefix: str = "/provisioning",
    limits: Limits | None = None,
    stop: Stop | None = None,
) -> APIRouter:
    """A router for a product's own app: ``app.include_router(create_router(engine, authorize=...))``.

    ``authorize(request, tenant_id, action)`` is asked for every call, see :data:`Authorize`; one that can't be asked is a TypeError.
    All errors of a path that it serves, a wrong method among them, are answered by the router itself, so the app's exception handlers
    stay as they are; a path that it does not serve is the app's 404, or its redirect of a trailing slash. Several routers, with
    prefixes of their own, live in one app. The engine is opened when the app begins; closing it is left to its owner. ``limits``: how
    much is taken at the door. ``stop`` ends the streams; SIGTERM and SIGINT set it where the server runs in the main thread.
    """
    if not callable(authorize):
        raise TypeError("create_router needs authorize=: a function (request, tenant_id, action) that says who may do what.")
    stop = stop or Stop()
    face = Face.of(engine, Doorkeeper(authorize), limits or Limits(), stop)
    router = APIRouter(prefix=prefix, route_class=ProblemRoute, tags=["provisioning"], lifespan=opened(engine, stop))
    for route in ROUTES:
        _add(router, route, face)
    add_webhooks(router, face)
    add_pages(router, face)
    return router


def _add(router: APIRouter, route: Route, face: Face) -> None:
    prefix = re.sub(r"[^A-Za-z0-9]+", "_", router.prefix).strip("_") or "provisioning"
    unique = f"{prefix}_{route.name}"
    router.add_api_route(
        route.path,
        route.endpoint,
        methods=[route.method],
        name=unique,
        operation_id=unique,
        summary=route.name.replace("_", " ").capitalize(),
        dependencies=[guard(face, route.scope, route.action, route.path)],
        status_code=route.status,
        response_model=route.answers,
        responses=_responses(route, prefix),
        openapi_extra=_extra(route),
    )


def _responses(route: Route, prefix: str) -> dict[int | str, dict[str, Any]]:
    found = described.problems(*route.problems)
    success = found[route.status] = described.answered(route.answers)
    if route.status == 202:
        success |= {"description": "Recorded. The run as it is now.", "headers": described.accepted_headers()}
    if route.shows_a_run:
        success |= {"headers": described.etag_header()}
        found[304] = {"description": "Nothing has changed since the answer with that ETag."}
    if route.answers is StatusBody:
        success["links"] = described.links(prefix)
    if route.pictures:
        success["content"] = success.get("content", {}) | described.pictures(route.pictures)
    if route.scope == "stream":
        success["content"] = success.get("content", {}) | described.stream()
    return found


def _extra(route: Route) -> dict[str, Any]:
    extra = {} if route.body is None else described.request_body(route.body)
    parameters = [
        *([described.idempotency_header()] if route.name == "start" else []),
        *([described.if_match_header()] if route.status == 202 else []),
        *([described.if_none_match_header()] if route.shows_a_run else []),
        *([described.last_event_id_header()] if route.scope == "stream" else []),
    ]
    return extra | ({"parameters": parameters} if parameters else {})
