"""Errors as callers see them: ``application/problem+json`` with a stable code, no value that was sent, and nothing of our insides."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import islice
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from provisioning_core import (
    Conflict,
    InvalidInput,
    LeaseLost,
    MissingExtra,
    NotFound,
    PlanChanged,
    ProvisioningError,
    SchemaMismatch,
    StoreUnavailable,
)
from provisioning_http._headers import SAFE
from provisioning_http._masking import sent_texts, without

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 50
"""Of what does not fit; whoever sends thousands of wrong values is told of the first."""
NOT_HERE = "There is no such run here."
_CODES = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed", 429: "too_many_requests"}
_RENAMED = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""What Python calls otherwise before its version 3.13."""
_log = logging.getLogger("provisioning_http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One answer that says what is wrong and what to do."""

    status: int
    code: str
    detail: str
    hint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the body: ``run_id``, ``allowed_actions``, ``errors`` and the like."""

    def to_dict(self) -> dict[str, Any]:
        """The body."""
        head = {"type": "about:blank", "title": title(self.status), "status": self.status, "detail": self.detail, "code": self.code}
        hint = {"hint": self.hint} if self.hint else {}
        return head | hint | {"allowed_actions": []} | dict(self.members)

    def response(self) -> Response:
        """The answer, never kept by a cache."""
        headers = {**SAFE, **self.headers}
        return Response(to_json(self.to_dict()), status_code=self.status, media_type=MEDIA_TYPE, headers=headers)


class Refused(Exception):
    """The request itself is at fault; carries the whole answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        self.problem = Problem(status=status, code=code, detail=detail, hint=hint, headers=headers or {}, members=members or {})
        super().__init__(detail)


def not_here() -> NotFound:
    """What is said of a run that does not exist, and of one that is somebody else's: the two can't be told apart."""
    return NotFound(NOT_HERE, code="run_not_found")


def problem_of(error: Exception, sent: Any = None) -> Problem:
    """The answer to an error; ``sent`` is what the request brought, of which nothing is repeated."""
    match error:
        case Refused():
            return error.problem
        case HTTPException():
            return _from_http(error)
        case RequestValidationError():
            return _invalid("The request does not fit.", "invalid_request", error.errors(), None)
        case InvalidInput():
            return _invalid(error.message, error.code, error.errors, sent, hint=error.hint)
        case ProvisioningError():
            return _from_core(error)
        case _:
            return _internal(error)


def _from_core(error: ProvisioningError) -> Problem:
    match error:
        case NotFound():
            return _not_found(error)
        case Conflict():
            return _conflict(error)
        case PlanChanged():
            return _plan_changed(error)
        case StoreUnavailable() | SchemaMismatch() | LeaseLost():
            return _unavailable(error)
        case MissingExtra():
            _log.error("%s", error)
            return Problem(status=500, code=error.code, detail="A part that this needs is not installed on the server.")
        case _:
            return _internal(error)


def title(status: int) -> str:
    """The status's name in RFC 9110, whatever this Python calls it."""
    try:
        return _RENAMED.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _from_http(error: HTTPException) -> Problem:
    detail = error.detail if isinstance(error.detail, str) else title(error.status_code)
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    return Problem(status=error.status_code, code=code, detail=detail, headers=error.headers or {})


def _not_found(error: NotFound) -> Problem:
    if error.code == "run_not_found":
        return Problem(status=404, code="run_not_found", detail=NOT_HERE)
    hint = "" if error.code == "plan_not_found" else error.hint  # all plans' names, which only the fleet's operators may list
    return Problem(status=404, code=error.code, detail=error.message, hint=hint)


def _conflict(error: Conflict) -> Problem:
    known: dict[str, Any] = {"run_id": error.run_id, "state": error.status}
    members = {name: value for name, value in known.items() if value}
    members["allowed_actions"] = list(error.allowed_actions)
    return Problem(status=409, code=error.code, detail=error.message, hint=error.hint, members=members)


def _plan_changed(error: PlanChanged) -> Problem:
    listed = [{"loc": [each.step], "msg": str(each), "type": each.kind} for each in error.differences]
    members = {"run_id": error.run_id, "allowed_actions": ["adopt_plan"], "errors": listed}
    return Problem(status=409, code=error.code, detail=error.message, hint=error.hint, members=members)


def _unavailable(error: ProvisioningError) -> Problem:
    """The class's own sentence: the error's may name hosts and users of the database."""
    _log.warning("answered 503: %s", error)
    sentence = (type(error).__doc__ or "").strip().partition("\n")[0]
    return Problem(status=503, code=type(error).default_code, detail=sentence, hint="Try again soon.", headers={"Retry-After": "2"})


def _internal(error: Exception) -> Problem:
    _log.error("answered 500", exc_info=error)
    return Problem(status=500, code="internal_error", detail="Something went wrong on the server; it has been logged.")


def _invalid(detail: str, code: str, errors: Iterable[Mapping[str, Any]], sent: Any, *, hint: str = "") -> Problem:
    texts, first = sent_texts(sent), list(islice(errors, MAX_FAULTS))
    listed = [
        {
            "loc": [_place(part) for part in each.get("loc", ())],
            "msg": without(texts, str(each.get("msg", ""))),
            "type": each.get("type", ""),
        }
        for each in first
    ]
    if first and str(first[0].get("msg", "")) in hint:
        hint = ""  # the faults again, in one line
    return Problem(status=422, code=code, detail=without(texts, detail), hint=without(texts, hint), members={"errors": listed})


def _place(part: Any) -> str | int:
    return part if isinstance(part, int) else str(part)[:100]


class MethodRoute(APIRoute):
    """A route that answers itself what it does not take, which would be the app's to answer."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As FastAPI does, but for a method that there is not."""
        try:
            await super().handle(scope, receive, send)
        except HTTPException as error:
            await problem_of(error).response()(scope, receive, send)


class ProblemRoute(MethodRoute):
    """A route whose every error is a problem, whatever handlers the app around it has."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, with its errors turned into answers."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except Exception as error:  # noqa: BLE001 - the border: whatever it is, the caller gets a problem that leaks nothing
                return problem_of(error, getattr(request.state, "provisioning_sent", None)).response()

        return handle
