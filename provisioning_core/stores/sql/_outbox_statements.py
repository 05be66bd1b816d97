"""The statements of webhooks, built once for each store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Executable,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    update,
)

from provisioning_core.outbox import Endpoint, Resend
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._tables import events, runs, webhook_endpoints, webhook_log, webhook_queues

_KEY = ["endpoint", "run_id", "lane"]


class OutboxStatements:
    """For endpoints, queues and the log."""

    def __init__(self, sql: SqlDialect) -> None:
        ends, queues, log = webhook_endpoints, webhook_queues, webhook_log
        fresh = sql.insert(queues)
        # A queue that is there keeps its place, and its time: what is new waits behind what is being tried.
        self.note = fresh.on_conflict_do_update(index_elements=_KEY, set_={"until_seq": fresh.excluded.until_seq})
        self.endpoints = select(ends).order_by(ends.c.number)
        self.endpoint = select(ends).where(ends.c.id == bindparam("b_id"))
        named: dict[str, Any] = {
            column.name: bindparam(column.name) for column in ends.c if column.name not in ("number", "created_at")
        }
        self.add = insert(ends).values(**named, created_at=sql.now)
        self.remove = (
            delete(queues).where(queues.c.endpoint == bindparam("b_id")),
            delete(log).where(log.c.endpoint == bindparam("b_id")),
            delete(ends).where(ends.c.id == bindparam("b_id")),
        )
        self.now = select(sql.now)
        is_due = queues.c.due_at <= sql.now
        self.due = (
            select(ends)
            .where(ends.c.enabled, ends.c.paused_until <= sql.now, exists().where(queues.c.endpoint == ends.c.id, is_due))
            .order_by(ends.c.number)
        )
        self.claimable = (
            select(queues, runs.c.subject, runs.c.plan, runs.c.plan_version)
            .join(runs, runs.c.id == queues.c.run_id)
            .where(queues.c.endpoint == bindparam("endpoint"), is_due)
            .order_by(queues.c.due_at, queues.c.number)
            .limit(bindparam("most"))
            .with_for_update(of=queues, skip_locked=True)
        )
        self.claim = (
            update(queues)
            .where(queues.c.number == bindparam("b_number"))
            .values(claim=bindparam("b_claim"), due_at=sql.now + bindparam("ttl"))
        )
        is_mine = and_(queues.c.number == bindparam("b_number"), queues.c.claim == bindparam("b_claim"))
        self.told = delete(queues).where(is_mine, queues.c.until_seq <= bindparam("b_after"))
        self.settle = (
            update(queues)
            .where(is_mine)
            .values(after_seq=bindparam("b_after"), tries=bindparam("b_tries"), claim=None, due_at=sql.now + bindparam("wait"))
        )
        at_end = ends.c.id == bindparam("b_id")
        self.pause = update(ends).where(at_end).values(paused_until=sql.now + bindparam("pause"))
        self.forget_give_ups = update(ends).where(at_end).values(give_ups=0)
        self.give_up = update(ends).where(at_end).values(give_ups=ends.c.give_ups + bindparam("b_given_up"))
        self.disable = update(ends).where(at_end).values(enabled=False, disabled_why=bindparam("b_why"))
        self.record = insert(log).returning(log.c.number)
        self.delivery = select(log).where(log.c.number == bindparam("b_number"))
        self.delivered = select(log.c.seq).where(
            log.c.endpoint == bindparam("endpoint"),
            log.c.run_id == bindparam("run_id"),
            log.c.seq.between(bindparam("first"), bindparam("last")),
            log.c.outcome == "delivered",
        )
        self.backlog = select(queues.c.endpoint, func.count()).group_by(queues.c.endpoint)
        self.trim = delete(log).where(log.c.at < bindparam("before"))
        self.sweep = delete(queues).where(~exists().where(ends.c.id == queues.c.endpoint))


def resend(endpoint: Endpoint, what: Resend, lane: str) -> Executable:
    """Queues for what the history has of it: one for each run, in a lane of its own."""
    wanted: Select[Any] = (
        select(
            literal(endpoint.id),
            events.c.run_id,
            literal(lane),
            func.min(events.c.seq) - 1,
            func.max(events.c.seq),
            literal(0),
            literal(what.missing_only),
            literal(0.0),
        )
        .join(runs, runs.c.id == events.c.run_id)
        .where(*_bounds(what), or_(false(), *(_typed(pattern) for pattern in endpoint.events)))
        .group_by(events.c.run_id)
    )
    if endpoint.plans:
        wanted = wanted.where(runs.c.plan.in_(endpoint.plans))
    if what.missing_only:
        told = exists().where(
            webhook_log.c.endpoint == endpoint.id,
            webhook_log.c.run_id == events.c.run_id,
            webhook_log.c.seq == events.c.seq,
            webhook_log.c.outcome == "delivered",
        )
        wanted = wanted.where(not_(told))
    columns = [*_KEY, "after_seq", "until_seq", "tries", "missing_only", "due_at"]
    return insert(webhook_queues).from_select(columns, wanted).returning(webhook_queues.c.number)


def _bounds(what: Resend) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [events.c.seq >= what.first]
    if what.last is not None:
        found.append(events.c.seq <= what.last)
    if what.run_id is not None:
        found.append(events.c.run_id == what.run_id)
    if what.since is not None:
        found.append(events.c.at >= what.since)
    if what.until is not None:
        found.append(events.c.at < what.until)
    return found


def _typed(pattern: str) -> ColumnElement[bool]:
    if pattern == "*":
        return events.c.seq > 0
    if pattern.endswith(".*"):
        return events.c.type.startswith(pattern[:-1], autoescape=True)
    return events.c.type == pattern
