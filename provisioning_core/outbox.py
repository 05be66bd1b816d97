"""The port of webhooks: who is told of what, what still has to be told, and what was tried. Its suite is ``testing.OutboxContract``.

Theory of operation. The history itself is what is told; nothing of it is copied. In the transaction that commits events an endpoint
wants, the store notes one row for each endpoint and run: *tell from this event on*. Such a row is a queue with a cursor. A sender
claims queues for a while (whoever falls silent loses them), tells their events one after the other, and moves the cursor; a queue
that is told to its end goes away. So events of one run reach an endpoint in order, and nothing is lost with a sender.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from provisioning_core.model import Event, Vault
from provisioning_core.ports import Clock, Store

Outcome = Literal["delivered", "failed", "given_up", "gone", "refused"]
"""``failed`` is tried again; ``given_up`` after the last try; ``gone``: 410; ``refused``: not sent, its target is not allowed."""

STALE_AFTER = 2.0
"""Seconds for which a process may go by the endpoints that it knows: so long after it was made, a new one is honoured by all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who is told. Times are by the store's clock."""

    id: str
    url: str
    events: tuple[str, ...]
    """Types of events: ``run.succeeded``, all of a kind as ``run.*``, or ``*``."""
    plans: tuple[str, ...] = ()
    """Only runs of these plans; empty: of all."""
    description: str = ""
    secret: str
    """What messages are signed with; sealed, where there is a key."""
    old_secret: str | None = None
    """The one before, which signs too until ``old_secret_until``."""
    old_secret_until: float = 0.0
    enabled: bool = True
    disabled_why: str = ""
    paused_until: float = 0.0
    """Nothing is sent before: the receiver asked for it."""
    give_ups: int = 0
    """Events given up in a row."""
    created_at: float = 0.0

    def wants(self, event_type: str, plan: str) -> bool:
        """Whether it is told of such an event."""
        return (not self.plans or plan in self.plans) and self.names(event_type)

    def names(self, event_type: str) -> bool:
        """Whether it is told of such an event of some plan."""
        return any(_fits(pattern, event_type) for pattern in self.events)


