"""Stores to test: each empty, prepared, and closed at the end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from commits_at_once import look_for_webhooks
from databases import new_database
from sqlalchemy import Engine, create_engine, make_url

from provisioning_core.stores import SqlStore


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(sqlite_url, busy_timeout=10)) as store:
        store.prepare()
        yield store


@pytest.fixture
def sqlite_store_in_ram(tmp_path: Path) -> Iterator[SqlStore]:
    """The same, in a file that no disk has to be waited for."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder, closing(SqlStore(f"sqlite:///{folder}/store.db")) as store:
        store.prepare()
        yield store


@pytest.fixture(scope="session")
def _prepared_postgres_store(postgres_url: str) -> Iterator[SqlStore]:
    with new_database(postgres_url) as url, closing(SqlStore(url)) as store:
        store.prepare()
        yield store


@pytest.fixture
def emptied_postgres_url(_prepared_postgres_store: SqlStore) -> str:
    """A database with the schema and nothing in it."""
    url = _prepared_postgres_store._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        for name in ("runs", "graphs", "engines", "durations", "webhook_endpoints", "webhook_log"):  # with runs goes what is theirs
            connection.execute(f"DELETE FROM provisioning_{name}")
        for name in tables:
            if not name.startswith("provisioning_"):
                connection.execute(f'DROP TABLE "{name}"')
    return url


@pytest.fixture
def postgres_store(_prepared_postgres_store: SqlStore, emptied_postgres_url: str) -> SqlStore:
    """The tests share it, one after the other: a new one each would take far longer."""
    return _prepared_postgres_store


@pytest.fixture
def silent_store(postgres_store: SqlStore) -> SqlStore:
    """One that has just looked for webhooks, and found none."""
    look_for_webhooks(postgres_store)
    return postgres_store


@pytest.fixture
def product(emptied_postgres_url: str) -> Iterator[Engine]:
    """The same database, as the product uses it."""
    engine = create_engine(make_url(emptied_postgres_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()
