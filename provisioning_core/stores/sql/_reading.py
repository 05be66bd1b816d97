"""Reading runs and what belongs to them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from provisioning_core.errors import NotFound, ProvisioningError
from provisioning_core.model import (
    EventRecord,
    PlanGraph,
    RequestRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    StepRecord,
    UnreadableRun,
)
from provisioning_core.ports import RunHead, RunPageRecord
from provisioning_core.stores._cursors import cursor_after, number_in
from provisioning_core.stores.sql._codec import (
    RUN_NAMES,
    completion_record,
    event_record,
    request_record,
    resource_record,
    run_record,
    step_record,
)
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._query import Query, Rows, rows_of
from provisioning_core.stores.sql._statements import ReadStatements
from provisioning_core.stores.sql._tables import runs

_T = TypeVar("_T")
_GRAPHS_KEPT = 64
_HAS_COMPLETIONS, _HAS_REQUESTS = -2, -1
"""Where a run's row tells of these."""
_DAMAGE = (ValueError, TypeError, KeyError, AttributeError)
"""What decoding raises when a row was damaged, or written by another version."""


@contextmanager
def undamaged() -> Iterator[None]:
    """What can't be decoded is told as an error of the store."""
    try:
        yield
    except _DAMAGE as error:
        problem = f"A run's records can't be read ({type(error).__name__}: {error})."
        hint = "Deploy the version that wrote them, or restore the rows from a backup."
        raise ProvisioningError(problem, code="unreadable_run", hint=hint) from error


