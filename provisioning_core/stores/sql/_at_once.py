"""A whole commit, or a whole new run, as one statement: one message to the server, and one answer.

Theory of operation. PostgreSQL carries out a statement whole or not at all, so one that is sent by itself is a transaction that needs
no BEGIN and no COMMIT, and waits for one answer instead of several. Its parts all see the database as it was when the statement
began, and are carried out in any order, unless one asks for what another returns. So each asks for what must have happened before it:
no run is written before all are locked, in one order, and found to be the writer's; no step before its run. Where that is not so
nothing is written at all, and whoever asked does the same with care. (The counters of one run need no look before: their UPDATE is
the look.)

A run's whole row says when it is looked at next, and must not say later than a verb that waits for it. A verb that was recorded since
the statement began can't be seen in it; but it touched the run's row, which then is not in the place where it was seen.
"""

# ruff: noqa: S608  the statements are put together from our own texts alone
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from provisioning_core.model import RunStatus
from provisioning_core.ports import RunChange
from provisioning_core.stores.sql._codec import EVENT_NAMES, STEP_NAMES, Row, Values
from provisioning_core.stores.sql._driver import as_json
from provisioning_core.stores.sql._statements import CHANGING, COUNTERS, GUARD
from provisioning_core.stores.sql._tables import events, runs, steps

_Types = Mapping[str, TypeEngine[Any]]

_RUN = {column.name: column.type for column in runs.c if column.name != "number"}
_GUARD = {name: column.type for name, column in GUARD.items()}
_COUNTERS = {name: _RUN[name] for name in COUNTERS} | _GUARD
_ROW = {name: _RUN[name] for name in CHANGING} | _GUARD | {"is_whole": Boolean()}
_STEP = {name: steps.c[name].type for name in STEP_NAMES}
_EVENT = {name: events.c[name].type for name in EVENT_NAMES}


def fits_one_statement(changes: Sequence[RunChange]) -> bool:
    """Whether nothing of these changes is of the kind that few commits have, or has to come before or behind something else."""
    return not any(
        change.resources
        or change.settled
        or change.requests_done
        or change.removed_steps
        or change.graph is not None
        or change.run.status is RunStatus.ROLLED_BACK
        for change in changes
    )


class AtOnce:
    """What PostgreSQL is asked for on a connection that commits each statement by itself."""

    def __init__(self) -> None:
        self._count_one = _with(_COUNTERS, f"{_counted(_IS_MINE)}, {_COUNTERS_WRITTEN}, {_WRITTEN_WITH_IT}", few=_FEW)
        counted = f"{_LOCKED}, {_MET}, {_counted(_ARE_MET)}, {_COUNTERS_WRITTEN}"
        self._count_many = _with(_COUNTERS, f"{counted}, {_WRITTEN_WITH_IT}", few=_FEW)
        rows = (
            f"{_SEEN}, {_LOCKED}, {_MET_WHERE_SEEN}, {_REWRITTEN}, {_counted(f'NOT given.is_whole AND {_ARE_MET}')}, {_ROWS_WRITTEN}"
        )
        self._commit_rows = _with(_ROW, f"{rows}, {_WRITTEN_WITH_IT}", few=_FEW)
        self._create = _with(_RUN, f"{_KNOWN}, {_CREATED}, {_WRITTEN_WITH_IT}", "yes, EXISTS (SELECT FROM known)")

    def commit(
        self, driver: Any, counters: Sequence[Values], rows: Sequence[Row], steps: Sequence[Values], events: Sequence[Values]
    ) -> bool:
        """Write ``counters`` of some runs and whole ``rows`` of others; False, and nothing written, when one is not met."""
        if rows:
            whole = [row | {"is_whole": True} for row in rows]
            whole += [dict(zip(_COUNTERS, values, strict=True), is_whole=False) for values in counters]
            statement, given = self._commit_rows, as_json(_ROW, [[row.get(name) for name in _ROW] for row in whole])
        else:
            statement, given = self._count_one if len(counters) == 1 else self._count_many, as_json(_COUNTERS, counters)
        is_written, *_ = _asked(driver, statement, given, steps, events)
        return bool(is_written)

    def create(self, driver: Any, row: Row, steps: Sequence[Values], events: Sequence[Values]) -> bool | None:
        """False when a rule of the data refuses the run, None when its graph is not there yet; nothing is written then."""
        is_written, is_known = _asked(driver, self._create, as_json(_RUN, [[row[name] for name in _RUN]]), steps, events)
        return bool(is_written) if is_known else None


