"""The limit: what the bare driver, the server and the thread pool do, without anything around them."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.driver import Peer, main
from bench.workloads import WORKERS, Workload


class Limits(Peer):
    """One small row and one commit for each step, one after the other, or in memory one ``submit``; whatever the shape.

    SQLite: WAL, ``synchronous=FULL``, Python's own driver. PostgreSQL: psycopg, one connection, one statement a transaction.
    """

    name = "the bare limit"

    def build(self, work: Workload) -> Workload:
        return work

    def open(self, plans: list[Any]) -> None:
        match self.place.kind:
            case "memory":
                self.pool = ThreadPoolExecutor(WORKERS)
            case "sqlite":
                self.connection: Any = sqlite3.connect(self.place.file, isolation_level=None)
                self.connection.execute("PRAGMA synchronous = FULL")
                self.insert = "INSERT INTO bench (step) VALUES (?)"
            case _:
                import psycopg

                self.connection = psycopg.connect(self.place.postgres, autocommit=True)
                self.insert = "INSERT INTO bench (step) VALUES (%s)"
        if self.place.kind != "memory":
            self.connection.execute("CREATE TABLE bench (step TEXT)")

    def run(self, plan: Workload, work: Workload) -> None:
        if self.place.kind == "memory":
            for future in [self.pool.submit(self.work) for _ in range(work.steps)]:
                future.result()
            return
        for number in range(work.steps):
            self.connection.execute(self.insert, (f"step {number}",))
            self.work.end()


if __name__ == "__main__":
    main(Limits)
