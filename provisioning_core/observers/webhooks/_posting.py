"""One try: a message is signed, sent, and the answer judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Protocol

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Vault
from provisioning_core.observers.webhooks._payload import Message
from provisioning_core.observers.webhooks._schedule import asked_delay, delay_after, is_last
from provisioning_core.observers.webhooks._signing import opened, signatures
from provisioning_core.observers.webhooks._transport import Answer
from provisioning_core.outbox import Delivery, Endpoint, Outcome
from provisioning_core.ports import Clock

USER_AGENT = "provisioning-core-webhooks/1"
_GONE, _TOO_MANY, _UNAVAILABLE = 410, 429, 503
_HELD_FOR = 60.0
"""Seconds until it is tried again when the endpoint's secret can't be read."""


class Posts(Protocol):
    """What sends."""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a try."""

    delivery: Delivery
    wait: float = 0.0
    """Seconds until the next one."""
    pause: float = 0.0
    """Seconds for which the whole endpoint wants nothing."""
    counts: bool = True
    """Whether it uses up one of the tries."""


class Poster:
    """Sends messages to endpoints."""

    def __init__(self, transport: Posts, vault: Vault | None, clock: Clock, dice: Random) -> None:
        self._transport = transport
        self._vault = vault
        self._clock = clock
        self._dice = dice

    def try_to_tell(
        self, endpoint: Endpoint, message: Message, *, run_id: str | None, seq: int, attempt: int, store_now: float
    ) -> Tried:
        """Send it once. ``store_now``: the store's clock, by which a secret that was replaced ends."""
        began_at, began = self._clock.now(), self._clock.monotonic()
        counts = True
        try:
            headers = self._headers(endpoint, message, int(began_at), store_now)
        except ProvisioningError as error:
            answer, counts = Answer(error=error.message, is_refused=True), False
        else:
            answer = self._transport.post(endpoint.url, headers, message.body)
        told = Delivery(
            message_id=message.id,
            endpoint_id=endpoint.id,
            run_id=run_id,
            seq=seq,
            type=message.type,
            at=began_at,
            took=max(0.0, self._clock.monotonic() - began),
            attempt=attempt,
            outcome="failed",
            status=answer.status,
            error=_error_of(answer),
            body=answer.body,
        )
        return self._judged(told, answer) if counts else _held(told, began_at)

    def _headers(self, endpoint: Endpoint, message: Message, timestamp: int, store_now: float) -> dict[str, str]:
        keys = [opened(endpoint.secret, endpoint.id, self._vault)]
        if endpoint.old_secret is not None and store_now < endpoint.old_secret_until:
            keys.append(opened(endpoint.old_secret, endpoint.id, self._vault))
        return {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signatures(message.id, timestamp, message.body, keys),
        }

    def _judged(self, told: Delivery, answer: Answer) -> Tried:
        if answer.status is not None and 200 <= answer.status < 300:
            return Tried(delivery=_with(told, "delivered"))
        if answer.status == _GONE:
            return Tried(delivery=_with(told, "gone"))
        asked = asked_delay(answer.retry_after, self._clock.now())
        pause = asked if asked is not None and answer.status in (_TOO_MANY, _UNAVAILABLE) else 0.0
        if is_last(told.attempt):
            return Tried(delivery=_with(told, "given_up"), pause=pause)
        wait = delay_after(told.attempt, self._dice, asked=asked)
        outcome: Outcome = "refused" if answer.is_refused else "failed"
        return Tried(delivery=_with(told, outcome, next_at=told.at + told.took + wait), wait=wait, pause=pause)


def _held(told: Delivery, now: float) -> Tried:
    return Tried(delivery=_with(told, "refused", next_at=now + _HELD_FOR), wait=_HELD_FOR, counts=False)


def _with(told: Delivery, outcome: Outcome, *, next_at: float | None = None) -> Delivery:
    return replace(told, outcome=outcome, next_at=next_at)


def _error_of(answer: Answer) -> str:
    if answer.status is None:
        return answer.error
    if 200 <= answer.status < 300:
        return ""
    if 300 <= answer.status < 400:
        return f"It answered {answer.status}; redirects are not followed."
    return f"It answered {answer.status}."
