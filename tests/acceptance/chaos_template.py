"""A process with everything imported, that forks workers on demand: milliseconds, where a new interpreter takes half a second.

It reads commands from its input, one JSON object a line, and tells on its output what became of each. When its input ends, or it is
killed, its workers are killed too.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import json
import logging
import os
import selectors
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import chaos_app
import psycopg  # noqa: F401  imported now, and not in each worker

from provisioning_core import Engine
from provisioning_core.executors import ProcessExecutor
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql import migrations as _migrations  # noqa: F401  imported now, and not in each worker

_PR_SET_PDEATHSIG = 1


def main() -> None:
    with contextlib.suppress(ImportError):
        import alembic.command  # noqa: F401
    gc.freeze()
    awake, wakes = os.pipe()
    os.set_blocking(wakes, False)
    os.set_blocking(awake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(awake, selectors.EVENT_READ)
        tell({"what": "prepared", "pid": os.getpid()})
        unread = b""
        while True:
            for key, _ in selector.select():
                if key.fd == awake:
                    os.read(awake, 4096)
                    reap()
                    continue
                data = os.read(0, 65536)
                if not data:
                    return
                *lines, unread = (unread + data).split(b"\n")
                for line in lines:
                    fork(json.loads(line))


def tell(message: Mapping[str, Any]) -> None:
    os.write(1, f"{json.dumps(message)}\n".encode())


def reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            tell({"what": "dead", "pid": found[0], "code": os.waitstatus_to_exitcode(found[1])})


def fork(command: Mapping[str, Any]) -> None:
    told, tells = os.pipe()
    pid = os.fork()
    if pid:
        tell({"what": "forked", "pid": pid, "id": command["id"]})
        os.close(told)
        os.close(tells)
        return
    code = 1
    try:
        os.close(tells)
        os.read(told, 1)  # it speaks only after it was told of
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(chaos_app.folder() / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(log, 2)
        logging.basicConfig(level=logging.WARNING, format="%(process)d %(asctime)s %(name)s %(message)s", force=True)
        faulthandler.enable()
        faulthandler.register(signal.SIGUSR1)  # where it stands goes into the log
        WORK[command["what"]](**command["options"])
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def engine(url: str, processes: int = 0, **options: Any) -> None:
    """An engine that works until it is killed, or is asked to end."""
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    executor = ProcessExecutor(processes) if processes else None
    working = Engine(store=SqlStore(url), plans=chaos_app.PLANS, executor=executor, **options)
    while True:
        try:
            working.open()
            break
        except Exception:
            traceback.print_exc()
            if end.wait(0.1):
                return
    tell({"what": "ready", "pid": os.getpid()})
    while not end.wait(0.05):
        pass
    working.close()


def upgrade(url: str) -> None:
    """What ``provision db upgrade`` does."""
    store = SqlStore(url)
    tell({"what": "ready", "pid": os.getpid()})
    store.upgrade()
    store.close()


WORK: dict[str, Callable[..., None]] = {"engine": engine, "upgrade": upgrade}

if __name__ == "__main__":
    main()
