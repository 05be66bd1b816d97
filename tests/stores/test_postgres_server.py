"""The server that the tests themselves start: what they rely on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import servers
from servers import NoServer, PostgresServer, installations, start_any

ORPHAN = """
import sys
sys.path.insert(0, sys.argv[1])
from servers import start_any
server = start_any()
print(server.pid, server._folder, flush=True)
sys.stdin.read()
"""


def test_what_was_committed_is_there_after_a_kill() -> None:
    server = start_any()
    try:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        before, url = server.pid, server.url
        with psycopg.connect(url) as broken:
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                broken.execute("SELECT 1")
        server.start()
        assert (server.url, server.pid != before) == (url, True)
        server.stop()
        assert server.pid is None
        server.start()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
    finally:
        server.discard()
    assert not server._folder.exists()


def test_a_server_ends_with_its_tests_however_they_end() -> None:
    command = [sys.executable, "-c", ORPHAN, str(Path(servers.__file__).parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        tests.kill()
    while Path(folder).exists() or _runs(int(pid)):
        os.sched_yield()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_no_server_at_all_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho no good >&2; exit 1")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(servers, "installations", lambda: iter([tmp_path / "nowhere", tmp_path]))
    with pytest.raises(NoServer, match="initdb: no good"):
        start_any()
    monkeypatch.setattr(servers, "installations", lambda: iter([]))
    with pytest.raises(NoServer, match="no installation was found"):
        start_any()


def test_a_tree_in_a_closed_folder_is_copied(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        return  # only for root does the server run as somebody else
    tree = tmp_path / "wheel" / "pginstall"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "postgres").touch()
    (tmp_path / "wheel.libs").mkdir()
    tmp_path.chmod(0o700)
    server = PostgresServer(tree / "bin")
    assert server._binaries == server._folder / "wheel" / "pginstall" / "bin"
    assert {path.name for path in server._folder.iterdir()} == {"wheel", "wheel.libs"}
    server.discard()


def test_an_installation_is_found_here() -> None:
    assert any((binaries / "postgres").exists() for binaries in installations())
