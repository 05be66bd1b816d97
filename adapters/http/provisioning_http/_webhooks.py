"""Webhooks are managed here. Each route parses, calls one method and renders; the rules are the engine's webhooks' own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from fastapi import Response

from provisioning_http._call import Allowed, answer
from provisioning_http._headers import SAFE
from provisioning_http._requests import Cursor, Limit, QueryName
from provisioning_http._webhook_bodies import (
    Change,
    DeliveriesBody,
    DeliveryBody,
    New,
    Nothing,
    Outcomes,
    Redeliver,
    RedeliveryBody,
    Rotate,
    WebhookBody,
    WebhookId,
    WebhooksBody,
    WebhookSecretBody,
)

if TYPE_CHECKING:
    from provisioning_core.observers.webhooks import EndpointView, Webhooks
    from provisioning_core.outbox import Delivery


async def webhooks(call: Allowed) -> Response:
    """All webhooks, oldest first."""
    found = await call.asks(_of(call).endpoints)
    return answer(WebhooksBody(items=[_body(view) for view in found]))


async def add_webhook(call: Allowed, body: New) -> Response:
    """Send events to this address from now on. The answer has the secret, and no later one does."""
    hooks = _of(call)
    added = await call.asks(lambda: hooks.add(body.url, events=body.events, plans=body.plans, description=body.description))
    return _with_secret(*added, status=201, headers={"Location": f"{call.request.url.path.rstrip('/')}/{added[0].id}"})


async def webhook(call: Allowed, webhook_id: WebhookId) -> Response:
    """One webhook."""
    return answer(_body(await call.asks(lambda: _of(call).endpoint(webhook_id))))


async def change_webhook(call: Allowed, webhook_id: WebhookId, body: Change) -> Response:
    """Change what is given. One that is enabled again goes on where it stopped."""
    given = body.model_dump(exclude_none=True)
    return answer(_body(await call.asks(lambda: _of(call).update(webhook_id, **given))))


async def remove_webhook(call: Allowed, webhook_id: WebhookId) -> Response:
    """Send nothing there any more, and forget what was sent."""
    await call.asks(lambda: _of(call).remove(webhook_id))
    return Response(status_code=204, headers=SAFE)


async def rotate_webhook_secret(call: Allowed, webhook_id: WebhookId, body: Rotate) -> Response:
    """A new secret; the old one signs along for a while. The answer has the new one, and no later one does."""
    return _with_secret(*await call.asks(lambda: _of(call).rotate_secret(webhook_id, overlap=body.overlap)))


async def send_test_webhook(call: Allowed, webhook_id: WebhookId, body: Nothing) -> Response:  # noqa: ARG001  it is read, and refused
    """Send a test message now, and say what came of it."""
    return answer(_delivery(await call.asks(lambda: _of(call).test(webhook_id))))


async def webhook_deliveries(
    call: Allowed,
    webhook_id: WebhookId,
    outcomes: Outcomes,
    run_id: QueryName = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """What was tried, newest first."""
    hooks = _of(call)
    page = await call.asks(
        lambda: hooks.deliveries(webhook_id, run_id=run_id, outcomes=outcomes, limit=limit, cursor=cursor),
    )
    return answer(DeliveriesBody(items=[_delivery(each) for each in page.items], next_cursor=page.next_cursor))


async def redeliver_webhook(call: Allowed, webhook_id: WebhookId, body: Redeliver) -> Response:
    """Send events again, under the ids that they had: one by a delivery's number, or what was recorded in a time, or of a run."""
    hooks = _of(call)

    def ask() -> int:
        if body.delivery is not None:
            return hooks.redeliver(webhook_id, body.delivery)
        since, until = (None if at is None else at.timestamp() for at in (body.since, body.until))
        return hooks.redeliver_range(webhook_id, since=since, until=until, run_id=body.run_id, missing_only=body.missing_only)

    return answer(RedeliveryBody(runs=await call.asks(ask)), status=202)


def _of(call: Allowed) -> Webhooks:
    """The routes are there only where the engine has some."""
    return cast("Webhooks", call.engine.webhooks)


def _body(view: EndpointView) -> WebhookBody:
    return WebhookBody(**view.to_dict())


def _with_secret(view: EndpointView, secret: str, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return answer(WebhookSecretBody(**view.to_dict(), secret=secret), status=status, headers=headers)


def _delivery(delivery: Delivery) -> DeliveryBody:
    return DeliveryBody(
        number=delivery.number,
        message_id=delivery.message_id,
        webhook_id=delivery.endpoint_id,
        run_id=delivery.run_id,
        seq=delivery.seq,
        type=delivery.type,
        at=datetime.fromtimestamp(delivery.at, UTC),
        took=delivery.took,
        attempt=delivery.attempt,
        outcome=delivery.outcome,
        status=delivery.status,
        error=delivery.error,
        body=delivery.body,
        next_at=None if delivery.next_at is None else datetime.fromtimestamp(delivery.next_at, UTC),
    )
