"""Engines, and the runs they own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from provisioning_core.model import EngineRecord
from provisioning_core.stores.sql._codec import engine_record
from provisioning_core.stores.sql._dialects import SqlDialect
from provisioning_core.stores.sql._reading import run_not_found
from provisioning_core.stores.sql._statements import LeaseStatements


class Leasing:
    """Gives runs to engines, on a connection that is in a transaction. Who lives is told by the database's clock."""

    def __init__(self, sql: SqlDialect) -> None:
        self._sql = sql
        self._do = LeaseStatements(sql)

    def register(self, connection: Connection, engine: EngineRecord, ttl: float) -> None:
        row = asdict(engine)
        del row["expires_at"], row["overdue"]
        connection.execute(self._do.register, row | {"ttl": ttl})

    def heartbeat(self, connection: Connection, engine_id: str, ttl: float) -> bool:
        return connection.execute(self._do.heartbeat, {"b_id": engine_id, "ttl": ttl}).rowcount > 0

    def retire(self, connection: Connection, engine_id: str) -> None:
        connection.execute(self._do.unregister, {"b_id": engine_id})
        connection.execute(self._do.let_go, {"b_id": engine_id})

    def engines(self, connection: Connection) -> tuple[EngineRecord, ...]:
        return tuple(engine_record(row) for row in connection.execute(self._do.engines).mappings())

    def bury(self, connection: Connection, engine_ids: Collection[str]) -> None:
        connection.execute(self._do.bury, {"ids": self._sql.many(engine_ids)})

    def is_any_claimable(self, connection: Connection, asked: Mapping[str, Any]) -> bool:
        """Whether it is worth a transaction that writes: most looks find nothing."""
        return connection.execute(self._do.claimable, {**asked, "most": 1}).first() is not None

    def claim(self, connection: Connection, engine_id: str, asked: Mapping[str, Any]) -> list[str]:
        ids = [row.id for row in connection.execute(self._do.claim, asked)]
        taken = self._take(connection, engine_id, ids, asked["dead"])
        return [run_id for run_id in ids if run_id in taken]

    def claim_run(self, connection: Connection, engine_id: str, run_id: str, dead: Collection[str]) -> bool:
        """False when it has a living owner. Raises NotFound."""
        if connection.execute(self._do.lock_run, {"run_id": run_id}).first() is None:
            raise run_not_found(run_id)
        return bool(self._take(connection, engine_id, [run_id], self._sql.many(dead)))

    def owned(self, connection: Connection, engine_id: str) -> list[str]:
        return [row.id for row in connection.execute(self._do.owned, {"b_id": engine_id})]

    def asked(self, plans: Collection[str], now: float, limit: int, dead: Collection[str]) -> dict[str, Any]:
        """The parameters of a claim."""
        return {"plans": self._sql.many(plans), "now": now, "most": limit, "dead": self._sql.many(dead)}

    def _take(self, connection: Connection, engine_id: str, ids: list[str], dead: Any) -> set[str]:
        """Those of these runs, locked before, that are the engine's now."""
        if not ids:
            return set()
        asked = {"engine": engine_id, "ids": self._sql.many(ids), "dead": dead}
        return set(connection.execute(self._do.take, asked).scalars())
