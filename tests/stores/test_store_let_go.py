"""Giving a connection back that the network has taken already."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from provisioning_core.stores.sql._errors import let_go


def test_what_the_driver_says_of_a_connection_that_was_cut_is_raised_to_nobody(
    fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: Any) -> None:
        raise psycopg.ProgrammingError("can't change 'autocommit' now: connection in transaction status ACTIVE")

    address = make_url(fresh_postgres_url).set(drivername="postgresql+psycopg")
    engine = create_engine(address, pool_size=1, max_overflow=0, pool_timeout=0.1)
    monkeypatch.setattr(engine.dialect, "reset_isolation_level", breaks)  # called when a connection is given back
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    driver: Any = connection.connection.dbapi_connection
    with caplog.at_level(logging.DEBUG, "provisioning_core"):
        let_go(connection)
    assert "could not be given back" in caplog.text
    assert driver.closed, "what state it is in nobody knows"
    assert engine.pool.checkedout() == 0, "its place in the pool is free"
    monkeypatch.undo()
    with engine.connect() as another:
        assert another.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()
