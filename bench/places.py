"""Where a contender keeps its state, and what can be counted there from outside. Standard library, and psycopg for PostgreSQL."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``kind`` is ``memory``, ``sqlite`` or ``postgres``; ``folder`` is the measurement's own."""

    kind: str
    folder: Path
    postgres: str = ""

    @property
    def file(self) -> Path:
        """Of a SQLite database."""
        return self.folder / "bench.db"

    @property
    def url(self) -> str:
        """As SQLAlchemy and this project write it."""
        return f"sqlite:///{self.file}" if self.kind == "sqlite" else self.postgres

    @property
    def psycopg_url(self) -> str:
        """With the driver named, for peers whose SQLAlchemy would take another one."""
        return self.postgres.replace("postgresql://", "postgresql+psycopg://", 1)

    def prepare(self) -> None:
        """A SQLite file is switched to WAL for everybody: fewer syncs a commit. The file remembers it."""
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.file)) as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchone()

    def size(self) -> int:
        """Bytes of the database, what is still in its log included. 0 in memory."""
        if self.kind not in ("sqlite", "postgres"):
            return 0
        if self.kind == "postgres":
            return _postgres_size(self.postgres)
        with closing(sqlite3.connect(self.file)) as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            return int(pages * connection.execute("PRAGMA page_size").fetchone()[0])


class SqliteCommits:
    """Counts the commits that anybody makes to a SQLite file in WAL mode: SQLite counts them itself, in the head of ``-shm``.

    It holds a connection open, since the file would go with the last one. The file is read by another process: closing it in this
    one would drop SQLite's locks.
    """

    def __init__(self, file: Path) -> None:
        self._shared = Path(f"{file}-shm")
        self._connection = sqlite3.connect(file)
        self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()

    def count(self) -> int:
        """So far; only differences mean something."""
        head = subprocess.run(["head", "-c", "12", self._shared], capture_output=True, check=True).stdout
        return int.from_bytes(head[8:12], "little")

    def close(self) -> None:
        self._connection.close()


def _postgres_size(url: str) -> int:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])
