"""Webhooks and what was sent to them, as tables and lines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from provisioning_cli._grid import Grid, Row
from provisioning_cli._text import clean, listed, moment, several

if TYPE_CHECKING:
    from provisioning_core.observers.webhooks import EndpointView
    from provisioning_core.outbox import Delivery

_OUTCOMES = {
    "delivered": ("✓ delivered", "green"),
    "failed": ("↻ failed", "yellow"),
    "refused": ("⊘ refused", "yellow"),
    "given_up": ("✗ given up", "bold red"),
    "gone": ("✗ gone", "bold red"),
}


def webhook_grid(views: Iterable[EndpointView]) -> Grid:
    """All webhooks."""
    rows = (
        Row(
            (_state(view), clean(view.id), clean(view.url), listed(view.events), listed(view.plans) or "all", str(view.waiting)),
            "green" if view.enabled else "bold red",
        )
        for view in views
    )
    return Grid(("STATE", "WEBHOOK", "URL", "EVENTS", "PLANS", "WAITING"), tuple(rows))


def webhook_lines(view: EndpointView) -> list[str]:
    """One webhook."""
    lines = [
        f"Webhook {clean(view.id)} ({_state(view)})",
        f"  url      {clean(view.url)}",
        f"  events   {listed(view.events, 50)}",
        f"  plans    {listed(view.plans, 50) or 'all'}",
        f"  made     {moment(view.created_at)}",
        f"  waiting  {several(view.waiting, 'run')} with something to tell",
    ]
    if view.description:
        lines.insert(1, f"  {clean(view.description)}")
    if view.disabled_why:
        lines.append(f"  disabled: {clean(view.disabled_why)}")
    if view.paused_until is not None:
        lines.append(f"  paused until {moment(view.paused_until)}, as the receiver asked")
    if view.old_secret_until is not None:
        lines.append(f"  the secret before signs along until {moment(view.old_secret_until)}")
    return lines


def secret_lines(secret: str) -> list[str]:
    """A secret, which nobody can show again."""
    return [f"  secret   {secret}", "Give the secret to the receiver now: it is not shown again."]


def _state(view: EndpointView) -> str:
    return "✓ on" if view.enabled else "✗ disabled"


def delivery_grid(deliveries: Iterable[Delivery]) -> Grid:
    """What was tried."""
    rows = (
        Row(
            (
                _OUTCOMES[each.outcome][0],
                str(each.number),
                _moment(each.at),
                clean(each.type),
                clean(each.run_id or ""),
                str(each.attempt),
                f"{each.took:.2f} s",
                clean(each.error or f"It answered {each.status}."),
            ),
            _OUTCOMES[each.outcome][1],
        )
        for each in deliveries
    )
    return Grid(("OUTCOME", "NUMBER", "AT", "EVENT", "RUN", "TRY", "TOOK", "ANSWER"), tuple(rows))


def delivery_lines(delivery: Delivery) -> list[str]:
    """One try."""
    told = clean(delivery.error or f"It answered {delivery.status}.")
    lines = [f"{_OUTCOMES[delivery.outcome][0]} after {delivery.took:.2f} s: {told}"]
    if delivery.body:
        lines.append(f"  it said: {clean(delivery.body)}")
    return lines


def delivery_values(delivery: Delivery) -> dict[str, Any]:
    """For ``--json``: plain values, times as the other commands have them."""
    names = ("number", "message_id", "run_id", "seq", "type", "took", "attempt", "outcome", "status", "error", "body")
    times = {"at": _time(delivery.at), "next_at": None if delivery.next_at is None else _time(delivery.next_at)}
    return {"webhook_id": delivery.endpoint_id} | {name: getattr(delivery, name) for name in names} | times


def _moment(at: float) -> str:
    return moment(_time(at))


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
