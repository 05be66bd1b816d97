"""Connections that are kept ready between two pieces of work: the way through a pool costs as much as a small statement."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine

from provisioning_core.stores.sql._errors import Translator, let_go

IDLE = 0.5
"""Seconds after which a connection that nobody used is not trusted to be alive."""


class ReadyConnections:
    """Connections of one engine with the same options, of which a few stay checked out from one use to the next.

    One that something goes wrong with is given back to the pool, which looks after it.
    """

    def __init__(self, engine: Engine, translated: Translator, *, most: int, **options: Any) -> None:
        """``most``: how many are kept."""
        self._engine = engine
        self._translated = translated
        self._most = most
        self._options = options
        self._kept: list[tuple[Connection, float]] = []

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """In no transaction; whoever takes it ends those that he begins."""
        connection = self._taken()
        try:
            yield connection
        except BaseException:
            if connection.invalidated:
                self._forget()
            let_go(connection)
            raise
        self._keep(connection)

    def close(self) -> None:
        """Keep none any more."""
        self._most = 0
        while kept := self._popped():
            let_go(kept[0])

    def _forget(self) -> None:
        """What cut one connection has probably cut them all."""
        while kept := self._popped():
            kept[0].invalidate()
            let_go(kept[0])

    def _popped(self) -> tuple[Connection, float] | None:
        """The one that was used last, and when."""
        with contextlib.suppress(IndexError):  # also when another thread was quicker
            return self._kept.pop()
        return None

    def _taken(self) -> Connection:
        while kept := self._popped():
            connection, used_at = kept
            if time.monotonic() - used_at < IDLE or _answers(connection):
                return connection
        with self._translated():
            connection = self._engine.connect()
            try:
                # The connection's options: an engine's would give way to those of an engine that was handed in.
                return connection.execution_options(**self._options)
            except BaseException:
                let_go(connection)
                raise

    def _keep(self, connection: Connection) -> None:
        if len(self._kept) < self._most and not connection.closed:
            self._kept.append((connection, time.monotonic()))
        else:
            let_go(connection)


def _answers(connection: Connection) -> bool:
    """Whether it is still there. One that is not is given up, so that the pool makes a new one."""
    driver: Any = connection.connection.dbapi_connection
    try:
        return connection.dialect.do_ping(driver)
    except connection.dialect.loaded_dbapi.Error as error:
        connection.invalidate(error)
        let_go(connection)
        return False
