"""Writing runs: creating them, and committing what changed of many at once.

Theory of operation. A commit is one ``executemany`` for each table, run by the driver itself. It is written in good faith first:
each run's UPDATE asks that epoch and owner are still the change's and that its version is new, and if a run is not met the whole is
taken back. On PostgreSQL most commits are a single statement instead, which then does nothing (``_at_once``). It is done again with
care: the rows of all runs are locked, in one order, and changes whose epoch or owner is another's are left out whole. The database
checks at each row that no ROLLED_BACK run has an effect, so a run that becomes ROLLED_BACK is written behind its steps, all others
before theirs; and that a subject has one run that occupies it, so runs that leave their subject come first. A commit whose outcome
was unknown may come again; the run's version tells, and what had been written is not written twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Executable, RowMapping

from provisioning_core.model import (
    OCCUPYING,
    Completion,
    ErrorInfo,
    EventRecord,
    PlanGraph,
    RequestRecord,
    ResourceRecord,
    RunRecord,
    RunStatus,
    StatusChange,
)
from provisioning_core.ports import NewRun, RunChange
from provisioning_core.stores.sql._at_once import AtOnce
from provisioning_core.stores.sql._codec import (
    Row,
    completion_row,
    error_text,
    event_values,
    request_row,
    resource_row,
    run_row,
    step_values,
)
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._driver import Batch, Values, driver_of
from provisioning_core.stores.sql._statements import GUARD, WriteStatements

_ANY_VERSION = 2**31 - 1


class Outdated(Exception):
    """What was written in good faith met a run that is another's by now, or was written before: to be taken back."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A change that may be written, and what is stored of its run."""

    change: RunChange
    stored: RowMapping

    @property
    def is_repeated(self) -> bool:
        """An earlier commit of the same change went through, though it was not seen to."""
        return bool(self.stored["version"] >= self.change.run.version)

    @property
    def known_seq(self) -> int:
        """Events up to this number are written already."""
        return int(self.stored["seq"]) if self.is_repeated else 0

    @property
    def new_events(self) -> list[EventRecord]:
        return [event for event in self.change.events if event.seq > self.known_seq]

    @property
    def status_change(self) -> StatusChange | None:
        """What the hook is to be told: how the stored status changes, which may be another than the writer knows of."""
        told, stored = self.change.status_change, RunStatus(self.stored["status"])
        return None if told is None or told.new is stored else replace(told, old=stored)


