"""Where a store is: what can be handed in, and what is said of anything else."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, make_url

import provisioning_core.stores
import provisioning_core.testing
from provisioning_core.errors import ProvisioningError
from provisioning_core.stores import SqlStore


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("sqlite:///store.db", "sqlite+pysqlite"),
        ("sqlite+pysqlite:///store.db", "sqlite+pysqlite"),
        (make_url("sqlite:///store.db"), "sqlite+pysqlite"),
        ("postgres://ana@db.example/store", "postgresql+psycopg"),
        ("postgresql://ana@db.example/store", "postgresql+psycopg"),
        ("postgresql+psycopg://ana@db.example/store", "postgresql+psycopg"),
    ],
)
def test_a_url_gets_the_driver_that_is_used(given: Any, driver: str) -> None:
    assert repr(SqlStore(given)).startswith(f"SqlStore('{driver}://")


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("", "bad_store_url", "not a database URL"),
        ("store.db", "bad_store_url", "not a database URL"),
        ("postgresql://ana:hunter2@host:port/", "bad_store_url", "not a database URL"),
        ("mysql://ana:hunter2@host/store", "unsupported_database", "'mysql'"),
        ("postgresql+psycopg2://host/store", "unsupported_database", "'postgresql+psycopg2'"),
        ("sqlite+aiosqlite:///store.db", "unsupported_database", "'sqlite+aiosqlite'"),
        (42, "unsupported_database", "not int"),
        (None, "unsupported_database", "not NoneType"),
    ],
)
def test_anything_else_is_refused_with_what_would_do(given: Any, code: str, told: str) -> None:
    with pytest.raises(ProvisioningError) as caught:
        SqlStore(given)
    assert (caught.value.code, told in caught.value.message) == (code, True)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)


def test_an_engine_for_a_database_in_memory_is_refused() -> None:
    engine = create_engine("sqlite://")
    with pytest.raises(ProvisioningError, match="in memory can't be shared"):
        SqlStore(engine)
    engine.dispose()


def test_an_engine_with_another_driver_is_refused() -> None:
    class Dialect:
        name, driver = "oracle", "oracledb"

    engine = create_engine("sqlite://")
    engine.dialect = Dialect()
    with pytest.raises(ProvisioningError, match=r"oracle\+oracledb"):
        SqlStore(engine)


@pytest.mark.parametrize(
    ("url", "is_durable"),
    [
        ("sqlite://", False),
        ("sqlite:///:memory:", False),
        ("sqlite:///file::memory:?cache=shared&uri=true", False),
        ("sqlite:///file:shared?mode=memory&cache=shared&uri=true", False),
        ("sqlite:///store.db", True),
        ("postgresql://host/store", True),
    ],
)
def test_a_store_knows_whether_it_lasts(url: str, is_durable: bool) -> None:
    assert SqlStore(url).is_durable is is_durable


def test_a_password_is_not_shown() -> None:
    store = SqlStore("postgresql://ana:hunter2@host/store")
    assert repr(store) == "SqlStore('postgresql+psycopg://ana:***@host/store')"


@pytest.mark.parametrize("package", [provisioning_core.stores, provisioning_core.testing])
def test_what_is_imported_on_demand_is_all_there_is(package: Any) -> None:
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        package.Nothing  # noqa: B018
