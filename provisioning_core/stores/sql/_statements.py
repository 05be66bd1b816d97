"""The statements, built once for each store: SQLAlchemy then compiles each once, and the drivers prepare it once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    Update,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from provisioning_core.stores.sql._codec import EVENT_NAMES, RUN_NAMES, STEP_NAMES
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._driver import Prepared
from provisioning_core.stores.sql._query import Query
from provisioning_core.stores.sql._tables import completions, durations, engines, events, graphs, requests, resources, runs, steps

_OLD_MEAN = 0.8
COUNTERS = ("takeovers", "version", "seq", "token", "progress")
"""Columns of a run that change with every commit."""
GUARD = {"b_id": runs.c.id, "b_epoch": runs.c.epoch, "b_owner": runs.c.owner, "b_below": runs.c.version}
"""What guards a run's row."""
_COUNTED = {name: runs.c[name] for name in COUNTERS} | GUARD
_FIXED = ("number", "id", "plan", "subject", "created_at", "epoch")
CHANGING = tuple(column.name for column in runs.c if column.name not in _FIXED)
"""Columns of a run that a commit may change."""


class WriteStatements:
    """For creating runs and committing their changes."""

    def __init__(self, sql: SqlDialect) -> None:
        # FOR NO KEY UPDATE: rows that only refer to the run (a transactional step's ledger entries) don't wait for it.
        self.guard = (
            select(runs.c.id, runs.c.epoch, runs.c.owner, runs.c.version, runs.c.seq, runs.c.status)
            .where(sql.among(runs.c.id, "ids"))
            .order_by(runs.c.id)
            .with_for_update(key_share=True)
        )
        pending = select(requests.c.id, requests.c.run_id, requests.c.at).where(sql.among(requests.c.run_id, "ids"))
        self.pending = Query(pending, sql.positional)
        known = select(graphs.c.fingerprint).where(graphs.c.fingerprint == bindparam("known"))
        self.known_graph = Query(known.with_for_update(read=True, key_share=True), sql.positional)
        self.insert_graph = sql.insert(graphs).on_conflict_do_nothing()
        row: dict[str, Any] = {column.name: bindparam(column.name) for column in runs.c if column.name != "number"}
        self.insert_run = Prepared(sql.insert(runs).values(row).on_conflict_do_nothing().returning(runs.c.id), sql.positional)
        self.update_run = Prepared(_guarded(CHANGING), sql.positional)
        self.count_runs = sql.update_rows(_is_mine, _COUNTED, COUNTERS)
        self.upsert_steps = sql.insert_rows(steps, STEP_NAMES, key=("run_id", "name"))
        self.remove_step = delete(steps).where(steps.c.run_id == bindparam("b_run_id"), steps.c.name == bindparam("b_name"))
        self.insert_events = sql.insert_rows(events, EVENT_NAMES)
        self.forget_resource = delete(resources).where(*same(resources, ("run_id", "step", "kind", "id")))
        self.insert_resource = insert(resources)
        self.upsert_completion = sql.upsert(sql.insert(completions), completions, ("run_id", "step"))
        self.completed = select(completions.c.token).where(*same(completions, ("run_id", "step")))
        self.settle = delete(completions).where(*same(completions, ("run_id", "step")))
        self.requests_done = delete(requests).where(sql.among(requests.c.id, "ids"))
        self.insert_request = sql.insert(requests).on_conflict_do_nothing()
        self.shelve = (
            update(runs)
            .where(runs.c.id == bindparam("b_id"), runs.c.epoch == bindparam("b_epoch"))
            .values(owner=None, runnable_at=None, attention=bindparam("b_why"), version=runs.c.version + 1)
        )
        self.hasten = (
            update(runs)
            .where(runs.c.id == bindparam("b_id"))
            .values(runnable_at=case((runs.c.runnable_at <= bindparam("b_at"), runs.c.runnable_at), else_=bindparam("b_at")))
        )
        self.epoch = select(runs.c.epoch).where(runs.c.id == bindparam("b_id")).with_for_update(read=True)
        mean = durations.c.seconds * _OLD_MEAN + sql.insert(durations).excluded.seconds * (1 - _OLD_MEAN)
        self.add_duration = sql.insert(durations).on_conflict_do_update(index_elements=["plan", "step"], set_={"seconds": mean})


def _guarded(names: Iterable[str]) -> Update:
    """Write these columns of a run that is still the writer's, and not beyond ``b_below`` yet."""
    given = {name: bindparam(name, type_=column.type) for name, column in GUARD.items()}
    return update(runs).where(*_is_mine(given)).values({name: bindparam(name) for name in names})


def _is_mine(given: Any) -> list[ColumnElement[bool]]:
    return [
        runs.c.id == given["b_id"],
        runs.c.epoch == given["b_epoch"],
        runs.c.owner.is_not_distinct_from(given["b_owner"]),
        runs.c.version < given["b_below"],
    ]


