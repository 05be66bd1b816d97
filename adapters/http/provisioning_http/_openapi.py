"""What the OpenAPI description says of bodies, headers and problems, beyond what the signatures tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from provisioning_http import _examples as examples
from provisioning_http._problems import MEDIA_TYPE

_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "Who calls is not known.",
    403: "Not allowed.",
    404: "There is no such thing, or it is somebody else's.",
    406: "That form of the answer can't be had.",
    409: "The run's present state does not allow this; `allowed_actions` says what it does.",
    412: "The run is not as the caller saw it: `If-Match` does not fit.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request does not fit; `errors` says where.",
    429: "Too many calls of this caller.",
    500: "Something went wrong on the server.",
    503: "The store can't be worked with (nothing was recorded), or too many streams are open.",
}
_FAULT = {
    "type": "object",
    "properties": {"loc": {"type": "array", "items": {}}, "msg": {"type": "string"}, "type": {"type": "string"}},
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail", "code", "allowed_actions"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "For programs; stable."},
        "hint": {"type": "string"},
        "run_id": {"type": "string"},
        "state": {"type": "string"},
        "allowed_actions": {"type": "array", "items": {"type": "string"}},
        "errors": {"type": "array", "items": _FAULT},
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For FastAPI's ``responses``."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    told = {"description": _DESCRIPTIONS[status]}
    headers = {name: _header("integer", text) for name, text in _PROBLEM_HEADERS.get(status, {}).items()}
    headers |= {"WWW-Authenticate": _header("string", "How to say who calls.")} if status == 401 else {}
    example = {"example": examples.PROBLEMS[status]} if status in examples.PROBLEMS else {}
    content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA, **example}}
    return told | ({"headers": headers} if headers else {}) | {"content": content}


_PROBLEM_HEADERS = {
    429: {"Retry-After": "Seconds until the next call is taken."},
    503: {"Retry-After": "Seconds until it is worth trying again."},
}


def _header(kind: str, description: str) -> dict[str, Any]:
    return {"schema": {"type": kind}, "description": description}


def request_body(model: type[BaseModel]) -> dict[str, Any]:
    """For FastAPI's ``openapi_extra``."""
    schema = model.model_json_schema(by_alias=True)
    content: dict[str, Any] = {"schema": schema}
    if model.__name__ in examples.BODIES:
        content["example"] = examples.BODIES[model.__name__]
    body = {"description": _BODY, "required": bool(schema.get("required")), "content": {"application/json": content}}
    return {"requestBody": body}


_BODY = "At most 256 KiB and 100 levels; no text in it may hold a NUL or half of a surrogate pair, and no object a name twice."


def answered(model: type[BaseModel]) -> dict[str, Any]:
    """An answer's example, for FastAPI's ``responses``; its schema is added there."""
    if model.__name__ not in examples.ANSWERS:
        return {}
    return {"content": {"application/json": {"example": examples.ANSWERS[model.__name__]}}}


def pictures(kinds: Iterable[str]) -> dict[str, Any]:
    """What else can be had than JSON."""
    return {kind: {"schema": {"type": "string"}} for kind in kinds}


def stream() -> dict[str, Any]:
    """The stream of events: OpenAPI 3.1 has no words for its parts, so it is a text with an example."""
    return {"text/event-stream": {"schema": {"type": "string", "description": _STREAM}, "example": examples.STREAM}}


_STREAM = (
    "Server-sent events. Unnamed: one line of the history (`EventBody`), with the id `<run_id>:<seq>`. `snapshot` (first, without "
    "`Last-Event-ID`), `reset` (first, when the id can't be gone on from) and `end` (last, when the run has ended or failed): "
    "the run's status (`StatusBody`). `progress`, without an id, when steps tell of their progress and nothing else happens: "
    "`{version, progress, steps: {name: {progress, message}}}`, of the run and its current steps."
)


def etag_header() -> dict[str, Any]:
    """Of every answer that shows a run."""
    return {"ETag": _header("string", "Of this state of the run: for `If-None-Match` and `If-Match`.")}


def accepted_headers() -> dict[str, Any]:
    """Headers of an answer 202."""
    return {
        "Location": _header("string", "Where to look how it goes on."),
        "Retry-After": _header("integer", "Seconds until it is worth looking."),
        **etag_header(),
    }


def links(prefix: str) -> dict[str, Any]:
    """What can be done with the run that an answer shows; ``prefix`` begins each operation's id."""
    tenant, run = "$response.body#/tenant_id", "$response.body#/run_id"
    of_tenant = {
        name: _link(f"{prefix}_{name}", tenant_id=tenant) for name in ("status", "events", "graph", "timeline", "cancel", "rollback")
    }
    return of_tenant | {"run": _link(f"{prefix}_run", run_id=run)}


def _link(operation: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": parameters}


def idempotency_header() -> dict[str, Any]:
    """The parameter of `start`."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Sent again with the same key, the call gives back the run that the first one started.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    }


def if_match_header() -> dict[str, Any]:
    """The parameter of all verbs."""
    text = 'Only if the run still has this version, as `"7"`, or this ETag; else 412.'
    return {"name": "If-Match", "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def if_none_match_header() -> dict[str, Any]:
    """The parameter of what shows a run."""
    text = "An ETag that is known: 304 while the run is the same."
    return {"name": "If-None-Match", "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def last_event_id_header() -> dict[str, Any]:
    """The parameter of the stream; browsers send it by themselves when they connect again."""
    text = "The id of the last event that was received."
    return {"name": "Last-Event-ID", "in": "header", "required": False, "description": text, "schema": {"type": "string"}}
