"""Connections to SQLite.

Theory of operation. SQLite has one writer at a time. A file's writers take a lock of ours first, then ``BEGIN IMMEDIATE``: so the
threads of one process wait in line, and only other processes are waited for by SQLite itself (``busy_timeout`` seconds). Readers have
connections of their own, and in WAL mode neither waits for the other. The driver is kept from beginning transactions by itself.
A database in memory lives in one connection, which reads and writes then share.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, StaticPool, create_engine, event

from provisioning_core.errors import ProvisioningError, StoreUnavailable
from provisioning_core.stores.sql._address import is_memory
from provisioning_core.stores.sql._dialects import SqliteDialect
from provisioning_core.stores.sql._driver import driver_of
from provisioning_core.stores.sql._errors import Translator, let_go

_AGAIN = 0.02
_READERS, _MORE_READERS = 5, 25


class _OneAtATime:
    """A lock that knows who holds it, and does not wait for ever."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        return self._holder == threading.get_ident()

    def __enter__(self) -> None:
        if self.is_mine:
            raise ProvisioningError(
                "This thread is in a transaction of the store already, and SQLite has one writer.",
                code="nested_transaction",
                hint="Pass the transaction's own connection on (connection=), or write after it has ended.",
            )
        if not self._lock.acquire(timeout=self._timeout):
            hint = "A transactional step holds the others up while it runs: keep it short, or use PostgreSQL."
            raise StoreUnavailable(f"SQLite's one writer was busy for {self._timeout:g} s.", hint=hint)
        self._holder = threading.get_ident()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._holder = None
        self._lock.release()


class Sqlite(ABC):
    """What a file and a database in memory have in common."""

    sql = SqliteDialect()

    def __init__(self, url: URL, busy_timeout: float) -> None:
        self.url = url
        self.translated = Translator()
        self._busy_timeout = busy_timeout
        self._turn = _OneAtATime(busy_timeout)
        self._connecting = threading.Lock()
        self._writing: Connection | None = None
        self._kept: Connection | None = None

    @property
    def is_durable(self) -> bool:
        return not is_memory(self.url)

    @contextmanager
    def write(self, *, is_users: bool = False) -> Iterator[Connection]:  # noqa: ARG002  there are no limits to lift
        """A transaction: committed at the end, rolled back when the block raises."""
        with self._turn:
            connection = self._begun()
            self._writing = connection
            try:
                yield connection
                with self.translated(commits=True):
                    connection.commit()
            except BaseException:
                self._kept = None
                let_go(connection)
                raise
            finally:
                self._writing = None

    def _begun(self) -> Connection:
        """The one connection that writes, in a transaction. It is kept from one to the next, unless something went wrong."""
        with self.translated():
            if self._kept is None or self._kept.closed:
                self._kept = self._writer().connect()
            try:
                with driver_of(self._kept) as driver:
                    driver.execute("BEGIN IMMEDIATE")
                self._kept.begin()
            except BaseException:
                let_go(self._kept)
                self._kept = None
                raise
            return self._kept

    def _let_writer_go(self) -> None:
        with self._turn:
            if self._kept is not None:
                let_go(self._kept)
                self._kept = None

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]:
        """A connection that sees one moment of the database."""

    def single(self) -> AbstractContextManager[Connection]:
        """A connection for one statement that reads."""
        return self.read()

    @abstractmethod
    def _writer(self) -> Engine:
        """The engine of the one connection that writes."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections."""

    def lock_schema(self, connection: Connection) -> None:
        """Whoever writes is alone already."""
        assert connection is self._writing  # noqa: S101  the caller's mistake, not a user's

    def begin_for(self, connection: Connection) -> None:
        """Begin in earnest: Python's driver puts it off, and a savepoint outside a transaction commits when it is released."""
        if not _driver_of(connection).in_transaction:
            with self.translated():
                connection.exec_driver_sql("BEGIN IMMEDIATE")

    def _arguments(self) -> dict[str, Any]:
        return {"timeout": self._busy_timeout, "check_same_thread": False, "isolation_level": None}


