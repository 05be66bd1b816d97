"""Examples for the OpenAPI description: one tenant's story."""

from __future__ import annotations

import json
from typing import Any

from provisioning_http._problems import title

RUN = "0f8fad5b9c3e4d1ab2c7d1e6f0a94c55"
_LINKS = {
    "self": f"/provisioning/runs/{RUN}",
    "status": "/provisioning/tenants/acme/status",
    "events": "/provisioning/tenants/acme/events",
    "graph": "/provisioning/tenants/acme/graph",
    "timeline": "/provisioning/tenants/acme/timeline",
}
_AT, _SOON = "2026-11-24T09:00:00Z", "2026-11-24T09:00:02Z"


def _step(name: str, status: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "status": status,
        "attempt": 0,
        "started_at": None,
        "finished_at": None,
        "next_attempt_at": None,
        "progress": 0.0,
        "message": "",
        "output": None,
        "error": None,
        "needs": [],
        "waits_for": [],
        "description": "",
        **more,
    }


_LINE = {
    "tenant_id": "acme",
    "run_id": RUN,
    "plan": "workspace",
    "plan_version": "3",
    "status": "IN_PROGRESS",
    "state": "RUNNING",
    "progress": 0.5,
    "version": 3,
    "created_at": _AT,
    "started_at": _AT,
    "finished_at": None,
    "links": _LINKS,
}
_DONE = {"attempt": 1, "started_at": _AT, "finished_at": _SOON, "progress": 1.0, "output": {"name": "acme", "password": "**********"}}
STATUS: dict[str, Any] = {
    **_LINE,
    "current_steps": ["mail"],
    "completed_steps": ["database"],
    "failed_steps": [],
    "steps": {
        "database": _step("database", "SUCCEEDED", **_DONE),
        "mail": _step("mail", "RUNNING", attempt=1, started_at=_SOON, needs=["database"]),
    },
    "errors": [],
    "warnings": [],
    "allowed_actions": ["rollback", "cancel", "pause"],
}
EVENT: dict[str, Any] = {
    "run_id": RUN,
    "seq": 4,
    "at": _SOON,
    "type": "step.succeeded",
    "step": "database",
    "attempt": 1,
    "data": {"from": "RUNNING"},
    "actor": None,
}
PROGRESS: dict[str, Any] = {"version": 5, "progress": 0.75, "steps": {"mail": {"progress": 0.5, "message": "half of it"}}}
ANSWERS: dict[str, Any] = {
    "StatusBody": STATUS,
    "EventsBody": {"items": [EVENT], "next_after": 4},
    "TicketAnswer": {
        "ticket": "3v1yq0Jm8Q",
        "run_id": RUN,
        "expires_in": 30.0,
        "url": "/provisioning/tenants/acme/events?ticket=3v1yq0Jm8Q",
    },
    "RunsBody": {"items": [_LINE], "next_cursor": "bjoxNw"},
}
"""By the model's name."""

BODIES: dict[str, Any] = {
    "StartBody": {"plan": "workspace", "input": {"slug": "acme", "tier": "pro"}, "reason": "sign-up"},
    "RetryBody": {"steps": ["database"], "reason": "the provider is back"},
    "ReasonBody": {"reason": "asked for by the customer"},
    "RollbackBody": {"to": "database", "reason": "wrong region"},
    "CancelBody": {"rollback": True, "reason": "the customer left"},
    "SignalBody": {"payload": {"approved_by": "olaf"}},
    "SkipBody": {"output": {"name": "acme"}, "reason": "made by hand"},
    "ResolveBody": {"as": "succeeded", "output": {"name": "acme"}, "reason": "it is there"},
    "TicketBody": {},
    "NewWebhook": {
        "url": "https://hooks.example.com/provisioning",
        "events": ["run.succeeded", "run.failed"],
        "plans": ["workspace"],
    },
    "WebhookChange": {"enabled": False},
    "Rotation": {"overlap": 3600.0},
    "NothingMore": {},
    "Redelivery": {"since": "2026-11-24T00:00:00Z", "missing_only": True},
}


def _problem(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    head = {"type": "about:blank", "title": title(status), "status": status, "detail": detail, "code": code}
    return {**head, "allowed_actions": [], **members}


PROBLEMS: dict[int, dict[str, Any]] = {
    400: _problem(400, "malformed_body", "The body is not well-formed JSON."),
    401: _problem(401, "unauthenticated", "A valid bearer token is needed."),
    403: _problem(403, "forbidden", "This is for operators of the whole fleet."),
    404: _problem(404, "run_not_found", "There is no such run here."),
    406: _problem(406, "not_acceptable", "The history can be had as JSON, and as an event stream."),
    409: _problem(
        409,
        "not_allowed",
        "`continue` is not allowed: the run is RUNNING.",
        run_id=RUN,
        state="RUNNING",
        allowed_actions=["rollback", "cancel", "pause"],
    ),
    412: _problem(
        412,
        "version_mismatch",
        "The run has changed since the caller looked at it.",
        hint="Look at the run again, and decide anew.",
        run_id=RUN,
        version=4,
        state="RUNNING",
        allowed_actions=["rollback", "cancel", "pause"],
    ),
    413: _problem(413, "body_too_large", "The body is larger than 256 KiB."),
    415: _problem(415, "unsupported_media_type", "The body is not of a type that is understood here."),
    422: _problem(
        422,
        "invalid_input",
        "The input does not fit.",
        errors=[{"loc": ["body", "input", "slug"], "msg": "Field required", "type": "missing"}],
    ),
    429: _problem(429, "too_many_requests", "Too many calls."),
    500: _problem(500, "internal_error", "Something went wrong on the server; it has been logged."),
    503: _problem(503, "store_unavailable", "The store can't be reached.", hint="Try again soon."),
}

STREAM = (
    "retry: 3000\n\n"
    f"event: snapshot\ndata: {json.dumps(STATUS, separators=(',', ':'))}\nid: {RUN}:3\n\n"
    f"data: {json.dumps(EVENT, separators=(',', ':'))}\nid: {RUN}:4\n\n"
    f"event: progress\ndata: {json.dumps(PROGRESS, separators=(',', ':'))}\n\n"
    ": ping\n\n"
)
