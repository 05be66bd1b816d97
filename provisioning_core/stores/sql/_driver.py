"""Statements that the driver runs by itself, for what is written with every commit.

SQLAlchemy writes the text of each once and stays out of the way then: one ``executemany`` costs a quarter of what the same rows cost
through ``Connection.execute``. Errors come out as SQLAlchemy's all the same, so whoever translates them sees one kind only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Protocol

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import DBAPIError

Values = tuple[Any, ...]


class Batch(Protocol):
    """A statement that takes any number of rows at once."""

    def run(self, driver: Any, rows: Sequence[Values]) -> Any:
        """Run it with these rows; gives the cursor, whose ``rowcount`` is that of all rows together."""
        ...


class Prepared:
    """One statement that is run for each row, and the names of its parameters in the order in which rows give them."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, names: Iterable[str] | None = None) -> None:
        """``names``: the order in which whoever uses it gives its values."""
        compiled: Any = statement.compile(dialect=dialect)
        self.text: str = compiled.string
        self.names: tuple[str, ...] = tuple(compiled.positiontup)
        if names is not None and self.names != tuple(names):
            raise TypeError(f"values come in the order {names}, the statement takes {self.names}")

    def values(self, row: dict[str, Any]) -> Values:
        """A row of named values, in the statement's order."""
        return tuple([row[name] for name in self.names])

    def run(self, driver: Any, rows: Sequence[Values]) -> Any:
        cursor = driver.cursor()
        cursor.executemany(self.text, rows)
        return cursor

    def first(self, driver: Any, row: dict[str, Any]) -> Any:
        """Run it for one row; gives the first that it returns, or None."""
        rows = driver.cursor().execute(self.text, self.values(row)).fetchall()
        return rows[0] if rows else None


class PreparedAtOnce:
    """One statement that takes all rows in one go, as one JSON text: a server then reads one message, and plans once."""

    def __init__(self, statement: ClauseElement, dialect: Dialect, names: Iterable[str]) -> None:
        """``names``: the order in which whoever uses it gives its values."""
        self._names = tuple(names)
        self.text = Prepared(statement, dialect, ["rows"]).text

    def run(self, driver: Any, rows: Sequence[Values]) -> Any:
        cursor = driver.cursor()
        cursor.execute(self.text, [as_json(self._names, rows)])
        return cursor


def as_json(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Rows of values as one JSON text, in which whatever is None is left out: a row of steps is half empty."""
    names = tuple(names)
    return _encode([{name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows])


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def driver_of(connection: Connection, *, at_once: bool = False) -> AbstractContextManager[Any]:
    """The driver's own connection. ``at_once``: a server gets the block's statements in one go; their results are there behind it."""
    driver: Any = connection.connection.dbapi_connection
    lent = _Lent(connection, driver)
    return _in_one_go(lent, driver) if at_once and hasattr(driver, "pipeline") else lent


class _Lent(AbstractContextManager[Any]):
    """A class, since it is entered several times with every commit: a generator costs three times as much."""

    __slots__ = ("_connection", "_driver")

    def __init__(self, connection: Connection, driver: Any) -> None:
        self._connection = connection
        self._driver = driver

    def __enter__(self) -> Any:
        return self._driver

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, self._connection.dialect.loaded_dbapi.Error):
            raise _as_sqlalchemys(error, self._connection, self._driver) from error


@contextmanager
def _in_one_go(lent: _Lent, driver: Any) -> Iterator[Any]:
    with lent, driver.pipeline():
        yield driver


def _as_sqlalchemys(error: Any, connection: Connection, driver: Any) -> BaseException:
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, driver, None)
    if is_lost:
        connection.invalidate(error)
    options: dict[str, Any] = {"hide_parameters": True, "connection_invalidated": is_lost, "dialect": dialect}
    wrapped: BaseException = DBAPIError.instance(None, None, error, dialect.loaded_dbapi.Error, **options)
    return wrapped
