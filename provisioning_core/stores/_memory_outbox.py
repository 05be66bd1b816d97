"""The outbox of the store in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from provisioning_core.errors import NotFound
from provisioning_core.model import EventRecord, RunRecord
from provisioning_core.outbox import Claimed, Delivery, DeliveryFilter, DeliveryPage, Endpoint, Resend, Settled
from provisioning_core.ports import Clock
from provisioning_core.stores._cursors import cursor_after, number_in
from provisioning_core.stores._kept import KeptRun
from provisioning_core.stores._noting import Subscriptions


@dataclass(slots=True)
class _Queue:
    """What one endpoint has still to be told of one run."""

    number: int
    endpoint_id: str
    run_id: str
    lane: str
    after: int
    until: int
    tries: int = 0
    missing_only: bool = False
    claim: str | None = None
    due_at: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.endpoint_id, self.run_id, self.lane)


class MemoryOutbox:
    """Shares the store's lock, and looks at its runs."""

    def __init__(self, lock: threading.RLock, clock: Clock, runs: Mapping[str, KeptRun]) -> None:
        self._lock = lock
        self._clock = clock
        self._runs = runs
        self._endpoints: dict[str, Endpoint] = {}
        self._subscriptions = Subscriptions(())
        self._queues: dict[tuple[str, str, str], _Queue] = {}
        self._log: dict[int, Delivery] = {}
        self._count = 0

    def note(self, run: RunRecord, events: Sequence[EventRecord]) -> None:
        """Note queues for what is committed. The store holds the lock."""
        if not self._subscriptions or not events:
            return
        for note in self._subscriptions.notes(run.plan, events):
            known = self._queues.get((note.endpoint_id, note.run_id, ""))
            if known is None:
                self._put(_Queue(self._next(), note.endpoint_id, note.run_id, "", note.first - 1, note.last))
            else:
                known.until = note.last

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _put(self, queue: _Queue) -> None:
        self._queues[queue.key] = queue

    # endpoints

    def endpoints(self) -> list[Endpoint]:
        """All, oldest first."""
        with self._lock:
            return list(self._endpoints.values())

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        with self._lock:
            found = self._endpoints.get(endpoint_id)
            if found is None:
                raise NotFound(f"There is no webhook {endpoint_id!r}.", code="webhook_not_found")
            return found

    def add(self, endpoint: Endpoint) -> Endpoint:
        """Keep a new one."""
        return self._keep(replace(endpoint, created_at=self.now()))

    def change(self, endpoint_id: str, fields: Mapping[str, Any]) -> Endpoint:
        """Set these fields of it, and no others. Raises NotFound."""
        with self._lock:
            return self._keep(replace(self.endpoint(endpoint_id), **fields))

    def _keep(self, endpoint: Endpoint) -> Endpoint:
        with self._lock:
            self._endpoints[endpoint.id] = endpoint
            self._subscriptions = Subscriptions(self._endpoints.values())
            return endpoint

    def remove(self, endpoint_id: str) -> None:
        """With its queues and its log. Raises NotFound."""
        with self._lock:
            self.endpoint(endpoint_id)
            del self._endpoints[endpoint_id]
            self._subscriptions = Subscriptions(self._endpoints.values())
            self._queues = {key: queue for key, queue in self._queues.items() if queue.endpoint_id != endpoint_id}
            self._log = {number: each for number, each in self._log.items() if each.endpoint_id != endpoint_id}

    # queues

    def claim(self, claim: str, *, ttl: float, room: int, per_endpoint: int, in_hand: Mapping[str, int]) -> list[Claimed]:
        """Take queues that are due."""
        with self._lock:
            now, taken = self.now(), Counter(in_hand)
            found: list[Claimed] = []
            for queue in sorted(self._queues.values(), key=lambda queue: (queue.due_at, queue.number)):
                endpoint = self._endpoints[queue.endpoint_id]
                is_open = endpoint.enabled and endpoint.paused_until <= now and taken[endpoint.id] < per_endpoint
                if is_open and queue.due_at <= now and len(found) < room:
                    taken[endpoint.id] += 1
                    queue.claim, queue.due_at = claim, now + ttl
                    found.append(self._claimed(queue, endpoint, claim))
            return found

    def _claimed(self, queue: _Queue, endpoint: Endpoint, claim: str) -> Claimed:
        run = self._runs[queue.run_id].run
        return Claimed(
            number=queue.number,
            endpoint=endpoint,
            run_id=queue.run_id,
            subject=run.subject,
            plan=run.plan,
            plan_version=run.plan_version,
            claim=claim,
            after=queue.after,
            until=queue.until,
            tries=queue.tries,
            is_resend=queue.lane != "",
            missing_only=queue.missing_only,
        )

    def settle(self, settled: Sequence[Settled]) -> None:
        """Write what became of claimed queues."""
        with self._lock:
            for each in settled:
                self._settle_queue(each)
                for delivery in each.log:
                    self._record(delivery)
                self._settle_endpoint(each)

    def _settle_queue(self, each: Settled) -> None:
        found = (queue for queue in self._queues.values() if queue.number == each.claimed.number)
        queue = next((queue for queue in found if queue.claim == each.claimed.claim), None)
        if queue is None:
            return
        if queue.until <= each.after:
            del self._queues[queue.key]
        else:
            queue.after, queue.tries, queue.claim, queue.due_at = each.after, each.tries, None, self.now() + each.wait

    def _settle_endpoint(self, each: Settled) -> None:
        endpoint = self._endpoints.get(each.claimed.endpoint.id)
        if endpoint is None:
            return
        fields: dict[str, Any] = {"give_ups": (0 if each.answers else endpoint.give_ups) + each.given_up}
        if each.pause > 0:
            fields["paused_until"] = self.now() + each.pause
        if each.disable:
            fields |= {"enabled": False, "disabled_why": each.disable}
        self._keep(replace(endpoint, **fields))

    def resend(self, endpoint_id: str, what: Resend) -> int:
        """Note queues for events of the history that the endpoint wants."""
        with self._lock:
            endpoint = self.endpoint(endpoint_id)
            lane = f"again-{self._next()}"
            wanted = {kept.run.id: [event.seq for event in self._wanted(kept, endpoint, what)] for kept in self._runs.values()}
            for run_id, seqs in wanted.items():
                if seqs:
                    queue = _Queue(self._next(), endpoint_id, run_id, lane, seqs[0] - 1, seqs[-1], missing_only=what.missing_only)
                    self._put(queue)
            return sum(bool(seqs) for seqs in wanted.values())

    def _wanted(self, kept: KeptRun, endpoint: Endpoint, what: Resend) -> Iterator[EventRecord]:
        if what.run_id not in (None, kept.run.id):
            return
        told = self.delivered(endpoint.id, kept.run.id, range(1, kept.run.seq + 1)) if what.missing_only else frozenset()
        for event in kept.events:
            is_within = what.first <= event.seq <= (event.seq if what.last is None else what.last)
            is_timely = (what.since is None or event.at >= what.since) and (what.until is None or event.at < what.until)
            if is_within and is_timely and event.seq not in told and endpoint.wants(event.type, kept.run.plan):
                yield event

    def delivered(self, endpoint_id: str, run_id: str, seqs: Collection[int]) -> frozenset[int]:
        """Which of these events of the run the log shows as delivered."""
        with self._lock:
            told = {
                each.seq
                for each in self._log.values()
                if (each.endpoint_id, each.run_id, each.outcome) == (endpoint_id, run_id, "delivered")
            }
            return frozenset(told & set(seqs))

    def backlog(self) -> dict[str, int]:
        """How many queues each endpoint has."""
        with self._lock:
            return dict(Counter(queue.endpoint_id for queue in self._queues.values()))

    # the log

    def record(self, delivery: Delivery) -> Delivery:
        """Enter a delivery that belongs to no queue; with its number."""
        with self._lock:
            return self._record(delivery)

    def _record(self, delivery: Delivery) -> Delivery:
        number = self._next()
        self._log[number] = replace(delivery, number=number)
        return self._log[number]

    def deliveries(self, where: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Newest first. Raises InvalidInput for a cursor that is not one."""
        before = None if cursor is None else number_in(cursor)
        with self._lock:
            found = list(islice((each for each in reversed(self._log.values()) if _fits(each, where, before)), limit + 1))
        more = cursor_after(found[limit - 1].number) if len(found) > limit else None
        return DeliveryPage(items=tuple(found[:limit]), next_cursor=more)

    def delivery(self, number: int) -> Delivery:
        """Raises NotFound."""
        with self._lock:
            found = self._log.get(number)
            if found is None:
                raise NotFound(f"There is no delivery {number}.", code="delivery_not_found")
            return found

    def trim(self, *, before: float) -> int:
        """Forget deliveries tried before this time."""
        with self._lock:
            kept = {number: each for number, each in self._log.items() if each.at >= before}
            count, self._log = len(self._log) - len(kept), kept
            return count

    def now(self) -> float:
        """The store's clock."""
        return self._clock.now()


def _fits(delivery: Delivery, where: DeliveryFilter, before: int | None) -> bool:
    named = (
        (where.endpoint_id, delivery.endpoint_id),
        (where.run_id, delivery.run_id),
        (where.message_id, delivery.message_id),
    )
    is_named = all(wanted in (None, there) for wanted, there in named)
    return is_named and (before is None or delivery.number < before) and (not where.outcomes or delivery.outcome in where.outcomes)