class LeaseStatements:
    """For engines and what they own. An engine's row tells by the database's clock whether it lives."""

    def __init__(self, sql: SqlDialect) -> None:
        until = sql.now + bindparam("ttl")
        row: dict[str, Any] = {column.name: bindparam(column.name) for column in engines.c if column.name != "expires_at"}
        fresh = sql.insert(engines).values(**row, expires_at=until)
        self.register = fresh.on_conflict_do_update(
            index_elements=["id"], set_={column.name: fresh.excluded[column.name] for column in engines.c if column.name != "id"}
        )
        self.heartbeat = (
            update(engines).where(engines.c.id == bindparam("b_id"), engines.c.expires_at > sql.now).values(expires_at=until)
        )
        self.unregister = delete(engines).where(engines.c.id == bindparam("b_id"))
        self.bury = delete(engines).where(sql.among(engines.c.id, "ids"), engines.c.expires_at <= sql.now)
        self.let_go = update(runs).where(runs.c.owner == bindparam("b_id")).values(owner=None)
        self.engines = select(engines, (sql.now - engines.c.expires_at).label("overdue")).order_by(engines.c.id)
        free = is_free(sql)
        self.claimable = (
            select(runs.c.id)
            .where(runs.c.runnable_at <= bindparam("now"), sql.among(runs.c.plan, "plans"), free)
            .order_by(runs.c.runnable_at, runs.c.number)
            .limit(bindparam("most"))
        )
        self.claim = self.claimable.with_for_update(of=runs, key_share=True, skip_locked=True)
        self.lock_run = select(runs.c.id).where(runs.c.id == bindparam("run_id")).with_for_update(key_share=True)
        is_takeover = runs.c.owner.is_not(None) & (runs.c.owner != bindparam("engine"))
        self.owned = select(runs.c.id).where(runs.c.owner == bindparam("b_id")).order_by(runs.c.number)
        # Asked again whether it is free: what a row was locked by may have been an engine that the first look could not know of yet.
        self.take = (
            update(runs)
            .where(sql.among(runs.c.id, "ids"), or_(runs.c.owner == bindparam("engine"), free))
            .values(owner=bindparam("engine"), epoch=runs.c.epoch + 1, takeovers=runs.c.takeovers + case((is_takeover, 1), else_=0))
            .returning(runs.c.id)
        )


class ReadStatements:
    """For reading. All but lists of runs, which are put together as they are asked for."""

    def __init__(self, sql: SqlDialect) -> None:
        def query(statement: Select[Any]) -> Query:
            return Query(statement, sql.positional)

        every_run = select(*(runs.c[name] for name in RUN_NAMES))
        has_completions, has_requests = (exists().where(each.c.run_id == runs.c.id) for each in (completions, requests))
        more = (has_completions.label("has_completions"), has_requests.label("has_requests"))
        self.runs = query(every_run.add_columns(*more).where(sql.among(runs.c.id, "ids")))
        self.latest = query(every_run.where(runs.c.subject == bindparam("subject")).order_by(runs.c.number.desc()).limit(1))
        self.by_key = query(every_run.where(runs.c.subject == bindparam("subject"), runs.c.idempotency_key == bindparam("key")))
        self.epoch = query(select(runs.c.epoch).where(runs.c.id == bindparam("run_id")))
        self.graphs = query(select(graphs.c.fingerprint, graphs.c.graph).where(sql.among(graphs.c.fingerprint, "fingerprints")))
        self.steps = query(select(*(steps.c[name] for name in STEP_NAMES)).where(sql.among(steps.c.run_id, "ids")))
        self.resources = query(select(resources).where(sql.among(resources.c.run_id, "ids")).order_by(resources.c.number))
        self.completions = query(select(completions).where(sql.among(completions.c.run_id, "ids")))
        in_order = select(requests).order_by(requests.c.at, requests.c.number)
        self.requests = query(in_order.where(sql.among(requests.c.run_id, "ids")))
        is_owned = runs.c.owner == bindparam("engine")
        self.owned_requests = query(in_order.join(runs, runs.c.id == requests.c.run_id).where(is_owned))
        heads = select(
            runs.c.id,
            runs.c.status,
            runs.c.version,
            runs.c.seq,
            has_requests.label("has_requests"),
            runs.c.attention.is_not(None).label("is_set_aside"),
        )
        self.head = query(heads.where(runs.c.id == bindparam("run_id")))
        self.heads = query(heads.where(sql.among(runs.c.id, "ids")))
        self.counts = query(select(runs.c.status, func.count()).group_by(runs.c.status))
        self.events = query(
            select(*(events.c[name] for name in EVENT_NAMES))
            .where(events.c.run_id == bindparam("run_id"), events.c.seq > bindparam("after"))
            .order_by(events.c.seq)
            .limit(bindparam("most"))
        )
        self.durations = query(select(durations.c.step, durations.c.seconds).where(durations.c.plan == bindparam("plan")))


def is_free(sql: SqlDialect) -> ColumnElement[bool]:
    """A run without a living owner."""
    lives = exists().where(engines.c.id == runs.c.owner, engines.c.expires_at > sql.now)
    return or_(runs.c.owner.is_(None), sql.among(runs.c.owner, "dead"), ~lives)


def same(table: Table, names: Iterable[str]) -> list[ColumnElement[bool]]:
    """The row with this key; each part is handed in as ``b_`` and the column's name."""
    return [table.c[name] == bindparam(f"b_{name}") for name in names]
