"""Making the schema of a new store, and telling whether an old one fits."""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select

from provisioning_core.errors import SchemaMismatch
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._files import is_missing
from provisioning_core.stores.sql._tables import METADATA, VERSION, runs, schema
from provisioning_core.stores.sql._triggers import TRIGGERS

REVISION_TABLE = "provisioning_alembic_version"

# As Alembic makes it, so that its upgrades go on from a schema that was made here.
_revisions = Table(
    REVISION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{REVISION_TABLE}_pkc"),
)


def revision(version: int = VERSION) -> str:
    """The name of the revision that leads to this version of the schema."""
    return f"{version:04}"


def prepare(database: Database) -> None:
    """Make the schema of a new store. Raises SchemaMismatch when there is another one."""
    with database.read() as connection, database.translated():
        found = version_in(connection)
    if found is None:
        _create(database)
    elif found != VERSION:
        raise _mismatch(found)


def _create(database: Database) -> None:
    with database.write(is_users=True) as connection, database.translated():
        database.lock_schema(connection)
        if version_in(connection) is None:  # nobody was quicker
            METADATA.create_all(connection, checkfirst=False)
            for trigger in TRIGGERS[database.sql.name]:
                connection.exec_driver_sql(trigger)
            connection.execute(insert(schema).values(version=VERSION))
            _revisions.create(connection)
            connection.execute(insert(_revisions).values(version_num=revision()))


def version_of(database: Database) -> int | None:
    """The version of the schema; None in a new database, and where a file is not there yet: to connect would make it."""
    if database.sql.name == "sqlite" and is_missing(database.url):
        return None
    with database.read() as connection, database.translated():
        return version_in(connection)


def version_in(connection: Connection) -> int | None:
    """The version of the schema; None in a new database. Raises SchemaMismatch when only a part of it is there."""
    there = inspect(connection)
    if there.has_table(schema.name):
        version: int | None = connection.execute(select(schema.c.version)).scalar()
        if version is not None:
            return version
    elif not there.has_table(runs.name):
        return None
    hint = "Restore the database from a backup, or drop all tables whose names begin with provisioning_."
    raise SchemaMismatch("The store's schema is incomplete: its version is missing.", hint=hint)


def check_not_newer(found: int | None) -> None:
    """Raises SchemaMismatch when a later release made the schema."""
    if found is not None and found > VERSION:
        raise _mismatch(found)


def _mismatch(found: int) -> SchemaMismatch:
    hint = "Deploy the release that made the schema, or a later one." if found > VERSION else "Run `provision db upgrade`."
    return SchemaMismatch(f"The store's schema has version {found}, and this release works with version {VERSION}.", hint=hint)
