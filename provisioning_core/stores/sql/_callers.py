"""A caller's own connection, that a run is created or looked up with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from provisioning_core.errors import ProvisioningError
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._errors import is_missing_table


def connection_of(given: Any, database: Database) -> Connection:
    """The connection, or that of a Session. Raises ProvisioningError for anything else, or for another kind of database."""
    found = given
    if not isinstance(found, Connection) and callable(getattr(found, "connection", None)):
        found = found.connection()
    if not isinstance(found, Connection):
        hint = "Hand in SQLAlchemy's Connection or Session (of an asynchronous one: its sync_connection or sync_session)."
        raise ProvisioningError(f"connection= can't be {type(given).__name__}.", code="bad_connection", hint=hint)
    if found.dialect.name != database.sql.name:
        raise ProvisioningError(
            f"The connection is to {found.dialect.name}, the store is in {database.sql.name}.",
            code="bad_connection",
            hint="Use a connection to the store's own database.",
        )
    return found


@contextmanager
def on_callers(database: Database) -> Iterator[None]:
    """Around statements on a caller's connection: says when it leads to another database than the store's."""
    try:
        with database.translated():
            yield
    except ProvisioningError as error:
        if is_missing_table(error.__cause__):
            raise ProvisioningError(
                "The connection leads to a database without the store's tables.",
                code="bad_connection",
                hint="Use a connection to the store's own database, and open the engine (or `store.prepare()`) first.",
            ) from error
        raise
