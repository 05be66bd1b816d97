"""Runs in a SQL database: SQLite, or the product's own PostgreSQL."""

from provisioning_core.stores.sql._store import SqlStore

__all__ = ["SqlStore"]
