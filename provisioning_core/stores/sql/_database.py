"""Where a store is: the one thing of it that differs between SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import URL, Connection, Engine

from provisioning_core.errors import ProvisioningError
from provisioning_core.stores.sql._address import checked_engine, checked_url, is_memory
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._errors import Translator
from provisioning_core.stores.sql._postgres import Postgres
from provisioning_core.stores.sql._sqlite import SqliteFile, SqliteMemory


class Database(Protocol):
    """Gives out connections. What goes wrong in opening, beginning and committing is told as an error of the store."""

    @property
    def url(self) -> URL: ...

    @property
    def sql(self) -> SqlDialect: ...

    @property
    def is_durable(self) -> bool: ...

    @property
    def translated(self) -> Translator: ...

    def write(self, *, is_users: bool = False) -> AbstractContextManager[Connection]:
        """A transaction: committed at the end, rolled back when the block raises.

        ``is_users``: a user's code works in it, and none of the store's time limits holds there.
        """
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """A connection that sees one moment of the database."""
        ...

    def single(self) -> AbstractContextManager[Connection]:
        """A connection for one statement that reads; or writes, where ``sql.has_single_writes``, and is committed at once."""
        ...

    def lock_schema(self, connection: Connection) -> None:
        """Until the transaction ends, nobody else makes or upgrades the schema."""
        ...

    def begin_for(self, connection: Connection) -> None:
        """Make sure that a caller's connection is in a transaction, so that a savepoint in it is one."""
        ...

    def close(self) -> None:
        """Let go of all connections; they come back when they are needed."""
        ...


def database_at(where: str | URL | Engine, busy_timeout: float) -> Database:
    """The database with this URL, or of this engine. Raises ProvisioningError for a kind we don't support, MissingExtra."""
    if isinstance(where, str | URL):
        url, engine = checked_url(where), None
    else:
        engine = checked_engine(where)
        url = engine.url
    if url.get_backend_name() == "postgresql":
        return Postgres(url, busy_timeout, engine)
    if not is_memory(url):
        return SqliteFile(url, busy_timeout)
    if engine is not None:
        hint = "Hand in the URL sqlite:// itself; `store.begin()` gives a connection to it."
        raise ProvisioningError("A database in memory can't be shared with an engine.", code="unsupported_database", hint=hint)
    return SqliteMemory(url, busy_timeout)
