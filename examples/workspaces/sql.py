"""Transactions on any of the backend's databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event


@contextmanager
def transaction(url: str | URL) -> Iterator[Connection]:
    """One connection and one transaction on it, committed at the end. On SQLite too, tables are made and changed inside it."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _leave_transactions_to_us(connection: Any, _record: Any) -> None:
    """Python's driver for SQLite would begin a transaction before an INSERT only, not before a CREATE TABLE."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
