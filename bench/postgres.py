"""The PostgreSQL server that all contenders share: one that a URL names, or one started for the benchmark, with fsync on."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.environments import ROOT

URL = "PROVISIONING_BENCH_POSTGRES_URL"
"""Names a server in place of a started one; its role must be allowed to make databases."""

_DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Counters:
    """Of a server, since it began: only differences mean something."""

    commits: int
    fsyncs: int
    size: int

    def __sub__(self, other: Counters) -> Counters:
        return Counters(self.commits - other.commits, self.fsyncs - other.fsyncs, self.size - other.size)


class Server:
    """Gives each measurement a database of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        with self._connect() as connection:
            self.version = str(_value(connection, "SHOW server_version"))
            self.settings = {name: str(_value(connection, f"SHOW {name}")) for name in _DURABLE}

    @property
    def is_durable(self) -> bool:
        """Whether a commit is on the disk when it is answered."""
        return all(self.settings[name] == value for name, value in _DURABLE.items())

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, dropped afterwards."""
        name = f"bench_{os.getpid()}_{next(_numbers)}"
        self._execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(self.url)._replace(path=f"/{name}").geturl()
        finally:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def counters(self, url: str) -> Counters:
        """After all clients of this database have gone: while connected they keep some of it to themselves."""
        database = urlsplit(url).path.removeprefix("/")
        with self._connect() as connection:
            commits = _value(connection, "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", database)
            size = _value(connection, "SELECT pg_database_size(%s::name)", database)
            return Counters(int(commits), int(_value(connection, self._fsyncs())), int(size))

    def _fsyncs(self) -> str:
        if int(self.version.split(".")[0]) >= 18:
            return "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'"
        return "SELECT wal_sync FROM pg_stat_wal"

    def _execute(self, statement: str) -> None:
        with self._connect() as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)


@contextmanager
def server() -> Iterator[Server]:
    """The server that the environment names, or one of our own. Raises Exception when there is none."""
    given = os.environ.get(URL)
    if given:
        yield Server(given)
        return
    own = _tests_servers().start_any(**_DURABLE)
    try:
        yield Server(own.url)
    finally:
        own.discard()


def _tests_servers() -> Any:
    """The tests know how to find and start one."""
    spec = importlib.util.spec_from_file_location("servers", Path(ROOT) / "tests" / "servers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["servers"] = module
    spec.loader.exec_module(module)
    return module


def _value(connection: psycopg.Connection[Any], query: str, *arguments: Any) -> Any:
    row = connection.execute(query, arguments).fetchone()  # type: ignore[call-overload]
    return row[0]
