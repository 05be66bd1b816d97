"""Waiting, on PostgreSQL, until others wait for a lock."""

from __future__ import annotations

import threading

from sqlalchemy import Engine, text

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")


def wait_for_waiters(engine: Engine, many: int = 1) -> None:
    """Until so many wait for a lock in the engine's database."""
    pause = threading.Event()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(2000):
            if connection.execute(_WAITING).scalar() >= many:
                return
            pause.wait(0.005)
    raise AssertionError("nobody waits for a lock")
