"""The store's file: made with care, switched to WAL, and left alone when it is something else."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from provisioning_core.errors import StoreUnavailable
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql._sqlite import _use_wal
from provisioning_core.testing._store_cases.records import a_run, created
from provisioning_core.testing._store_cases.secrecy import SECRETS, provisioned_with_secrets

IMPATIENT = 0.05


def test_a_new_file_is_readable_for_its_owner_only(tmp_path: Path, sqlite_store: SqlStore) -> None:
    created(sqlite_store, a_run())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)


def test_a_file_can_be_named_by_a_uri(tmp_path: Path) -> None:
    with closing(SqlStore(f"sqlite:///file:{tmp_path}/store.db?uri=true")) as store:
        store.prepare()
        created(store, a_run())
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_who_reads_an_old_file_is_waited_for_before_it_is_switched_to_wal(tmp_path: Path, sqlite_url: str) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("CREATE TABLE old (id)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM old").fetchall()
        with closing(SqlStore(sqlite_url, busy_timeout=IMPATIENT)) as store, pytest.raises(StoreUnavailable, match="locked"):
            store.prepare()
        timer = threading.Timer(0.1, reader.execute, ["COMMIT"])
        timer.start()
        with closing(SqlStore(sqlite_url)) as store:
            store.prepare()
        timer.join()


def test_a_switch_to_wal_that_is_refused_at_once_is_tried_again() -> None:
    class Busy:
        """As SQLite is while somebody else makes the same switch."""

        def __init__(self, real: sqlite3.Connection) -> None:
            self.real = real
            self.answers = iter(["database is locked", "database is locked", ""])

        def execute(self, statement: str) -> sqlite3.Cursor:
            answer = next(self.answers)
            if answer:
                raise sqlite3.OperationalError(answer)
            return self.real.execute("SELECT 'wal'")

    with closing(sqlite3.connect(":memory:")) as real:
        busy = Busy(real)
        _use_wal(busy, patience=10.0)
    assert list(busy.answers) == []


def test_a_closed_store_leaves_one_file_and_no_connection(tmp_path: Path, sqlite_store: SqlStore) -> None:
    created(sqlite_store, a_run())
    sqlite_store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def test_no_secret_is_readable_in_the_file(tmp_path: Path, sqlite_store: SqlStore) -> None:
    with provisioned_with_secrets(sqlite_store):
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"a visible name" in stored
    assert [secret for secret in SECRETS if secret.encode() in stored] == []


# files that can't be used


def _a_text(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)


def _a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "told", "hint"),
    [(_a_text, "file is not a database", "something else wrote"), (_a_folder, "unable to open database file", "Check the path")],
)
def test_what_is_no_database_is_told_so_and_left_alone(tmp_path: Path, make: Callable[[Path], None], told: str, hint: str) -> None:
    path = tmp_path / "store.db"
    make(path)
    with closing(SqlStore(f"sqlite:///{path}")) as store, pytest.raises(StoreUnavailable) as caught:
        store.prepare()
    assert told in caught.value.message
    assert hint in caught.value.hint
    assert path.is_dir() or path.read_text() == "Dear diary, " * 1000


def test_a_missing_folder_is_told_so_with_what_to_do(tmp_path: Path) -> None:
    with closing(SqlStore(f"sqlite:///{tmp_path / 'none' / 'store.db'}")) as store, pytest.raises(StoreUnavailable) as caught:
        store.prepare()
    assert caught.value.message == f"The folder of the store's file is missing: {tmp_path / 'none'}."
    assert caught.value.hint == f"Make it: mkdir -p {tmp_path / 'none'}"


def test_a_file_that_can_not_be_made_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closing(SqlStore(f"sqlite:///{tmp_path / 'file' / 'store.db'}")) as store, pytest.raises(StoreUnavailable) as caught:
        store.prepare()
    assert "can't be made: Not a directory" in caught.value.message


READS_AND_WRITES = """
import os, sys
from provisioning_core.errors import StoreUnavailable
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql._sqlite import _use_wal
from provisioning_core.testing._store_cases.records import *

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
store = SqlStore(sys.argv[1])
try:
    created(store, a_run())
except StoreUnavailable as error:
    print(error.message, error.hint)
"""


def test_a_file_that_may_only_be_read_is_told_so(tmp_path: Path, sqlite_store: SqlStore, sqlite_url: str) -> None:
    sqlite_store.close()
    path = tmp_path / "store.db"
    for folder in (tmp_path, *(each for each in tmp_path.parents if "pytest-of-" in str(each))):
        folder.chmod(0o755)
    path.chmod(0o444)
    done = subprocess.run([sys.executable, "-c", READS_AND_WRITES, sqlite_url], capture_output=True, text=True, check=False)
    assert ("readonly database" in done.stdout, "who may write" in done.stdout) == (True, True), done


def test_a_store_that_was_never_prepared_says_what_to_do(sqlite_url: str) -> None:
    with closing(SqlStore(sqlite_url)) as store, pytest.raises(StoreUnavailable) as caught:
        store.latest("acme")
    assert "no such table: provisioning_runs" in caught.value.message
    assert "prepare()" in caught.value.hint
