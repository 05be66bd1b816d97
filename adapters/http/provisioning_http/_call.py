"""One call: who makes it, on what, and how it is answered. The guards make it, after they asked whether it is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypedDict, TypeVar

from fastapi import Depends, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from provisioning_core import Engine, InvalidInput, NotFound, Run, RunView
from provisioning_http._auth import Action, Doorkeeper, actor_of
from provisioning_http._csrf import refuse_foreign
from provisioning_http._feed import Feed
from provisioning_http._headers import SAFE
from provisioning_http._limits import Limits
from provisioning_http._links import Links
from provisioning_http._matching import etag, has_condition, require_match
from provisioning_http._places import Places
from provisioning_http._polls import Polls
from provisioning_http._problems import Refused, not_here
from provisioning_http._rate import Rate
from provisioning_http._rendering import status_body
from provisioning_http._requests import RunId, TenantId, TicketText, is_name
from provisioning_http._stop import Stop
from provisioning_http._tickets import Ticket, Tickets

Scope = Literal["tenant", "stream", "run", "fleet"]
"""Whose object a route is about: a tenant's named in the path (``stream``: a ticket lets in, too), the one of a run's tenant, or
nobody's."""
_T = TypeVar("_T")


class HasReason(Protocol):
    """A verb's body."""

    @property
    def reason(self) -> str | None: ...


