"""The services around the backend, started by whoever needs them first: billing, mail and the web server.

They stand in for what a company rents: they listen on loopback, run as threads of the process that started them (so they end
with it, however it ends) and keep their state in files. Their ports are chosen free and written to ``services.lock``; the process
that holds the lock on that file runs them, and the system lets go of the lock when the process dies.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock

from examples.workspaces.services.billing import BillingService
from examples.workspaces.services.mail import MailServer
from examples.workspaces.services.web import WebServer
from examples.workspaces.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where the services listen on 127.0.0.1."""

    billing: int
    smtp: int
    https: int


class Services:
    """All three, running in this process until it ends or ``close`` is called."""

    def __init__(self, settings: Settings, lock: int) -> None:
        self._lock = lock
        self._billing = BillingService(settings)
        self._mail = MailServer(settings)
        self._web = WebServer(settings)
        self.ports = Ports(billing=self._billing.port, smtp=self._mail.port, https=self._web.port)
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(asdict(self.ports)).encode(), 0)

    def close(self) -> None:
        """Stop listening and let another process take over."""
        for service in (self._billing, self._mail, self._web):
            service.close()
        os.ftruncate(self._lock, 0)
        os.close(self._lock)


_running: dict[Path, Services] = {}
_guard = Lock()


def find(settings: Settings, *, timeout: float = 10.0) -> Ports:
    """The ports of the running services; starts them in this process if no living process runs them."""
    deadline = time.monotonic() + timeout
    pause = Event()
    while True:
        ports = _ours_or_theirs(settings)
        if ports is not None:
            return ports
        if time.monotonic() > deadline:
            raise TimeoutError("another process holds services.lock and has not written its ports; stop it and try again")
        pause.wait(0.05)


def close(settings: Settings) -> None:
    """Stop the services, if this process runs them."""
    with _guard:
        services = _running.pop(settings.root, None)
        if services is not None:
            services.close()


def _ours_or_theirs(settings: Settings) -> Ports | None:
    with _guard:
        if settings.root not in _running:
            lock = _take_lock(settings.root / "services.lock")
            if lock is None:
                return _written(settings.root / "services.lock")
            _running[settings.root] = Services(settings, lock)
        return _running[settings.root].ports


def _take_lock(path: Path) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    os.ftruncate(handle, 0)
    return handle


def _written(path: Path) -> Ports | None:
    text = path.read_text()
    return Ports(**json.loads(text)) if text else None