def _fits(pattern: str, event_type: str) -> bool:
    return pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A queue that a sender may work on until its claim ends: the events of one run that one endpoint has not been told."""

    number: int
    endpoint: Endpoint
    run_id: str
    subject: str
    plan: str
    plan_version: str
    claim: str
    after: int
    """Events up to this number are settled."""
    until: int
    """Number of the last event that is wanted, as far as was known when it was claimed."""
    tries: int
    """How often the next one was tried in vain."""
    is_resend: bool = False
    """Asked for by a person: it ends at ``until``, whatever has happened since."""
    missing_only: bool = False
    """Events that were delivered before are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One try to tell one event, as the log has it."""

    number: int = 0
    """Counts all tries; given by the store."""
    message_id: str
    """The same at every try of one event."""
    endpoint_id: str
    run_id: str | None
    """None for a test message."""
    seq: int
    """The event's number; 0 for a test message."""
    type: str
    at: float
    took: float
    """Seconds."""
    attempt: int
    """1 for the first try."""
    outcome: Outcome
    status: int | None = None
    """The answer's, if there was one."""
    error: str = ""
    """Ours, in a few words."""
    body: str = ""
    """How the answer's body begins."""
    next_at: float | None = None
    """When it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a claimed queue."""

    claimed: Claimed
    after: int
    """Events up to this number are settled now."""
    tries: int
    wait: float = 0.0
    """Seconds until its next event may be tried."""
    log: tuple[Delivery, ...] = ()
    answers: bool = False
    """The endpoint took something: what was given up before counts no more."""
    given_up: int = 0
    """Events given up, after that."""
    pause: float = 0.0
    """Seconds for which the endpoint wants nothing."""
    disable: str = ""
    """Why the endpoint is disabled, if it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list; empty fields don't filter."""

    endpoint_id: str | None = None
    run_id: str | None = None
    outcomes: tuple[str, ...] = ()
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPage:
    """One page of the log, newest first."""

    items: tuple[Delivery, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resend:
    """Events that a person wants to be told again."""

    since: float | None = None
    """Recorded at this time or later; None: from the beginning."""
    until: float | None = None
    """Recorded before this time; None: to the end."""
    run_id: str | None = None
    first: int = 1
    last: int | None = None
    """Numbers of the first and the last event of each run."""
    missing_only: bool = False
    """Only those that the log does not show as delivered."""


class Outbox(Protocol):
    """Endpoints, queues and the log of one store. All methods may be called from any thread, and may raise StoreUnavailable.

    The store it belongs to notes a queue for each enabled endpoint that wants one of the events it commits, in the same transaction;
    it may go by endpoints that it read ``STALE_AFTER`` seconds ago, and knows at once those that were changed through it. A queue
    goes with its endpoint, and with its run.
    """

    # endpoints

    def endpoints(self) -> list[Endpoint]:
        """All, oldest first."""
        ...

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound (``webhook_not_found``)."""
        ...

    def add(self, endpoint: Endpoint) -> Endpoint:
        """Keep a new one; ``created_at`` is the store's. From now on it is told of what happens."""
        ...

    def change(self, endpoint_id: str, fields: Mapping[str, Any]) -> Endpoint:
        """Set these fields of it, and no others. Raises NotFound."""
        ...

    def remove(self, endpoint_id: str) -> None:
        """With its queues and its log. Raises NotFound."""
        ...

    # queues

    def claim(self, claim: str, *, ttl: float, room: int, per_endpoint: int, in_hand: Mapping[str, int]) -> list[Claimed]:
        """Take at most ``room`` queues that are due, those due longest first, for ``ttl`` seconds.

        Of an endpoint no more than ``per_endpoint`` less what is ``in_hand``; none of one that is disabled or paused. No queue is
        claimed twice at a time. One whose claim has run out is due again.
        """
        ...

    def settle(self, settled: Sequence[Settled]) -> None:
        """Write what became of claimed queues, in one transaction: the log, the cursor, what it means for the endpoint.

        A queue that is told to its end goes, unless more was noted meanwhile. What is told of a queue whose claim somebody else has
        by now enters the log only.
        """
        ...

    def resend(self, endpoint_id: str, what: Resend) -> int:
        """Note queues for events of the history that the endpoint wants; how many runs it concerns. Raises NotFound."""
        ...

    def delivered(self, endpoint_id: str, run_id: str, seqs: Collection[int]) -> frozenset[int]:
        """Which of these events of the run the log shows as delivered."""
        ...

    def backlog(self) -> dict[str, int]:
        """How many queues each endpoint has; those without one are not listed."""
        ...

    # the log

    def record(self, delivery: Delivery) -> Delivery:
        """Enter a delivery that belongs to no queue; with its number."""
        ...

    def deliveries(self, where: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Newest first. Raises InvalidInput for a cursor that is not one."""
        ...

    def delivery(self, number: int) -> Delivery:
        """Raises NotFound (``delivery_not_found``)."""
        ...

    def trim(self, *, before: float) -> int:
        """Forget deliveries tried before this time; how many they were."""
        ...

    def now(self) -> float:
        """The store's clock."""
        ...


class Postman(Protocol):
    """What an engine asks of its webhooks."""

    def attach(self, store: Store, vault: Vault | None, clock: Clock) -> None:
        """Work for this store. Raises ProvisioningError when it has no outbox, or another one is attached."""
        ...

    def begin(self) -> None:
        """Begin to send. Harmless when repeated."""
        ...

    def close(self, timeout: float) -> None:
        """Send nothing more; what is under way gets ``timeout`` seconds. Harmless when repeated."""
        ...

    def notify(self, events: Sequence[Event]) -> None:
        """These were committed."""
        ...
