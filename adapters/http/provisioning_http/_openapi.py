"""What the OpenAPI description says of bodies and problems."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from provisioning_http._problems import MEDIA_TYPE

_DESCRIPTIONS = {
    400: "The request is malformed.",
    401: "Who calls is not known.",
    403: "Not allowed.",
    404: "There is no such thing, or it is somebody else's.",
    406: "That form of the answer can't be had.",
    409: "The run's present state does not allow this; `allowed_actions` says what it does.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The request does not fit; `errors` says where.",
    500: "Something went wrong on the server.",
    503: "The store can't be worked with; nothing was recorded.",
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
    content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}
    return {status: {"description": _DESCRIPTIONS[status], "content": content} for status in statuses}


def request_body(model: type[BaseModel]) -> dict[str, Any]:
    """For FastAPI's ``openapi_extra``."""
    schema = model.model_json_schema(by_alias=True)
    is_needed = bool(schema.get("required"))
    return {"requestBody": {"required": is_needed, "content": {"application/json": {"schema": schema}}}}


def status_headers() -> dict[str, Any]:
    """Headers of an answer 202."""
    return {
        "Location": {"schema": {"type": "string"}, "description": "Where to look how it goes on."},
        "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds until it is worth looking."},
        "ETag": {"schema": {"type": "string"}},
    }


def idempotency_header() -> dict[str, Any]:
    """The parameter of `start`."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Sent again with the same key, the call gives back the run that the first one started.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    }