def _asked(driver: Any, statement: str, given: str, steps: Sequence[Values], events: Sequence[Values]) -> Any:
    # Prepared at once: it takes the server longer to plan than to carry out.
    return driver.execute(statement, (given, as_json(_STEP, steps), as_json(_EVENT, events)), prepare=True).fetchone()


# the statements, part by part


def _names(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _typed(types: _Types) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return ", ".join(f'"{name}" {kind.compile(dialect)}' for name, kind in types.items())


def _rows(types: _Types) -> str:
    return f"json_to_recordset(%s::json) AS given ({_typed(types)})"


def _set(names: Iterable[str], source: str) -> str:
    return ", ".join(f'"{name}" = {source}."{name}"' for name in names)


def _with(given: _Types, parts: str, answer: str = "yes", few: str = "true") -> str:
    return f"WITH given AS MATERIALIZED (SELECT * FROM {_rows(given)} WHERE {few}), {parts} SELECT {answer} FROM written"


# Always so. But the planner takes a JSON text for 100 rows and an equation for one in 200: without this it would, while there are few
# runs, rather read them all than look up so many by the index, and go on with that plan when there are a lot of them.
_FEW = "given.b_id = given.b_id || ''"


_IS_MINE = "runs.epoch = given.b_epoch AND runs.owner IS NOT DISTINCT FROM given.b_owner AND runs.version < given.b_below"
_ARE_MET = "(SELECT yes FROM met)"

_LOCKED = f"""
locked AS MATERIALIZED (
    SELECT runs.id, runs.ctid AS place FROM provisioning_runs AS runs JOIN given ON runs.id = given.b_id WHERE {_IS_MINE}
    ORDER BY runs.id FOR NO KEY UPDATE OF runs
)"""
_MET = "met AS (SELECT (SELECT count(DISTINCT id) FROM locked) = (SELECT count(*) FROM given) AS yes)"

_SEEN = "seen AS MATERIALIZED (SELECT runs.id, runs.ctid AS place FROM provisioning_runs AS runs JOIN given ON runs.id = given.b_id)"
_MET_WHERE_SEEN = """
met AS (
    SELECT (SELECT count(DISTINCT id) FROM locked JOIN seen USING (id, place)) = (SELECT count(*) FROM given)
    AND NOT EXISTS (SELECT FROM provisioning_requests AS requests JOIN given ON requests.run_id = given.b_id) AS yes
)"""


def _counted(which: str) -> str:
    return f"""
    counted AS (
        UPDATE provisioning_runs AS runs SET {_set(COUNTERS, "given")} FROM given
        WHERE runs.id = given.b_id AND {which} RETURNING runs.id
    )"""


_COUNTERS_WRITTEN = "written AS (SELECT (SELECT count(*) FROM counted) = (SELECT count(*) FROM given) AS yes)"

_REWRITTEN = f"""
rewritten AS (
    UPDATE provisioning_runs AS runs SET {_set(CHANGING, "given")} FROM given
    WHERE runs.id = given.b_id AND given.is_whole AND {_ARE_MET} RETURNING runs.id
)"""
_ROWS_WRITTEN = """
written AS (SELECT (SELECT count(*) FROM rewritten) + (SELECT count(*) FROM counted) = (SELECT count(*) FROM given) AS yes)"""

# The graph is kept from being pruned, as the run's reference to it would: that is checked when all parts are done.
_KNOWN = """
known AS MATERIALIZED (
    SELECT fingerprint FROM provisioning_graphs WHERE fingerprint = (SELECT fingerprint FROM given) FOR KEY SHARE
)"""
_CREATED = f"""
created AS (
    INSERT INTO provisioning_runs ({_names(_RUN)}) SELECT {_names(_RUN)} FROM given WHERE EXISTS (SELECT FROM known)
    ON CONFLICT DO NOTHING RETURNING id
),
written AS (SELECT EXISTS (SELECT FROM created) AS yes)"""

_WRITTEN_WITH_IT = f"""
stepped AS (
    INSERT INTO provisioning_steps ({_names(_STEP)}) SELECT {_names(_STEP)} FROM {_rows(_STEP)} WHERE (SELECT yes FROM written)
    ON CONFLICT (run_id, name) DO UPDATE SET {_set(STEP_NAMES[2:], "excluded")}
),
told AS (
    INSERT INTO provisioning_events ({_names(_EVENT)}) SELECT {_names(_EVENT)} FROM {_rows(_EVENT)} WHERE (SELECT yes FROM written)
)"""
