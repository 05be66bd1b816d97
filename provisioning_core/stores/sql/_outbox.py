"""The outbox in a SQL database.

Theory of operation. A queue is a row with a cursor. It comes in the transaction that commits the events, by an upsert that leaves a
row that is there where it is; it goes when it is told to its end. A claim is a word in the row together with a time in the future at
which it is due again, so a sender that falls silent loses it by doing nothing. Whoever settles has to know the word. Times are
the database's.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, select, update

from provisioning_core.errors import NotFound
from provisioning_core.model import EventRecord, RunRecord
from provisioning_core.outbox import (
    STALE_AFTER,
    Claimed,
    Delivery,
    DeliveryFilter,
    DeliveryPage,
    Endpoint,
    Resend,
    Settled,
)
from provisioning_core.stores._cursors import cursor_after, number_in
from provisioning_core.stores._noting import Note, Subscriptions
from provisioning_core.stores.sql._again import again
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._outbox_codec import (
    claimed_record,
    delivery_record,
    delivery_row,
    encoded,
    endpoint_record,
    note_row,
)
from provisioning_core.stores.sql._outbox_statements import OutboxStatements, resend
from provisioning_core.stores.sql._tables import webhook_endpoints, webhook_log

_T = TypeVar("_T")


class SqlOutbox:
    """Endpoints, queues and the log, in the store's own database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._do = OutboxStatements(database.sql)
        self._known = Subscriptions(())
        self._fresh_until = 0.0

    # on the way of a commit

    def note(
        self, connection: Connection, told: Iterable[tuple[RunRecord, Sequence[EventRecord]]], *, is_callers: bool = False
    ) -> None:
        """Note queues for what this transaction commits. Without endpoints it does nothing.

        ``is_callers``: the transaction may see an older moment of the database, so what it says of endpoints is not kept.
        """
        notes = _notes(self._subscriptions(connection, is_callers=is_callers), told)
        if notes:
            # In one order, so that two engines at once don't wait for each other.
            rows = [note_row(note) for note in sorted(notes, key=lambda note: (note.endpoint_id, note.run_id))]
            connection.execute(self._do.note, rows)

    def is_silent(self, told: Iterable[tuple[RunRecord, Sequence[EventRecord]]]) -> bool:
        """Whether :meth:`note` would do nothing, as far as this process knows without asking; False when it would have to ask."""
        return time.monotonic() < self._fresh_until and not _notes(self._known, told)

    def _subscriptions(self, connection: Connection, *, is_callers: bool) -> Subscriptions:
        asked_at = time.monotonic()
        if asked_at < self._fresh_until:
            return self._known
        found = Subscriptions(self._endpoints(connection))
        if not is_callers:
            self._known, self._fresh_until = found, asked_at + STALE_AFTER
        return found

    # endpoints

    def endpoints(self) -> list[Endpoint]:
        """All, oldest first."""
        return self._read(self._endpoints)

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        return self._read(lambda connection: self._endpoint(connection, endpoint_id))

    def add(self, endpoint: Endpoint) -> Endpoint:
        """Keep a new one."""

        def add(connection: Connection) -> Endpoint:
            row = encoded(endpoint)
            del row["created_at"]
            connection.execute(self._do.add, row)
            return self._endpoint(connection, endpoint.id)

        return self._changed(add)

    def change(self, endpoint_id: str, fields: Mapping[str, Any]) -> Endpoint:
        """Set these fields of it, and no others. Raises NotFound."""

        def change(connection: Connection) -> Endpoint:
            if fields:
                statement = update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).values(**encoded(fields))
                connection.execute(statement)
            return self._endpoint(connection, endpoint_id)

        return self._changed(change)

    def remove(self, endpoint_id: str) -> None:
        """With its queues and its log. Raises NotFound."""

        def remove(connection: Connection) -> None:
            self._endpoint(connection, endpoint_id)
            for statement in self._do.remove:
                connection.execute(statement, {"b_id": endpoint_id})

        self._changed(remove)

    def _changed(self, work: Callable[[Connection], _T]) -> _T:
        """What this process does to endpoints it knows at once."""
        try:
            return self._write(work)
        finally:
            self._fresh_until = 0.0

    def _endpoints(self, connection: Connection) -> list[Endpoint]:
        return [endpoint_record(row) for row in connection.execute(self._do.endpoints).mappings()]

    def _endpoint(self, connection: Connection, endpoint_id: str) -> Endpoint:
        row = connection.execute(self._do.endpoint, {"b_id": endpoint_id}).mappings().first()
        if row is None:
            raise NotFound(f"There is no webhook {endpoint_id!r}.", code="webhook_not_found")
        return endpoint_record(row)

    # queues

    def claim(self, claim: str, *, ttl: float, room: int, per_endpoint: int, in_hand: Mapping[str, int]) -> list[Claimed]:
        """Take queues that are due."""
        due = self._read(self._due)
        share = {endpoint.id: per_endpoint - in_hand.get(endpoint.id, 0) for endpoint in due}
        if room <= 0 or not any(most > 0 for most in share.values()):
            return []

        def take(connection: Connection) -> list[Claimed]:
            found: list[Claimed] = []
            for endpoint in self._due(connection):
                most = min(share.get(endpoint.id, 0), room - len(found))
                if most > 0:
                    asked = {"endpoint": endpoint.id, "most": most}
                    rows = connection.execute(self._do.claimable, asked).mappings().all()
                    found.extend(claimed_record(row, endpoint, claim) for row in rows)
            taken = [{"b_number": each.number, "b_claim": claim, "ttl": ttl} for each in found]
            if taken:
                connection.execute(self._do.claim, taken)
            return found

        return self._write(take)

    def _due(self, connection: Connection) -> list[Endpoint]:
        return [endpoint_record(row) for row in connection.execute(self._do.due).mappings()]

    def settle(self, settled: Sequence[Settled]) -> None:
        """Write what became of claimed queues, in one transaction."""
        if any(each.disable for each in settled):
            self._fresh_until = 0.0
        self._write(lambda connection: self._settle(connection, settled))

    def _settle(self, connection: Connection, settled: Sequence[Settled]) -> None:
        # In the order in which commits note them, so that neither waits for the other.
        for each in sorted(settled, key=lambda each: (each.claimed.endpoint.id, each.claimed.run_id, each.claimed.number)):
            mine = {"b_number": each.claimed.number, "b_claim": each.claimed.claim, "b_after": each.after}
            if connection.execute(self._do.told, mine).rowcount == 0:
                connection.execute(self._do.settle, mine | {"b_tries": each.tries, "wait": each.wait})
        rows = [delivery_row(delivery) for each in settled for delivery in each.log]
        if rows:
            connection.execute(webhook_log.insert(), rows)
        for each in sorted(settled, key=lambda each: each.claimed.endpoint.id):
            self._settle_endpoint(connection, each)

    def _settle_endpoint(self, connection: Connection, each: Settled) -> None:
        at_end = {"b_id": each.claimed.endpoint.id}
        if each.answers and each.claimed.endpoint.give_ups:
            connection.execute(self._do.forget_give_ups, at_end)
        if each.given_up:
            connection.execute(self._do.give_up, at_end | {"b_given_up": each.given_up})
        if each.pause > 0:
            connection.execute(self._do.pause, at_end | {"pause": each.pause})
        if each.disable:
            connection.execute(self._do.disable, at_end | {"b_why": each.disable})

    def resend(self, endpoint_id: str, what: Resend) -> int:
        """Note queues for events of the history that the endpoint wants."""
        lane = f"again-{uuid.uuid4().hex}"

        def again_for(connection: Connection) -> int:
            return len(connection.execute(resend(self._endpoint(connection, endpoint_id), what, lane)).all())

        return self._write(again_for)

    def delivered(self, endpoint_id: str, run_id: str, seqs: Collection[int]) -> frozenset[int]:
        """Which of these events of the run the log shows as delivered."""
        if not seqs:
            return frozenset()
        asked = {"endpoint": endpoint_id, "run_id": run_id, "first": min(seqs), "last": max(seqs)}
        return frozenset(self._read(lambda connection: connection.execute(self._do.delivered, asked).scalars().all())) & set(seqs)

    def backlog(self) -> dict[str, int]:
        """How many queues each endpoint has."""
        return dict(self._read(lambda connection: [(name, count) for name, count in connection.execute(self._do.backlog)]))

    # the log

    def record(self, delivery: Delivery) -> Delivery:
        """Enter a delivery that belongs to no queue; with its number."""
        number = self._write(lambda connection: connection.execute(self._do.record, delivery_row(delivery)).scalar_one())
        return self.delivery(number)

    def deliveries(self, where: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Newest first. Raises InvalidInput for a cursor that is not one."""
        wanted = select(webhook_log).order_by(webhook_log.c.number.desc()).limit(limit + 1)
        if cursor is not None:
            wanted = wanted.where(webhook_log.c.number < number_in(cursor))
        named = {"endpoint": where.endpoint_id, "run_id": where.run_id, "message_id": where.message_id}
        for name, value in named.items():
            if value is not None:
                wanted = wanted.where(webhook_log.c[name] == value)
        if where.outcomes:
            wanted = wanted.where(webhook_log.c.outcome.in_(where.outcomes))
        rows = self._read(lambda connection: connection.execute(wanted).mappings().all())
        more = cursor_after(rows[limit - 1]["number"]) if len(rows) > limit else None
        return DeliveryPage(items=tuple(delivery_record(row) for row in rows[:limit]), next_cursor=more)

    def delivery(self, number: int) -> Delivery:
        """Raises NotFound."""
        row = self._read(lambda connection: connection.execute(self._do.delivery, {"b_number": number}).mappings().first())
        if row is None:
            raise NotFound(f"There is no delivery {number}.", code="delivery_not_found")
        return delivery_record(row)

    def trim(self, *, before: float) -> int:
        """Forget deliveries tried before this time, and queues whose endpoint is gone."""

        def trim(connection: Connection) -> int:
            connection.execute(self._do.sweep)
            return connection.execute(self._do.trim, {"before": before}).rowcount

        return self._write(trim)

    def now(self) -> float:
        """The database's clock."""
        return float(self._read(lambda connection: connection.execute(self._do.now).scalar_one()))

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        def write() -> _T:
            with self._database.write() as connection, self._database.translated():
                return work(connection)

        return again(write)

    def _read(self, work: Callable[[Connection], _T]) -> _T:
        def read() -> _T:
            with self._database.single() as connection, self._database.translated():
                return work(connection)

        return again(read)


def _notes(wanted: Subscriptions, told: Iterable[tuple[RunRecord, Sequence[EventRecord]]]) -> list[Note]:
    if not wanted:
        return []
    return [note for run, events in told if events for note in wanted.notes(run.plan, events)]
