"""Connections to PostgreSQL.

Theory of operation. Each piece of work has a connection of its own for one transaction: READ COMMITTED where it writes (the rows
that matter are locked, so it sees the latest of them), REPEATABLE READ and read-only where it reads. What is one statement needs no
transaction around it, and is sent on a connection that commits each by itself. A connection that was idle
for a moment is asked whether it is still there before it is used, and nothing is waited for without end: not for a lock, not for
a statement, not for a network that has gone silent. A client that falls silent in the middle of a transaction loses it, and with
it the locks that others wait for. What a user's own code does in a transaction of the store's takes as long as it takes: there
the server's own settings hold.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from provisioning_core.errors import Conflict, MissingExtra, ProvisioningError
from provisioning_core.stores.sql._address import passwords_of
from provisioning_core.stores.sql._dialects import PostgresDialect
from provisioning_core.stores.sql._errors import Translator
from provisioning_core.stores.sql._ready import IDLE, ReadyConnections

_SCHEMA_LOCK = 0x70726F76  # "prov": whoever makes or upgrades the schema holds this advisory lock
_PATIENCE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Seconds (of ``tcp_user_timeout`` milliseconds): a server that is not there any more must not hold the engine for hours."""
_STATEMENT_LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
_SET_LIMITS = """
SELECT set_config(name, wanted, false)
FROM (VALUES ('lock_timeout', %s), ('statement_timeout', %s), ('idle_in_transaction_session_timeout', %s)) AS limits (name, wanted)
WHERE current_setting(name) = '0'
"""
_KEPT, _KEPT_SINGLE = 2, 4
"""Connections that are kept ready for the next transaction that writes or reads; for the next single statement."""
_BROKEN = 3  # libpq's PQTRANS_INERROR


class _Connections:
    """Those of one engine, by what they are for."""

    def __init__(self, engine: Engine, translated: Translator, *, is_own: bool) -> None:
        """``is_own``: some are kept ready; an engine that was handed in has them all back after each use."""
        few, more = (_KEPT, _KEPT_SINGLE) if is_own else (0, 0)
        self.engine = engine
        self.writing = ReadyConnections(engine, translated, most=few, isolation_level="READ COMMITTED")
        self.reading = ReadyConnections(engine, translated, most=few, isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self.single = ReadyConnections(engine, translated, most=more, isolation_level="AUTOCOMMIT")
        self.users = ReadyConnections(engine, translated, most=0, isolation_level="READ COMMITTED")

    def close(self) -> None:
        for kind in (self.writing, self.reading, self.single):
            kind.close()


class Postgres:
    """A PostgreSQL database, by psycopg 3. An engine that was handed in is used, and never disposed of."""

    sql = PostgresDialect()
    is_durable = True

    def __init__(self, url: URL, busy_timeout: float, engine: Engine | None = None) -> None:
        self.url = url
        self._busy_timeout = busy_timeout
        self.translated = Translator(passwords_of(url))
        self._given = None if engine is None else _Connections(engine, self.translated, is_own=False)
        self._own: _Connections | None = None
        self._connecting = threading.Lock()
        self._connections()  # so that a missing driver is told at once

    @contextmanager
    def write(self, *, is_users: bool = False) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back when the block raises. Raises Conflict when a statement had broken it."""
        connections = self._connections()
        with (connections.users if is_users else connections.writing).one() as connection:
            with self.translated():
                connection.begin()  # now, not with the first statement: a step's attempt must know its transaction
            if is_users:
                self._lift_limits(connection)
            yield connection
            _check_unbroken(connection)
            with self.translated(commits=True):
                connection.commit()

    def _lift_limits(self, connection: Connection) -> None:
        with self.translated():
            for limit in _STATEMENT_LIMITS:
                connection.exec_driver_sql(f"SET LOCAL {limit} TO DEFAULT")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with self._connections().reading.one() as connection:
            yield connection
            self._end(connection)

    @contextmanager
    def single(self) -> Iterator[Connection]:
        """A connection that commits each statement by itself, and waits for one answer only."""
        with self._connections().single.one() as connection:
            yield connection
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        with self.translated():
            connection.rollback()

    def close(self) -> None:
        with self._connecting:
            own, self._own = self._own, None
        if own is not None:
            own.close()
            own.engine.dispose()

    def lock_schema(self, connection: Connection) -> None:
        """Wait until nobody else makes or upgrades the schema; held until the transaction ends."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _SCHEMA_LOCK})

    def begin_for(self, connection: Connection) -> None:
        """Refuse a connection that commits each statement by itself."""
        driver: Any = connection.connection.dbapi_connection
        if driver.autocommit:
            raise ProvisioningError(
                "The connection commits every statement by itself, so there is no transaction to join.",
                code="bad_connection",
                hint="Hand in a connection with a transaction (`with engine.begin() as connection`).",
            )

    def _connections(self) -> _Connections:
        if self._given is not None:
            return self._given
        with self._connecting:
            if self._own is None:
                self._own = _Connections(_new_engine(self.url, self._busy_timeout), self.translated, is_own=True)
            return self._own


def _new_engine(url: URL, busy_timeout: float) -> Engine:
    arguments = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    pool: dict[str, Any] = {"pool_size": 10, "max_overflow": 30, "pool_timeout": 10, "pool_use_lifo": True}
    try:
        engine = create_engine(url, connect_args=arguments, hide_parameters=True, **pool)
    except ImportError as error:
        raise MissingExtra("postgres", "A PostgreSQL store") from error
    event.listen(engine, "connect", lambda connection, _: _set_patience(connection, busy_timeout))
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", lambda connection, record, _: _check_alive(engine, connection, record))
    return engine


def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _check_alive(engine: Engine, connection: Any, record: ConnectionPoolEntry) -> None:
    """Ask a connection that was idle; one in steady use is not asked, its next statement tells. The pool then makes a new one."""
    used_at = record.info.get("used_at")
    if used_at is None or time.monotonic() - used_at < IDLE:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error


def _set_patience(connection: Any, busy_timeout: float) -> None:
    """Wait no longer than this for a lock, and twice as long for all else, unless the server, the role or the URL says otherwise."""
    lock, rest = (f"{max(1, round(seconds * 1000))}ms" for seconds in (busy_timeout, 2 * busy_timeout))
    connection.autocommit = True  # in one go: BEGIN and COMMIT would each be one more
    connection.execute(_SET_LIMITS, [lock, rest, rest])
    connection.autocommit = False


def _check_unbroken(connection: Connection) -> None:
    """PostgreSQL answers a commit with a silent rollback when a statement failed, and whoever ran it caught the error."""
    driver: Any = connection.connection.dbapi_connection
    if driver.info.transaction_status == _BROKEN:
        raise Conflict(
            "A statement failed in the transaction and its error was caught, so nothing of the transaction can be recorded.",
            code="transaction_broken",
            hint="Run what may fail in a savepoint: `with connection.begin_nested(): ...`.",
        )