class Reader:
    """Reads on a connection. Keeps the graphs it met last: most runs share a few, and a graph never changes."""

    def __init__(self, sql: SqlDialect) -> None:
        self._sql = sql
        self._do = ReadStatements(sql)
        self._graphs: dict[str, PlanGraph] = {}
        self._keeping = threading.Lock()

    def snapshots(self, connection: Connection, ids: Sequence[str]) -> list[RunSnapshot]:
        """In the order of the ids; those that don't exist are left out."""
        if not ids:
            return []
        do = self._do
        asked = {"ids": self._sql.many(ids)}
        found, steps, resources = rows_of(connection, (do.runs, do.steps, do.resources), asked)
        records = {run.id: run for run in map(run_record, found)}
        graphs = self._graphs_of(connection, {run.fingerprint for run in records.values()})
        steps_of = _steps_by_run(steps)
        resources_of = _by_run(do.resources, resources, resource_record)
        # Few runs have what follows, and none for long: with the runs came whether there is any.
        completions = do.completions.rows(connection, **asked) if any(row[_HAS_COMPLETIONS] for row in found) else []
        requests = do.requests.rows(connection, **asked) if any(row[_HAS_REQUESTS] for row in found) else []
        completions_of = _by_run(do.completions, completions, completion_record)
        requests_of = _by_run(do.requests, requests, request_record)
        return [
            RunSnapshot(
                run=records[run_id],
                graph=graphs[records[run_id].fingerprint],
                steps=steps_of.get(run_id, {}),
                resources=tuple(resources_of.get(run_id, ())),
                completions=tuple(completions_of.get(run_id, ())),
                requests=tuple(requests_of.get(run_id, ())),
            )
            for run_id in ids
            if run_id in records
        ]

    def readable(self, connection: Connection, ids: Sequence[str]) -> list[RunSnapshot | UnreadableRun]:
        """The same, for runs that exist; one that can't be read says so, and does not keep the others from being read."""
        try:
            return [*self.snapshots(connection, ids)]
        except _DAMAGE:
            return [self._alone(connection, run_id) for run_id in ids]

    def _alone(self, connection: Connection, run_id: str) -> RunSnapshot | UnreadableRun:
        try:
            return self.snapshots(connection, [run_id])[0]
        except _DAMAGE as error:
            (epoch,) = self._do.epoch.first(connection, run_id=run_id) or (0,)
            return UnreadableRun(id=run_id, epoch=int(epoch), problem=f"{type(error).__name__}: {error}")

    def _graphs_of(self, connection: Connection, fingerprints: Collection[str]) -> dict[str, PlanGraph]:
        with self._keeping:
            found = {each: self._graphs[each] for each in fingerprints if each in self._graphs}
        missing = [each for each in fingerprints if each not in found]
        if missing:
            rows = self._do.graphs.rows(connection, fingerprints=self._sql.many(missing))
            found |= {fingerprint: PlanGraph.from_json(text) for fingerprint, text in rows}
            self._keep({each: found[each] for each in missing})
        return found

    def _keep(self, graphs: Mapping[str, PlanGraph]) -> None:
        with self._keeping:
            self._graphs |= graphs
            for oldest in list(self._graphs)[:-_GRAPHS_KEPT]:
                del self._graphs[oldest]

    def head(self, connection: Connection, run_id: str) -> RunHead:
        row = self._do.head.first(connection, run_id=run_id)
        if row is None:
            raise run_not_found(run_id)
        return _head(row)

    def heads(self, connection: Connection, ids: Collection[str]) -> dict[str, RunHead]:
        return {row[0]: _head(row) for row in self._do.heads.rows(connection, ids=self._sql.many(ids))}

    def latest(self, connection: Connection, subject: str) -> RunRecord | None:
        return _run_or_none(self._do.latest.first(connection, subject=subject))

    def by_idempotency_key(self, connection: Connection, subject: str, key: str) -> RunRecord | None:
        return _run_or_none(self._do.by_key.first(connection, subject=subject, key=key))

    def page(self, connection: Connection, where: RunFilter, limit: int, cursor: str | None) -> RunPageRecord:
        """Newest first."""
        wanted = select(*(runs.c[name] for name in RUN_NAMES), runs.c.number).order_by(runs.c.number.desc()).limit(limit + 1)
        if cursor is not None:
            wanted = wanted.where(runs.c.number < number_in(cursor))
        if where.status:
            wanted = wanted.where(runs.c.status.in_([str(status) for status in where.status]))
        for column, value in ((runs.c.plan, where.plan), (runs.c.subject, where.subject)):
            if value is not None:
                wanted = wanted.where(column == value)
        rows = connection.execute(wanted).all()
        more = cursor_after(rows[limit - 1].number) if len(rows) > limit else None
        read = [_record_or_problem(row) for row in rows[:limit]]
        return RunPageRecord(
            items=tuple(each for each in read if isinstance(each, RunRecord)),
            next_cursor=more,
            unreadable=tuple(each for each in read if isinstance(each, UnreadableRun)),
        )

    def counts(self, connection: Connection) -> dict[str, int]:
        return dict(self._do.counts.rows(connection))

    def events(self, connection: Connection, run_id: str, after: int, limit: int) -> list[EventRecord]:
        return [event_record(row) for row in self._do.events.rows(connection, run_id=run_id, after=after, most=limit)]

    def owned_requests(self, connection: Connection, engine_id: str) -> list[RequestRecord]:
        query = self._do.owned_requests
        return [request_record(row) for row in _named(query, query.rows(connection, engine=engine_id))]

    def durations(self, connection: Connection, plan: str) -> dict[str, float]:
        return dict(self._do.durations.rows(connection, plan=plan))


def _steps_by_run(rows: Rows) -> dict[str, dict[str, StepRecord]]:
    found: dict[str, dict[str, StepRecord]] = defaultdict(dict)
    for row in rows:
        step = step_record(row)
        found[row[0]][step.name] = step
    return found


def _by_run(query: Query, rows: Rows, record: Callable[[Mapping[str, Any]], _T]) -> dict[str, list[_T]]:
    found: dict[str, list[_T]] = defaultdict(list)
    for row in _named(query, rows):
        found[row["run_id"]].append(record(row))
    return found


def _named(query: Query, rows: Rows) -> Iterator[dict[str, Any]]:
    """For what there are few of: by the columns' names."""
    return (dict(zip(query.names, row, strict=True)) for row in rows)


def _run_or_none(row: Any) -> RunRecord | None:
    return None if row is None else run_record(row)


def _record_or_problem(row: Any) -> RunRecord | UnreadableRun:
    try:
        return run_record(row)
    except _DAMAGE as error:
        return UnreadableRun(id=row.id, epoch=row.epoch, problem=f"{type(error).__name__}: {error}")


def _head(row: Sequence[Any]) -> RunHead:
    _, status, version, seq, has_requests, is_set_aside = row
    return RunHead(status=status, version=version, seq=seq, has_requests=bool(has_requests), is_set_aside=bool(is_set_aside))


def run_not_found(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id!r}.", code="run_not_found")
