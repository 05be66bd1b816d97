"""Connections to PostgreSQL.

Theory of operation. Each piece of work has a connection of its own for one transaction: READ COMMITTED where it writes (the rows
that matter are locked, so it sees the latest of them), REPEATABLE READ and read-only where it reads. A connection that was idle
for a moment is asked whether it is still there before it is used, and nothing is waited for without end: not for a lock, not for
a statement, not for a network that has gone silent. A client that falls silent in the middle of a transaction loses it, and with
it the locks that others wait for. What a user's own code does in a transaction of the store's takes as long as it takes: there
the server's own settings hold.
"""

from __future__ import annotations

import contextlib
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
from provisioning_core.stores.sql._errors import Translator, let_go

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
_IDLE = 0.5
"""Seconds after which a connection that lies in the pool is not trusted to be alive."""
_KEPT = 4
"""Connections that are kept ready for the next thing to be written."""
_BROKEN = 3  # libpq's PQTRANS_INERROR


class Postgres:
    """A PostgreSQL database, by psycopg 3. An engine that was handed in is used, and never disposed of."""

    sql = PostgresDialect()
    is_durable = True

    def __init__(self, url: URL, busy_timeout: float, engine: Engine | None = None) -> None:
        self.url = url
        self._busy_timeout = busy_timeout
        self.translated = Translator(passwords_of(url))
        self._given = engine
        self._own: Engine | None = None
        self._kept: list[tuple[Connection, float]] = []
        self._connecting = threading.Lock()
        self._engine()  # so that a missing driver is told at once

    @contextmanager
    def write(self, *, is_users: bool = False) -> Iterator[Connection]:
        """A transaction: committed at the end, rolled back when the block raises. Raises Conflict when a statement had broken it."""
        if is_users or self._given is not None:
            with self._connection(isolation_level="READ COMMITTED") as connection:
                if is_users:
                    self._lift_limits(connection)
                yield connection
                self._commit(connection)
        else:
            with self._kept_connection() as connection:
                yield connection
                self._commit(connection)

    def _commit(self, connection: Connection) -> None:
        _check_unbroken(connection)
        with self.translated(commits=True):
            connection.commit()

    @contextmanager
    def _kept_connection(self) -> Iterator[Connection]:
        """In a transaction. It was kept from a moment ago, if one was; and is kept again, unless something goes wrong."""
        connection = self._taken()
        try:
            with self.translated():
                connection.begin()
            yield connection
        except BaseException:
            let_go(connection)
            raise
        self._keep(connection)

    def _taken(self) -> Connection:
        while self._kept:
            with contextlib.suppress(IndexError):  # another thread was quicker
                connection, used_at = self._kept.pop()
                if time.monotonic() - used_at < _IDLE:
                    return connection
                let_go(connection)
        with self.translated():
            connection = self._engine().connect()
            return connection.execution_options(isolation_level="READ COMMITTED")

    def _keep(self, connection: Connection) -> None:
        if len(self._kept) < _KEPT and self._own is connection.engine:
            self._kept.append((connection, time.monotonic()))
        else:
            let_go(connection)

    def _lift_limits(self, connection: Connection) -> None:
        with self.translated():
            for limit in _STATEMENT_LIMITS:
                connection.exec_driver_sql(f"SET LOCAL {limit} TO DEFAULT")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with self._connection(isolation_level="REPEATABLE READ", postgresql_readonly=True) as connection:
            yield connection

    @contextmanager
    def _connection(self, **options: Any) -> Iterator[Connection]:
        with self.translated():
            connection = self._engine().connect()
        try:
            with self.translated():
                connection.execution_options(**options)  # the connection's: an engine's would give way to those of one handed in
                connection.begin()  # now, not with the first statement: a step's attempt must know its transaction
            yield connection
        finally:
            let_go(connection)

    def close(self) -> None:
        with self._connecting:
            engine, self._own = self._own, None
        kept, self._kept = self._kept, []
        for connection, _ in kept:
            let_go(connection)
        if engine is not None:
            engine.dispose()

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

    def _engine(self) -> Engine:
        if self._given is not None:
            return self._given
        with self._connecting:
            if self._own is None:
                self._own = _new_engine(self.url, self._busy_timeout)
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
    if used_at is None or time.monotonic() - used_at < _IDLE:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error


def _set_patience(connection: Any, busy_timeout: float) -> None:
    """Wait no longer than this for a lock, and twice as long for all else, unless the server, the role or the URL says otherwise."""
    lock, rest = (f"{max(1, round(seconds * 1000))}ms" for seconds in (busy_timeout, 2 * busy_timeout))
    connection.execute(_SET_LIMITS, [lock, rest, rest])
    connection.commit()


def _check_unbroken(connection: Connection) -> None:
    """PostgreSQL answers a commit with a silent rollback when a statement failed, and whoever ran it caught the error."""
    driver: Any = connection.connection.dbapi_connection
    if driver.info.transaction_status == _BROKEN:
        raise Conflict(
            "A statement failed in the transaction and its error was caught, so nothing of the transaction can be recorded.",
            code="transaction_broken",
            hint="Run what may fail in a savepoint: `with connection.begin_nested(): ...`.",
        )
