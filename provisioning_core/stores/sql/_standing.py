"""How all runs stand: counted by the database, from indexes that hold only the runs in question."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from provisioning_core.model import Standing
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._statements import is_free
from provisioning_core.stores.sql._tables import runs


class StandingReader:
    """Counts runs."""

    def __init__(self, sql: SqlDialect) -> None:
        self._nobody = sql.many(())
        self._counts = select(runs.c.status, func.count()).group_by(runs.c.status)
        self._set_aside = select(func.count()).where(runs.c.attention.is_not(None))
        self._unclaimed = select(func.count(), func.min(runs.c.runnable_at)).where(
            runs.c.runnable_at <= bindparam("now"), is_free(sql)
        )

    def read(self, connection: Connection, now: float) -> Standing:
        """All of it, as of one moment."""
        counts = {str(status): int(count) for status, count in connection.execute(self._counts)}
        set_aside = connection.execute(self._set_aside).scalar_one()
        unclaimed, oldest = connection.execute(self._unclaimed, {"now": now, "dead": self._nobody}).one()
        waited = 0.0 if oldest is None else max(0.0, now - oldest)
        return Standing(counts=counts, set_aside=set_aside, unclaimed=unclaimed, unclaimed_for=waited)