class Writer:
    """Writes on a connection that is in a transaction."""

    def __init__(self, sql: SqlDialect) -> None:
        self._sql = sql
        self._do = WriteStatements(sql)
        self._at_once = AtOnce()

    def create(self, connection: Connection, new: NewRun) -> bool:
        """False, and nothing written, when a rule of the data refuses the run."""
        self._keep_graph(connection, new.run.fingerprint, new.graph)
        with driver_of(connection) as driver:
            if self._do.insert_run.first(driver, run_row(new.run)) is None:
                return False
        with driver_of(connection, at_once=True) as driver:
            _run(driver, self._do.upsert_steps, [step_values(new.run.id, step) for step in new.steps])
            _run(driver, self._do.insert_events, [event_values(event) for event in new.events])
        return True

    @property
    def has_single_writes(self) -> bool:
        """Whether there are :meth:`create_at_once` and :meth:`write_at_once`, which need a connection for single statements."""
        return self._sql.has_single_writes

    def create_at_once(self, connection: Connection, new: NewRun) -> bool | None:
        """The same as :meth:`create`, and committed. None, and nothing written, when the graph has to be kept first."""
        steps, events = [step_values(new.run.id, step) for step in new.steps], [event_values(event) for event in new.events]
        with driver_of(connection) as driver:
            return self._at_once.create(driver, run_row(new.run), steps, events)

    def write_at_once(self, connection: Connection, changes: Sequence[RunChange]) -> bool:
        """Write and commit all changes, each fit for one statement; False, and nothing written, if one may not be written."""
        counters = [_counters_of(change.run, None) for change in changes if change.only_counters]
        rows = [_update_of(change, None) for change in changes if not change.only_counters]
        steps = [step_values(change.run.id, step) for change in changes for step in change.steps]
        events = [event_values(event) for change in changes for event in change.events]
        with driver_of(connection) as driver:
            return self._at_once.commit(driver, counters, rows, steps, events)

    def guard(self, connection: Connection, changes: Sequence[RunChange]) -> list[Guarded]:
        """Those changes that may be written; the others' runs belong to somebody else by now."""
        ids = self._sql.many([change.run.id for change in changes])
        stored = {row["id"]: row for row in connection.execute(self._do.guard, {"ids": ids}).mappings()}
        return [Guarded(change, stored[change.run.id]) for change in changes if _is_fresh(change.run, stored.get(change.run.id))]

    def write_in_good_faith(self, connection: Connection, changes: Sequence[RunChange]) -> None:
        """Write all changes, if all may be written. Raises Outdated, and the transaction must be taken back then."""
        updates = self._write(connection, changes, [event for change in changes for event in change.events])
        if sum(cursor.rowcount for cursor in updates) != len(changes):
            raise Outdated

    def write(self, connection: Connection, guarded: Sequence[Guarded]) -> None:
        """Write what :meth:`guard` let through."""
        events = [event for each in guarded for event in each.new_events]
        self._write(connection, [each.change for each in guarded], events, below=_ANY_VERSION)

    def _write(
        self, connection: Connection, changes: Sequence[RunChange], events: Sequence[EventRecord], *, below: int | None = None
    ) -> list[Any]:
        """Gives the cursors of the runs' updates; their row counts are there when this has returned.

        All is written in one order of runs, so that two commits at once don't wait for each other.
        """
        changes = sorted(changes, key=lambda change: change.run.id)
        for change in changes:
            if change.graph is not None:
                self._keep_graph(connection, change.graph.fingerprint, change.graph)
        removed = [{"b_run_id": change.run.id, "b_name": name} for change in changes for name in change.removed_steps]
        _many(connection, self._do.remove_step, removed)
        rows = self._run_rows(changes, below)
        undone = [change for change in changes if change.run.status is RunStatus.ROLLED_BACK]
        others = [change for change in changes if change.run.status is not RunStatus.ROLLED_BACK] if undone else changes
        do = self._do
        with driver_of(connection, at_once=True) as driver:
            self._write_steps(driver, undone)
            updates = [_run(driver, do.update_run, rows.whole), _run(driver, do.count_runs, rows.counters)]
            self._write_steps(driver, others)
            _run(driver, do.insert_events, [event_values(event) for event in events])
        self._write_rest(connection, changes)
        self._keep_verbs(connection, [change for change in changes if not change.only_counters])
        return [cursor for cursor in updates if cursor is not None]

    def shelve(self, connection: Connection, run_id: str, epoch: int, why: ErrorInfo) -> None:
        connection.execute(self._do.shelve, {"b_id": run_id, "b_epoch": epoch, "b_why": error_text(why)})

    def request(self, connection: Connection, request: RequestRecord) -> bool:
        """Record a verb; False when there is no such run."""
        hastened = connection.execute(self._do.hasten, {"b_id": request.run_id, "b_at": request.at})
        if hastened.rowcount == 0:
            return False
        connection.execute(self._do.insert_request, request_row(request))
        return True

    def is_epoch(self, connection: Connection, run_id: str, epoch: int) -> bool:
        """Whether the run still has this epoch; it keeps it until the transaction ends."""
        return bool(connection.execute(self._do.epoch, {"b_id": run_id}).scalar() == epoch)

    def completed(self, connection: Connection, run_id: str, step: str) -> tuple[int | None, int | None]:
        """The run's epoch and the token of the step's completion, once every other transaction on the run has ended."""
        stored = connection.execute(self._do.guard, {"ids": self._sql.many([run_id])}).mappings().first()
        token = connection.execute(self._do.completed, {"b_run_id": run_id, "b_step": step}).scalar()
        return (None if stored is None else stored["epoch"]), token

    def add_completions(self, connection: Connection, run_id: str, completions: Sequence[Completion]) -> None:
        _many(connection, self._do.upsert_completion, [completion_row(run_id, each) for each in completions])

    def add_resources(self, connection: Connection, entries: Iterable[tuple[str, ResourceRecord]]) -> None:
        """Enter them into the ledger; the same thing of the same step is there once, where it was told last."""
        rows = _newest_last(entries)
        keys = [{f"b_{name}": row[name] for name in ("run_id", "step", "kind", "id")} for row in rows]
        _many(connection, self._do.forget_resource, keys)
        _many(connection, self._do.insert_resource, rows)

    def add_durations(self, connection: Connection, plan: str, seconds: Mapping[str, float]) -> None:
        # In one order, so that two engines at once don't wait for each other.
        rows = [{"plan": plan, "step": step, "seconds": float(seconds[step])} for step in sorted(seconds)]
        _many(connection, self._do.add_duration, rows)

    def _keep_graph(self, connection: Connection, fingerprint: str, graph: PlanGraph) -> None:
        # A large graph takes a while to write down, and nearly always it is there.
        if self._do.known_graph.first(connection, known=fingerprint) is None:
            connection.execute(self._do.insert_graph, {"fingerprint": fingerprint, "graph": graph.to_json()})

    def _latest_requests(self, connection: Connection, changes: Sequence[RunChange]) -> dict[str, float]:
        """When the latest verb was recorded that waits for a run, and goes on waiting after this commit."""
        done = {request_id for change in changes for request_id in change.requests_done}
        ids = self._sql.many([change.run.id for change in changes])
        found: dict[str, float] = {}
        for request_id, run_id, at in self._do.pending.rows(connection, ids=ids):
            if request_id not in done:
                found[run_id] = max(at, found.get(run_id, at))
        return found

    def _run_rows(self, changes: Sequence[RunChange], below: int | None) -> _RunRows:
        ordered = sorted(changes, key=_turn)
        return _RunRows(
            whole=[self._do.update_run.values(_update_of(change, below)) for change in ordered if not change.only_counters],
            counters=[_counters_of(change.run, below) for change in ordered if change.only_counters],
        )

    def _keep_verbs(self, connection: Connection, changes: Sequence[RunChange]) -> None:
        """No run sleeps beyond a verb that waits for it. Asked when its row is ours: nobody can record another one meanwhile."""
        if changes:
            for run_id, at in self._latest_requests(connection, changes).items():
                connection.execute(self._do.hasten, {"b_id": run_id, "b_at": at})

    def _write_steps(self, driver: Any, changes: Sequence[RunChange]) -> None:
        _run(driver, self._do.upsert_steps, [step_values(change.run.id, step) for change in changes for step in change.steps])

    def _write_rest(self, connection: Connection, changes: Sequence[RunChange]) -> None:
        """What few commits have."""
        self.add_resources(connection, ((change.run.id, entry) for change in changes for entry in change.resources))
        settled = [{"b_run_id": change.run.id, "b_step": step} for change in changes for step in change.settled]
        _many(connection, self._do.settle, settled)
        done = [request_id for change in changes for request_id in change.requests_done]
        if done:
            connection.execute(self._do.requests_done, {"ids": self._sql.many(done)})


