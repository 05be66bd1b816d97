"""Upgrades of the schema, by Alembic. A new store needs none: it is made at the latest revision.

For a change: edit ``_tables`` (and its VERSION), and add ``versions/revision_<number>.py``, which also raises
``provisioning_schema.version``. Revisions are frozen: they never import the tables.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning_core.errors import MissingExtra
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._schema import check_not_newer, version_in

if TYPE_CHECKING:
    from alembic.config import Config

_HERE = Path(__file__).parent


def upgrade(database: Database) -> None:
    """Bring the schema to the latest revision, in one transaction. Raises MissingExtra, SchemaMismatch, StoreUnavailable."""
    config = _config()
    from alembic import command

    with database.write(is_users=True) as connection, database.translated():
        database.lock_schema(connection)
        check_not_newer(version_in(connection))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def upgrade_sql(database: Database, current: str | None) -> str:
    """The SQL that leads from a revision (None: from nothing) to the latest. Raises MissingExtra."""
    config = _config()
    from alembic import command

    config.attributes["dialect"] = database.sql.name
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head" if current is None else f"{current}:head", sql=True)
    return config.output_buffer.getvalue()


def _config() -> Config:
    try:
        from alembic.config import Config
    except ImportError as error:
        raise MissingExtra("migrations", "Upgrading the store's schema") from error
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    return config
