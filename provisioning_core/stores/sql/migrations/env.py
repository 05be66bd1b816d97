"""Run by Alembic: hands it the connection, or the kind of database that SQL is to be written for."""

from alembic import context

from provisioning_core.stores.sql._schema import REVISION_TABLE
from provisioning_core.stores.sql._tables import METADATA

attributes = context.config.attributes

if context.is_offline_mode():
    context.configure(dialect_name=attributes["dialect"], literal_binds=True, target_metadata=METADATA, version_table=REVISION_TABLE)
else:
    context.configure(connection=attributes["connection"], target_metadata=METADATA, version_table=REVISION_TABLE)

with context.begin_transaction():
    context.run_migrations()
