"""The table of the routes that manage webhooks. All of them need ``admin``; they are there only where the engine has webhooks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from provisioning_http import _webhook_bodies as b
from provisioning_http import _webhooks as w
from provisioning_http._auth import Action
from provisioning_http._call import Face, guard
from provisioning_http._openapi import problems, request_body

_READS = (401, 403, 404, 422, 429, 500, 503)
_WRITES = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRoute:
    """One row."""

    name: str
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    endpoint: Callable[..., Any]
    answers: type[BaseModel] | None
    body: type[BaseModel] | None = None
    status: int = 200
    action: Action = "admin"

    @property
    def problems(self) -> tuple[int, ...]:
        return _READS if self.body is None else _WRITES


_ALL, _ONE = "/webhooks", "/webhooks/{webhook_id}"

WEBHOOK_ROUTES = (
    WebhookRoute(name="webhooks", method="GET", path=_ALL, endpoint=w.webhooks, answers=b.WebhooksBody),
    WebhookRoute(
        name="add_webhook",
        method="POST",
        path=_ALL,
        endpoint=w.add_webhook,
        answers=b.WebhookSecretBody,
        body=b.NewWebhook,
        status=201,
    ),
    WebhookRoute(name="webhook", method="GET", path=_ONE, endpoint=w.webhook, answers=b.WebhookBody),
    WebhookRoute(
        name="change_webhook", method="PATCH", path=_ONE, endpoint=w.change_webhook, answers=b.WebhookBody, body=b.WebhookChange
    ),
    WebhookRoute(name="remove_webhook", method="DELETE", path=_ONE, endpoint=w.remove_webhook, answers=None, status=204),
    WebhookRoute(
        name="rotate_webhook_secret",
        method="POST",
        path=f"{_ONE}/rotate-secret",
        endpoint=w.rotate_webhook_secret,
        answers=b.WebhookSecretBody,
        body=b.Rotation,
    ),
    WebhookRoute(
        name="send_test_webhook",
        method="POST",
        path=f"{_ONE}/test",
        endpoint=w.send_test_webhook,
        answers=b.DeliveryBody,
        body=b.NothingMore,
    ),
    WebhookRoute(
        name="webhook_deliveries", method="GET", path=f"{_ONE}/deliveries", endpoint=w.webhook_deliveries, answers=b.DeliveriesBody
    ),
    WebhookRoute(
        name="redeliver_webhook",
        method="POST",
        path=f"{_ONE}/redeliver",
        endpoint=w.redeliver_webhook,
        answers=b.RedeliveryBody,
        body=b.Redelivery,
        status=202,
    ),
)


def add_webhooks(router: APIRouter, face: Face) -> None:
    """The routes, if the engine has webhooks."""
    if face.engine.webhooks is None:
        return
    for route in WEBHOOK_ROUTES:
        unique = f"{re.sub(r'[^A-Za-z0-9]+', '_', router.prefix).strip('_') or 'provisioning'}_{route.name}"
        router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            name=unique,
            operation_id=unique,
            summary=route.name.replace("_", " ").capitalize(),
            dependencies=[guard(face, "fleet", route.action, route.path)],
            status_code=route.status,
            response_model=route.answers,
            responses=problems(*route.problems),
            openapi_extra=None if route.body is None else request_body(route.body),
        )
