"""What SQLite and PostgreSQL say differently."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Double, Table, Text, any_, bindparam, func, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite


class SqlDialect(ABC):
    """The parts of SQL that differ."""

    name: str
    now: ColumnElement[float]
    """The database's clock: seconds since the epoch."""

    @abstractmethod
    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT."""

    @abstractmethod
    def among(self, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
        """Whether the column is one of a list, handed in as one parameter: the statement stays the same for any length."""

    @abstractmethod
    def many(self, values: Collection[str]) -> Any:
        """The value of such a parameter."""


class SqliteDialect(SqlDialect):
    """SQLite 3.35 or later."""

    name = "sqlite"
    now = literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)

    def insert(self, table: Table) -> Any:
        return sqlite.insert(table)

    def among(self, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
        listed = func.json_each(bindparam(parameter, type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))

    def many(self, values: Collection[str]) -> Any:
        return json.dumps(list(values))


class PostgresDialect(SqlDialect):
    """PostgreSQL 13 or later."""

    name = "postgresql"
    now = literal_column("extract(epoch from clock_timestamp())::double precision", Double)

    def insert(self, table: Table) -> Any:
        return postgresql.insert(table)

    def among(self, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
        return column == any_(bindparam(parameter, type_=postgresql.ARRAY(Text)))

    def many(self, values: Collection[str]) -> Any:
        return list(values)
