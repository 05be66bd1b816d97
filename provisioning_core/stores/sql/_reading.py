"""Reading runs and what belongs to them."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Executable, RowMapping, select

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
    completion_record,
    event_record,
    request_record,
    resource_record,
    run_record,
    step_record,
)
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._statements import ReadStatements
from provisioning_core.stores.sql._tables import runs

_T = TypeVar("_T")
_GRAPHS_KEPT = 64
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
        asked = {"ids": self._sql.many(ids)}
        found = {run.id: run for run in map(run_record, connection.execute(self._do.runs, asked).mappings())}
        graphs = self._graphs_of(connection, {run.fingerprint for run in found.values()})
        steps = self._steps_by_run(connection, asked)
        resources = self._by_run(connection, self._do.resources, asked, resource_record)
        completions = self._by_run(connection, self._do.completions, asked, completion_record)
        requests = self._by_run(connection, self._do.requests, asked, request_record)
        return [
            RunSnapshot(
                run=found[run_id],
                graph=graphs[found[run_id].fingerprint],
                steps={step.name: step for step in steps[run_id]},
                resources=tuple(resources[run_id]),
                completions=tuple(completions[run_id]),
                requests=tuple(requests[run_id]),
            )
            for run_id in ids
            if run_id in found
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
            epoch = connection.execute(self._do.epoch, {"run_id": run_id}).scalar()
            return UnreadableRun(id=run_id, epoch=int(epoch or 0), problem=f"{type(error).__name__}: {error}")

    def _steps_by_run(self, connection: Connection, asked: Mapping[str, Any]) -> dict[str, list[StepRecord]]:
        """There may be thousands, so they are read by position."""
        found: dict[str, list[StepRecord]] = defaultdict(list)
        for run_id, *row in connection.execute(self._do.steps, asked).all():
            found[run_id].append(step_record(row))
        return found

    def _by_run(
        self, connection: Connection, statement: Executable, asked: Mapping[str, Any], record: Callable[[RowMapping], _T]
    ) -> dict[str, list[_T]]:
        found: dict[str, list[_T]] = defaultdict(list)
        for row in connection.execute(statement, asked).mappings().all():
            found[row["run_id"]].append(record(row))
        return found

    def _graphs_of(self, connection: Connection, fingerprints: Collection[str]) -> dict[str, PlanGraph]:
        with self._keeping:
            found = {each: self._graphs[each] for each in fingerprints if each in self._graphs}
        missing = [each for each in fingerprints if each not in found]
        if missing:
            rows = connection.execute(self._do.graphs, {"fingerprints": self._sql.many(missing)})
            found |= {fingerprint: PlanGraph.from_json(text) for fingerprint, text in rows}
            self._keep({each: found[each] for each in missing})
        return found

    def _keep(self, graphs: Mapping[str, PlanGraph]) -> None:
        with self._keeping:
            self._graphs |= graphs
            for oldest in list(self._graphs)[:-_GRAPHS_KEPT]:
                del self._graphs[oldest]

    def head(self, connection: Connection, run_id: str) -> RunHead:
        row = connection.execute(self._do.head, {"run_id": run_id}).mappings().first()
        if row is None:
            raise run_not_found(run_id)
        return _head(row)

    def heads(self, connection: Connection, ids: Collection[str]) -> dict[str, RunHead]:
        rows = connection.execute(self._do.heads, {"ids": self._sql.many(ids)}).mappings()
        return {row["id"]: _head(row) for row in rows}

    def latest(self, connection: Connection, subject: str) -> RunRecord | None:
        return self._one_run(connection, self._do.latest, {"subject": subject})

    def by_idempotency_key(self, connection: Connection, subject: str, key: str) -> RunRecord | None:
        return self._one_run(connection, self._do.by_key, {"subject": subject, "key": key})

    def _one_run(self, connection: Connection, statement: Executable, asked: Mapping[str, Any]) -> RunRecord | None:
        row = connection.execute(statement, asked).mappings().first()
        return None if row is None else run_record(row)

    def page(self, connection: Connection, where: RunFilter, limit: int, cursor: str | None) -> RunPageRecord:
        """Newest first."""
        wanted = select(runs).order_by(runs.c.number.desc()).limit(limit + 1)
        if cursor is not None:
            wanted = wanted.where(runs.c.number < number_in(cursor))
        if where.status:
            wanted = wanted.where(runs.c.status.in_([str(status) for status in where.status]))
        for column, value in ((runs.c.plan, where.plan), (runs.c.subject, where.subject)):
            if value is not None:
                wanted = wanted.where(column == value)
        rows = connection.execute(wanted).mappings().all()
        more = cursor_after(rows[limit - 1]["number"]) if len(rows) > limit else None
        read = [_record_or_problem(row) for row in rows[:limit]]
        return RunPageRecord(
            items=tuple(each for each in read if isinstance(each, RunRecord)),
            next_cursor=more,
            unreadable=tuple(each for each in read if isinstance(each, UnreadableRun)),
        )

    def counts(self, connection: Connection) -> dict[str, int]:
        return {status: count for status, count in connection.execute(self._do.counts)}  # noqa: C416  rows are no pairs for mypy

    def events(self, connection: Connection, run_id: str, after: int, limit: int) -> list[EventRecord]:
        asked = {"run_id": run_id, "after": after, "most": limit}
        return [event_record(row) for row in connection.execute(self._do.events, asked).mappings()]

    def owned_requests(self, connection: Connection, engine_id: str) -> list[RequestRecord]:
        return [request_record(row) for row in connection.execute(self._do.owned_requests, {"engine": engine_id}).mappings()]

    def durations(self, connection: Connection, plan: str) -> dict[str, float]:
        return {step: seconds for step, seconds in connection.execute(self._do.durations, {"plan": plan})}  # noqa: C416  see above


def _record_or_problem(row: RowMapping) -> RunRecord | UnreadableRun:
    try:
        return run_record(row)
    except _DAMAGE as error:
        return UnreadableRun(id=row["id"], epoch=row["epoch"], problem=f"{type(error).__name__}: {error}")


def _head(row: RowMapping) -> RunHead:
    return RunHead(
        status=row["status"],
        version=row["version"],
        seq=row["seq"],
        has_requests=bool(row["has_requests"]),
        is_set_aside=bool(row["is_set_aside"]),
    )


def run_not_found(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id!r}.", code="run_not_found")