class Signature(TypedDict):
    """Who and why, for the history."""

    actor: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What one router works with."""

    engine: Engine
    doorkeeper: Doorkeeper
    limits: Limits
    stop: Stop
    feed: Feed
    polls: Polls
    places: Places
    rate: Rate
    tickets: Tickets

    @classmethod
    def of(cls, engine: Engine, doorkeeper: Doorkeeper, limits: Limits, stop: Stop) -> Face:
        feed = Feed(engine)
        return cls(
            engine=engine,
            doorkeeper=doorkeeper,
            limits=limits,
            stop=stop,
            feed=feed,
            polls=Polls(engine, feed, stop, limits.polls),
            places=Places(limits.streams, limits.streams_per_principal),
            rate=Rate(limits.calls_per_second, limits.burst),
            tickets=Tickets(),
        )


@dataclass(frozen=True, slots=True)
class Call:
    """An allowed call."""

    face: Face
    request: Request
    links: Links
    action: Action
    tenant_id: str = ""
    actor: str | None = None
    view: RunView | None = None
    """The run as it was looked up to find its tenant."""
    ticket: Ticket | None = None
    """What let it in, if it was not ``authorize``."""

    @property
    def engine(self) -> Engine:
        return self.face.engine

    def signed(self, body: HasReason) -> Signature:
        """What goes with a verb into the history."""
        return {"actor": self.actor, "reason": body.reason}

    async def is_operator(self) -> bool:
        """Whether the caller may see what is for operators."""
        if self.ticket is not None:
            return self.ticket.is_operator
        if self.action == "operate":
            return True
        return await self.face.doorkeeper.would_admit(self.request, self.tenant_id, "operate")

    async def asks(self, question: Callable[[], _T]) -> _T:
        """What the engine answers, asked in a thread: it may wait for the database for some milliseconds."""
        return await run_in_threadpool(question)

    async def accepted(self, verb: Callable[[], Run]) -> Response:
        """202 with the run as it is now. It was recorded before this answers, and no step was waited for.

        Raises Refused (412) when the caller set a condition that the run does not meet any more.
        """
        if has_condition(self.request):
            require_match(self.request, await self.latest())
        view = await self.asks(lambda: verb().view())
        headers = {"Location": self.links.status(self.tenant_id), "Retry-After": "1"}
        return self.shows(view, is_operator=await self.is_operator(), status=202, headers=headers)

    async def latest(self) -> RunView | None:
        """The tenant's latest run, if it has one."""
        try:
            return await self.asks(lambda: self.engine.status(self.tenant_id))
        except NotFound:
            return None

    @property
    def principal(self) -> str:
        """Who calls, for what is counted of each: whoever ``authorize`` named, else the address."""
        return self.ticket.principal if self.ticket is not None else principal_of(self.request, self.actor)

    def shows(self, view: RunView, *, is_operator: bool, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """The run's status, with its ETag."""
        body = status_body(view, self.links, is_operator=is_operator)
        return answer(body, status=status, headers={"ETag": etag(view, is_operator=is_operator), **(headers or {})})


def principal_of(request: Request, actor: str | None) -> str:
    """A name, or an address, which can't be taken for a name."""
    host = request.client.host if request.client is not None else ""
    return f"name {actor}" if actor is not None else f"address {host}"


def answer(body: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A model as JSON; fields that were not set are left out."""
    return text(body.model_dump_json(exclude_unset=True), "application/json", status=status, headers=headers)


def text(content: str, media_type: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer with the headers that go with all of them."""
    return Response(content, status_code=status, media_type=media_type, headers=SAFE | (headers or {}))


async def _current(request: Request) -> Call:
    """The call that the guard let in; without a guard there is none, and the route fails."""
    call = request.state.provisioning_call
    if not isinstance(call, Call):
        raise TypeError("a route without a guard")
    return call


Allowed = Annotated[Call, Depends(_current)]


def guard(face: Face, scope: Scope, action: Action, route: str) -> Any:
    """The dependency that lets a call in or refuses it, before its body is read. ``route`` is its path below the router."""
    makers = {"tenant": _tenant_guard, "stream": _stream_guard, "run": _run_guard, "fleet": _fleet_guard}
    return Depends(makers[scope](face, action, route))


def _stream_guard(face: Face, action: Action, route: str) -> Callable[..., Any]:
    ask = _tenant_guard(face, action, route)

    async def let_in(request: Request, tenant_id: TenantId, ticket: TicketText = None) -> None:
        if ticket is None:
            await ask(request, tenant_id)
            return
        found = face.tickets.take(ticket, tenant_id)
        _let_in(Call(face, request, Links.of(request, route), action, tenant_id=tenant_id, actor=found.actor, ticket=found))

    return let_in


def _tenant_guard(face: Face, action: Action, route: str) -> Callable[..., Any]:
    async def let_in(request: Request, tenant_id: TenantId) -> None:
        if not is_name(tenant_id):
            raise _no_name()
        admitted = await face.doorkeeper.admits(request, tenant_id, action)
        if not admitted:
            raise not_here()
        _let_in(Call(face, request, Links.of(request, route), action, tenant_id=tenant_id, actor=actor_of(admitted)))

    return let_in


def _no_name() -> InvalidInput:
    told = "Use 1 to 200 signs of valid UTF-8, none of them a control character, and neither `.` nor `..` alone."
    fault = {"loc": ("path", "tenant_id"), "msg": told, "type": "invalid_name"}
    return InvalidInput("The request does not fit.", code="invalid_request", errors=[fault])


def _run_guard(face: Face, action: Action, route: str) -> Callable[..., Any]:
    async def let_in(request: Request, run_id: RunId) -> None:
        view = await _look_up(face, request, run_id, action)
        admitted = await face.doorkeeper.admits(request, view.subject, action)
        if not admitted:
            raise not_here()
        links, actor = Links.of(request, route), actor_of(admitted)
        _let_in(Call(face, request, links, action, tenant_id=view.subject, actor=actor, view=view))

    return let_in


async def _look_up(face: Face, request: Request, run_id: str, action: Action) -> RunView:
    """The run; whoever is not known gets 401 for an unknown run as for a known one, so that nothing is found out by trying."""
    try:
        if is_name(run_id):
            return await run_in_threadpool(lambda: face.engine.status(run_id=run_id))
    except NotFound:
        pass
    await face.doorkeeper.admits(request, None, action)  # raises what it raises for a known one
    raise not_here()


def _fleet_guard(face: Face, action: Action, route: str) -> Callable[..., Any]:
    async def let_in(request: Request) -> None:
        admitted = await face.doorkeeper.admits(request, None, action)
        if not admitted:
            raise Refused(403, "forbidden", "This is for operators of the whole fleet.")
        _let_in(Call(face, request, Links.of(request, route), action, actor=actor_of(admitted)))

    return let_in


def _let_in(call: Call) -> None:
    """Raises Refused for a form of another site's page, and for one call too many."""
    refuse_foreign(call.request)
    call.face.rate.count(call.principal)
    call.request.state.provisioning_call = call
