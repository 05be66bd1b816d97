"""Questions that the driver asks by itself: for what is read with every start, every look and every wait.

SQLAlchemy writes each down once and stays out of the way then: what it does around a SELECT of one row costs several times that.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

from sqlalchemy import Connection, Dialect, Select

from provisioning_core.stores.sql._driver import driver_of

Rows: TypeAlias = list[Any]
"""Each a sequence of the columns' values as the driver gives them: on SQLite a boolean is a number."""


class Query:
    """One SELECT."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text: str = compiled.string
        self.names = tuple(statement.selected_columns.keys())
        """Of the columns, in order."""
        self._asks: tuple[str, ...] = tuple(compiled.positiontup)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    def ask(self, driver: Any, asked: Mapping[str, Any]) -> Any:
        """Gives the cursor. ``asked`` may hold more than this one asks for."""
        cursor = driver.cursor()
        cursor.execute(self.text, self.parameters(asked))
        return cursor

    def parameters(self, asked: Mapping[str, Any]) -> tuple[Any, ...]:
        """In the statement's order."""
        given = {**self._constants, **asked}
        return tuple([given[name] for name in self._asks])

    def rows(self, connection: Connection, **asked: Any) -> Rows:
        with _driver_of(connection) as driver:
            found: Rows = self.ask(driver, asked).fetchall()
            return found

    def first(self, connection: Connection, **asked: Any) -> Any:
        """The first row, or None."""
        rows = self.rows(connection, **asked)
        return rows[0] if rows else None


def rows_of(connection: Connection, queries: tuple[Query, ...], asked: Mapping[str, Any]) -> list[Rows]:
    """Of several at once: a server is asked all of them before it has answered the first."""
    with _driver_of(connection, at_once=True) as driver:
        cursors = [query.ask(driver, asked) for query in queries]
        return [cursor.fetchall() for cursor in cursors]


def _driver_of(connection: Connection, *, at_once: bool = False) -> AbstractContextManager[Any]:
    """In a transaction that SQLAlchemy knows of, as after its own SELECT: else its rollback would leave the driver's open."""
    if not connection.in_transaction():
        connection.begin()
    return driver_of(connection, at_once=at_once)
