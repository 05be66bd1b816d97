"""Asks a database what ``provision doctor`` wants to know. Changes nothing, and makes nothing that is not there."""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter

from sqlalchemy import Connection, Engine, QueuePool, func, select, text

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import StoreFacts
from provisioning_core.stores.sql import _schema
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._files import facts_of
from provisioning_core.stores.sql._tables import runs, schema, steps, webhook_endpoints

_TIMES = 7
_LATEST_RUNS = 300
_SEALED = re.compile(r'(?:"\$secret":"|^)([0-9a-f]{8}):[A-Za-z0-9+/]{16}')


def examine(database: Database) -> StoreFacts:
    """Raises StoreUnavailable, SchemaMismatch."""
    kind, address = database.sql.name, database.url.set(drivername=database.sql.name).render_as_string(hide_password=True)
    file = facts_of(database.url) if kind == "sqlite" else None
    if file is not None and not (file.exists and file.is_writable):
        return StoreFacts(kind=kind, address=address, wanted=_schema.revision(), file=file)
    with database.read() as connection, database.translated():
        version = _schema.version_in(connection)
        pool, server = _connections(connection)
    ahead, error = _clock(database) if kind != "sqlite" else (None, 0.0)
    return StoreFacts(
        kind=kind,
        address=address,
        is_durable=database.is_durable,
        revision=None if version is None else _schema.revision(version),
        wanted=_schema.revision(),
        clock_ahead=ahead,
        clock_error=error,
        write_seconds=None if version is None else _write_seconds(database),
        connections=pool,
        server_connections=server,
        key_ids=_key_ids(database) if version is not None else {},
        file=facts_of(database.url) if kind == "sqlite" else None,
    )


def _clock(database: Database) -> tuple[float, float]:
    """How far the database's clock is ahead, by the quickest of a few answers; and by how much that may be wrong."""
    found = []
    for _ in range(_TIMES):
        with database.read() as connection, database.translated():
            asked, begun = time.time(), time.monotonic()
            there = float(connection.execute(select(database.sql.now)).scalar_one())
            took = time.monotonic() - begun
        found.append((took / 2, there - (asked + took / 2)))
    error, ahead = min(found)
    return ahead, error


def _write_seconds(database: Database) -> float | None:
    """A row that stays as it is, written and committed; None for a role that may not."""
    times = []
    for _ in range(_TIMES):
        begun = time.monotonic()
        try:
            with database.write() as connection, database.translated():
                connection.execute(schema.update().values(version=schema.c.version))
        except ProvisioningError:
            return None
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def _connections(connection: Connection) -> tuple[int | None, int | None]:
    """The most this process opens, and the most the server takes; None where there is no limit, or none that is known."""
    server = None
    if connection.dialect.name == "postgresql":
        reserved = "current_setting('superuser_reserved_connections')::int"
        server = int(connection.execute(text(f"SELECT current_setting('max_connections')::int - {reserved}")).scalar_one())
    return _pool_size(connection.engine), server


def _pool_size(engine: Engine) -> int | None:
    pool = engine.pool
    overflow = getattr(pool, "_max_overflow", -1)
    return pool.size() + overflow if isinstance(pool, QueuePool) and overflow >= 0 else None


def _key_ids(database: Database) -> dict[str, int]:
    """Ids of the keys by which the secrets of the latest runs and of all webhook endpoints are encrypted."""
    latest = select(runs.c.id).order_by(runs.c.number.desc()).limit(_LATEST_RUNS).subquery()
    inputs = select(runs.c.input).join(latest, latest.c.id == runs.c.id)
    outputs = select(steps.c.output).join(latest, latest.c.id == steps.c.run_id).where(steps.c.output.is_not(None))
    secrets = (select(func.coalesce(column, "")) for column in (webhook_endpoints.c.secret, webhook_endpoints.c.old_secret))
    found: Counter[str] = Counter()
    with database.read() as connection, database.translated():
        for question in (inputs, outputs, *secrets):
            for stored in connection.execute(question).scalars():
                found.update(_SEALED.findall(stored))
    return dict(found)
