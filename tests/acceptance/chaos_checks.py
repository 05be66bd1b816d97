"""What must hold when all is over: of the store, of the ledger that the steps wrote, of the world, and of who wrote what when."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chaos_client import Acknowledged
from sqlalchemy import text

from provisioning_core import RunStatus
from provisioning_core.model import RunSnapshot, StepStatus
from provisioning_core.stores import SqlStore
from provisioning_core.testing import LedgerFile, verify_history

_SQLITE_AUDIT = """
CREATE TABLE chaos_audit (number integer PRIMARY KEY AUTOINCREMENT, run_id text, epoch integer, owner text, version integer);
CREATE TRIGGER chaos_audit AFTER UPDATE ON provisioning_runs BEGIN
    INSERT INTO chaos_audit (run_id, epoch, owner, version) VALUES (NEW.id, NEW.epoch, NEW.owner, NEW.version); END;
"""
_POSTGRES_AUDIT = """
CREATE TABLE chaos_audit (number bigserial PRIMARY KEY, run_id text, epoch integer, owner text, version integer);
CREATE FUNCTION chaos_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO chaos_audit (run_id, epoch, owner, version) VALUES (NEW.id, NEW.epoch, NEW.owner, NEW.version); RETURN NULL; END $$;
CREATE TRIGGER chaos_audit AFTER UPDATE ON provisioning_runs FOR EACH ROW EXECUTE FUNCTION chaos_audit();
"""


def prepare(store: SqlStore, table: str) -> None:
    """The schema, the steps' own table, and a trigger of the database's that writes down each change of a run."""
    store.prepare()
    with store.begin() as connection:
        connection.exec_driver_sql(table)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(_POSTGRES_AUDIT)
        else:
            create, rest = _SQLITE_AUDIT.strip().split(";\n", 1)
            connection.exec_driver_sql(create)
            connection.exec_driver_sql(rest)


_NEVER = float("inf")


class Process(NamedTuple):
    """An attempt and who had it in hand."""

    run: str
    step: str
    token: int
    pid: int
    at: float


def processes(folder: Path, file: str = "processes.jsonl") -> list[Process]:
    """All attempts in the order in which they began; of ``over.jsonl``: in which they were over."""
    path = folder / file
    lines = path.read_text().split("\n") if path.exists() else []
    return [Process(**json.loads(line)) for line in lines if line.startswith("{") and line.endswith("}")]


def problems(store: SqlStore, folder: Path, log: Iterable[Acknowledged], deaths: dict[int, float]) -> list[str]:
    """All that does not hold; empty when everything does."""
    ledger = LedgerFile(folder / "ledger.jsonl").lines()
    runs = {run_id: store.load(run_id) for run_id in all_runs(store)}
    return [
        *map(str, verify_history(store, ledger=ledger)),
        *lost(store, runs, log),
        *restless(runs),
        *left_or_missing(runs, folder, rows(store)),
        *repeated(store, runs, folder),
        *overlaps(folder, deaths),
        *stale_commits(store),
    ]


def all_runs(store: SqlStore) -> list[str]:
    with store.begin() as connection:
        return list(connection.execute(text("SELECT id FROM provisioning_runs")).scalars())


def rows(store: SqlStore) -> Counter[str]:
    with store.begin() as connection:
        return Counter(connection.execute(text("SELECT run_id FROM chaos_rows")).scalars())


def lost(store: SqlStore, runs: dict[str, RunSnapshot], log: Iterable[Acknowledged]) -> Iterable[str]:
    """An acknowledged request that the history does not tell of."""
    actors: dict[str, set[str | None]] = {}
    for each in log:
        if each.run_id not in runs:
            yield f"lost: {each}"
            continue
        if each.run_id not in actors:
            actors[each.run_id] = {event.actor for event in store.events(each.run_id, limit=100_000)}
        if each.actor not in actors[each.run_id]:
            yield f"lost: {each}"


def restless(runs: dict[str, RunSnapshot]) -> Iterable[str]:
    """A run that never came to its end."""
    ended = (RunStatus.SUCCEEDED, RunStatus.ROLLED_BACK, RunStatus.CANCELLED)
    for snapshot in runs.values():
        if snapshot.run.status not in ended or snapshot.requests:
            yield f"restless: {snapshot.run.id} is {snapshot.run.status}, {len(snapshot.requests)} requests wait"


def left_or_missing(runs: dict[str, RunSnapshot], folder: Path, found: Counter[str]) -> Iterable[str]:
    """Files and rows, compared with what the runs say."""
    for snapshot in runs.values():
        run = snapshot.run
        place = folder / "resources" / run.id
        there = {path.name for path in place.iterdir()} if place.exists() else set()
        made = {name for name, step in snapshot.steps.items() if step.status is StepStatus.SUCCEEDED}
        if run.status is RunStatus.ROLLED_BACK and (there or found[run.id]):
            yield f"left: {run.id} is ROLLED_BACK, and {there} and {found[run.id]} rows are there"
        if run.status is RunStatus.SUCCEEDED and (made - there - {"rows", "approval"} or found[run.id] != ("rows" in made)):
            yield f"missing: {run.id} SUCCEEDED with {made}, but {there} and {found[run.id]} rows are there"


def repeated(store: SqlStore, runs: dict[str, RunSnapshot], folder: Path) -> Iterable[str]:
    """A step that was recorded as done and done again; one recorded as done twice."""
    begun: dict[tuple[str, str], int] = Counter()
    for process in processes(folder):
        begun[process.run, process.step] = max(begun[process.run, process.step], process.token)
    for run_id, snapshot in runs.items():
        done = Counter(event.step for event in store.events(run_id, limit=100_000) if event.type == "step.succeeded")
        for name, times in done.items():
            step = snapshot.steps[name or ""]
            if times > step.round:
                yield f"repeated: {run_id} {name} succeeded {times} times"
            if step.status is StepStatus.SUCCEEDED and begun[run_id, step.name] > step.token:
                yield f"repeated: {run_id} {name} succeeded with token {step.token}, and {begun[run_id, step.name]} began"


def overlaps(folder: Path, deaths: dict[int, float]) -> Iterable[str]:
    """An attempt that began while an earlier one of its step might do something still: it was not over, and its process lived."""
    over = {(each.run, each.step, each.token): each.at for each in processes(folder, "over.jsonl")}
    by_step: dict[tuple[str, str], list[Process]] = defaultdict(list)
    for process in processes(folder):
        by_step[process.run, process.step].append(process)
    for (run, step), attempts in by_step.items():
        for before, after in itertools.pairwise(attempts):
            ended = min(over.get((run, step, before.token), _NEVER), deaths.get(before.pid, _NEVER))
            if ended > after.at:
                yield f"overlap: {run} {step}: {after.token} began in {after.pid} while {before.token} was alive in {before.pid}"


def handed_over(store: SqlStore) -> int:
    """How often a run got another owner than it had had."""
    with store.begin() as connection:
        asked = text("SELECT run_id, count(DISTINCT owner) FROM chaos_audit WHERE owner IS NOT NULL GROUP BY run_id")
        return sum(owners - 1 for _, owners in connection.execute(asked))


def stale_commits(store: SqlStore) -> Iterable[str]:
    """A write under an epoch that was over, or two owners of one epoch."""
    with store.begin() as connection:
        audit: Sequence[Any] = connection.execute(text("SELECT run_id, epoch, owner, version FROM chaos_audit ORDER BY number")).all()
    latest: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    owners: dict[tuple[str, int], str] = {}
    for run_id, epoch, owner, version in audit:
        if (epoch, version) < latest[run_id] or version < latest[run_id][1]:
            yield f"stale: {run_id} was at epoch and version {latest[run_id]}, and {(epoch, version)} was written"
        latest[run_id] = (epoch, version)
        if owner is not None and owners.setdefault((run_id, epoch), owner) != owner:
            yield f"stale: {run_id} had two owners in epoch {epoch}"
