"""What SQLite and PostgreSQL say differently."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Dialect,
    Double,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from provisioning_core.stores.sql._driver import Batch, Prepared, PreparedAtOnce

Where = Callable[[Any], Sequence[ColumnElement[bool]]]
"""Makes conditions of the values that are handed in, by name."""


class SqlDialect(ABC):
    """The parts of SQL that differ."""

    name: str
    positional: Dialect
    """Writes statements down for the driver itself, parameters by position."""
    now: ColumnElement[float]
    """The database's clock: seconds since the epoch."""
    has_single_writes = False
    """Whether a whole commit may be one statement (:class:`AtOnce`). Where no network is between, several cost no more."""

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT."""

    @abstractmethod
    def insert_rows(self, table: Table, names: Sequence[str], key: Sequence[str] = ()) -> Batch:
        """Insert rows of these columns; with a ``key``, those that are there already are overwritten."""

    @abstractmethod
    def update_rows(self, where: Where, columns: Mapping[str, Column[Any]], changed: Sequence[str]) -> Batch:
        """Change these columns in each row that is met. ``columns``: the values' names and what they are values of, in order."""

    def upsert(self, statement: Any, table: Table, key: Sequence[str]) -> Any:
        """Overwrite the row with this key, if there is one."""
        changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
        return statement.on_conflict_do_update(index_elements=list(key), set_=changed)

    @abstractmethod
    def among(self, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
        """Whether the column is one of a list, handed in as one parameter: the statement stays the same for any length."""

    @abstractmethod
    def many(self, values: Collection[str]) -> Any:
        """The value of such a parameter."""


class SqliteDialect(SqlDialect):
    """SQLite 3.35 or later."""

    name = "sqlite"
    positional = sqlite.dialect(paramstyle="qmark")
    now = literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)

    def insert(self, table: Table) -> Any:
        return sqlite.insert(table)

    def insert_rows(self, table: Table, names: Sequence[str], key: Sequence[str] = ()) -> Batch:
        statement = self.insert(table)
        return Prepared(self.upsert(statement, table, key) if key else statement, self.positional, names)

    def update_rows(self, where: Where, columns: Mapping[str, Column[Any]], changed: Sequence[str]) -> Batch:
        given = {name: bindparam(name, type_=column.type) for name, column in columns.items()}
        table = next(iter(columns.values())).table
        statement = update(table).where(*where(given)).values({name: given[name] for name in changed})
        return Prepared(statement, self.positional, columns)

    def among(self, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
        listed = func.json_each(bindparam(parameter, type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))

    def many(self, values: Collection[str]) -> Any:
        return json.dumps(list(values))


class PostgresDialect(SqlDialect):
    """PostgreSQL 13 or later."""

    name = "postgresql"
    positional = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]
    has_single_writes = True
    now = literal_column("extract(epoch from clock_timestamp())::double precision", Double)

    def insert(self, table: Table) -> Any:
        return postgresql.insert(table)

    def insert_rows(self, table: Table, names: Sequence[str], key: Sequence[str] = ()) -> Batch:
        columns = {name: table.c[name] for name in names}
        given = _rows_of(columns)
        statement = self.insert(table).from_select(list(names), select(*(given.c[name] for name in names)))
        chosen = self.upsert(statement, table, key) if key else statement
        return PreparedAtOnce(chosen, self.positional, names)

    def update_rows(self, where: Where, columns: Mapping[str, Column[Any]], changed: Sequence[str]) -> Batch:
        given = _rows_of(columns)
        table = next(iter(columns.values())).table
        statement = update(table).where(*where(given.c)).values({name: given.c[name] for name in changed})
        return PreparedAtOnce(statement, self.positional, columns)

    def among(self, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
        return column == any_(bindparam(parameter, type_=postgresql.ARRAY(Text)))

    def many(self, values: Collection[str]) -> Any:
        return list(values)


def _rows_of(columns: Mapping[str, Column[Any]]) -> Any:
    """Rows that are handed in as one JSON text."""
    typed = (column(name, each.type) for name, each in columns.items())
    rows = func.json_to_recordset(cast(bindparam("rows", type_=Text), postgresql.JSON))
    return rows.table_valued(*typed).render_derived(name="given", with_types=True)