class SqliteFile(Sqlite):
    """A database in a file."""

    _engines: tuple[Engine, Engine] | None = None

    def __init__(self, url: URL, busy_timeout: float) -> None:
        super().__init__(url, busy_timeout)
        self._kept_readers: list[Connection] = []

    @contextmanager
    def read(self) -> Iterator[Connection]:
        connection = self._reader()
        try:
            with self.translated(), driver_of(connection) as driver:
                driver.execute("BEGIN")
            yield connection
            with self.translated(), driver_of(connection) as driver:
                connection.rollback()
                driver.rollback()
        except BaseException:
            let_go(connection)
            raise
        self._keep_reader(connection)

    def _reader(self) -> Connection:
        """One that was kept from a moment ago, or a new one."""
        with contextlib.suppress(IndexError):
            return self._kept_readers.pop()
        with self.translated():
            return self._connected()[1].connect()

    def _keep_reader(self, connection: Connection) -> None:
        engines = self._engines
        if engines is not None and connection.engine is engines[1] and len(self._kept_readers) < _READERS:
            self._kept_readers.append(connection)
        else:
            let_go(connection)

    def _writer(self) -> Engine:
        return self._connected()[0]

    def close(self) -> None:
        self._let_writer_go()
        with self._connecting:
            engines, self._engines = self._engines, None
        while self._kept_readers:
            let_go(self._kept_readers.pop())
        for engine in engines or ():
            engine.dispose()

    def _connected(self) -> tuple[Engine, Engine]:
        with self._connecting:
            if self._engines is None:
                self._make_file()
                self._engines = (
                    self._engine(_use_wal, pool_size=1, max_overflow=0),
                    self._engine(None, pool_size=_READERS, max_overflow=_MORE_READERS),
                )
            return self._engines

    def _engine(self, first: Any, **pool: int) -> Engine:
        engine = create_engine(self.url, connect_args=self._arguments(), hide_parameters=True, pool_use_lifo=True, **pool)
        event.listen(engine, "connect", _set_pragmas)
        if first is not None:
            event.listen(engine, "connect", lambda connection, _: first(connection, self._busy_timeout))
        return engine

    def _make_file(self) -> None:
        """A new file is readable for its owner only; SQLite's companion files then are, too."""
        path = self.url.database or ""
        if path.startswith("file:"):
            return
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        except FileNotFoundError as error:
            folder = Path(path).absolute().parent
            raise StoreUnavailable(
                f"The folder of the store's file is missing: {folder}.", hint=f"Make it: mkdir -p {folder}"
            ) from error
        except OSError as error:
            hint = "Check the path, and who may write there."
            raise StoreUnavailable(f"The store's file can't be made: {error.strerror}: {path}.", hint=hint) from error


class SqliteMemory(Sqlite):
    """A database in memory: one connection, gone when the store is closed."""

    _engine: Engine | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self._turn.is_mine and self._writing is not None:  # inside its own transaction a thread reads what it wrote
            yield self._writing
            return
        with self._turn:
            with self.translated():
                connection = self._writer().connect()
            try:
                yield connection
            finally:
                let_go(connection)

    def _writer(self) -> Engine:
        with self._connecting:
            if self._engine is None:
                self._engine = create_engine(self.url, connect_args=self._arguments(), poolclass=StaticPool)
                event.listen(self._engine, "connect", _set_pragmas)
            return self._engine

    def close(self) -> None:
        self._let_writer_go()
        with self._connecting:
            engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def _driver_of(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _set_pragmas(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _use_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Switch the file to WAL. SQLite does not wait for others when it does this, so we do."""
    deadline, pause = time.monotonic() + patience, threading.Event()
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            pause.wait(_AGAIN)
        else:
            return