@dataclass(frozen=True, slots=True)
class _RunRows:
    """Rows of runs to be updated: whole ones, and those of which only the counters have moved."""

    whole: list[Values]
    counters: list[Values]


def _turn(change: RunChange) -> bool:
    """Runs that leave their subject come before those that occupy one."""
    return change.run.status in OCCUPYING


def _run(driver: Any, statement: Batch, rows: list[Values]) -> Any:
    return statement.run(driver, rows) if rows else None


def _many(connection: Connection, statement: Executable, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(statement, rows)


def _is_fresh(run: RunRecord, stored: RowMapping | None) -> bool:
    return stored is not None and (stored["epoch"], stored["owner"]) == (run.epoch, run.owner)


def _update_of(change: RunChange, below: int | None) -> Row:
    row = run_row(change.run) | dict(zip(GUARD, _guard_of(change.run, below), strict=True))
    if change.release:
        row["owner"] = None
    return row


def _guard_of(run: RunRecord, below: int | None) -> Values:
    return (run.id, run.epoch, run.owner, run.version if below is None else below)


def _counters_of(run: RunRecord, below: int | None) -> Values:
    return (run.takeovers, run.version, run.seq, run.token, run.progress, *_guard_of(run, below))


def _newest_last(entries: Iterable[tuple[str, ResourceRecord]]) -> list[dict[str, Any]]:
    rows: dict[tuple[str, str, str, str], dict[str, Any]] = {}
    for run_id, entry in entries:
        row = resource_row(run_id, entry)
        key = (run_id, entry.step, entry.kind, entry.id)
        rows.pop(key, None)
        rows[key] = row
    return list(rows.values())
