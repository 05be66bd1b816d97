"""Sending in virtual time: a store in memory, a clock set by hand, receivers that are a list of answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from provisioning_core.model import Vault
from provisioning_core.observers.webhooks._courier import Courier
from provisioning_core.observers.webhooks._posting import Poster
from provisioning_core.observers.webhooks._sender import Pace, Sender
from provisioning_core.observers.webhooks._transport import Answer
from provisioning_core.outbox import Delivery, DeliveryFilter, Endpoint
from provisioning_core.stores import MemoryStore
from provisioning_core.testing import FakeClock
from provisioning_core.testing._store_cases.outbox_records import an_endpoint

OK = Answer(status=204)
BAD = Answer(status=500)


@dataclass(frozen=True)
class Sent:
    """One message that was sent."""

    url: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]


class World:
    """``answers(sent)`` says what a receiver does; each try takes ``takes`` seconds."""

    def __init__(self, *, vault: Vault | None = None, link: Any = None, **pace: Any) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.outbox = self.store.outbox
        self.answers: Callable[[Sent], Answer] = lambda sent: OK
        self.takes = 0.1
        self.sent: list[Sent] = []
        self.poster = Poster(self, vault, self.clock, Random(7))
        self.courier = Courier(self.store, self.outbox, self.poster, self.clock, link=link, share=20.0)
        self.sender = self.another_sender(**pace)

    def another_sender(self, **pace: Any) -> Sender:
        return Sender(self.outbox, self.courier, Pace(**pace), spawn=lambda work: work())

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        sent = Sent(url, dict(headers), body, self.clock.now())
        self.sent.append(sent)
        self.clock.advance(self.takes)
        return self.answers(sent)

    def add(self, endpoint_id: str = "end-1", **fields: Any) -> Endpoint:
        return self.outbox.add(replace(an_endpoint(endpoint_id), url=f"https://{endpoint_id}.example.com/", **fields))

    def pump(self, turns: int = 50) -> None:
        """Send until nothing is due."""
        for _ in range(turns):
            if self.sender.turn() == 0:
                return

    def run_for(self, seconds: float, every: float = 60.0) -> None:
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.pump()
            self.clock.advance(every)
        self.pump()

    @property
    def log(self) -> list[Delivery]:
        """Oldest first."""
        return list(reversed(self.outbox.deliveries(DeliveryFilter(), limit=1000).items))

    @property
    def outcomes(self) -> list[str]:
        return [each.outcome for each in self.log]

    @property
    def ids(self) -> list[str]:
        return [sent.id for sent in self.sent]
