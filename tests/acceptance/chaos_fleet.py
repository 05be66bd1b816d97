"""The tests' hold on real worker processes: they are forked, killed, stopped and woken here, and it is known when each died."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import chaos_app

PATIENCE = 60.0


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Look again and again whether something has become true."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        pause.wait(0.005)
    return condition()


class Worker:
    """One process."""

    def __init__(self) -> None:
        self.forked, self.ready, self.dead = threading.Event(), threading.Event(), threading.Event()
        self.pid = 0
        self.code: int | None = None
        self.killed_at: float | None = None
        """When the signal was sent, by the monotonic clock that all processes of a host share."""

    def kill(self) -> None:
        self.killed_at = time.monotonic()
        self._signal(signal.SIGKILL)
        assert self.dead.wait(PATIENCE)

    def stop(self) -> None:
        """Pause it: it is alive, and does nothing."""
        self._signal(signal.SIGSTOP)
        assert until(lambda: self._state() == "T")

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """Ask it to end in good order."""
        self._signal(signal.SIGTERM)
        assert self.dead.wait(PATIENCE)

    def _signal(self, number: signal.Signals) -> None:
        if not self.dead.is_set():
            os.kill(self.pid, number)

    def _state(self) -> str:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]


class Fleet:
    """All workers of a test."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.workers: list[Worker] = []
        self._numbers = itertools.count()
        self._asked: dict[int, Worker] = {}
        self._by_pid: dict[int, Worker] = {}
        self._prepared = threading.Event()
        environment = os.environ | {chaos_app.FOLDER: str(folder), "PYTHONPATH": str(Path(chaos_app.__file__).parent)}
        self._template = subprocess.Popen(
            [sys.executable, Path(chaos_app.__file__).with_name("chaos_template.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        assert self._prepared.wait(PATIENCE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._template.stdin is not None
        assert self._template.stdout is not None
        self._template.stdin.close()
        try:
            self._template.wait(10)
        finally:
            self._template.kill()
            self._reader.join()
            self._template.stdout.close()

    def engine(self, **options: Any) -> Worker:
        """One more engine; it is not ready yet."""
        return self.fork("engine", {"url": self.url, "poll": 0.05, "lease": 2.0, "max_workers": 4} | options)

    def fork(self, what: str, options: dict[str, Any]) -> Worker:
        worker, number = Worker(), next(self._numbers)
        self._asked[number] = worker
        self.workers.append(worker)
        assert self._template.stdin is not None
        self._template.stdin.write(f"{json.dumps({'id': number, 'what': what, 'options': options})}\n".encode())
        self._template.stdin.flush()
        assert worker.forked.wait(PATIENCE)
        return worker

    def deaths(self) -> dict[int, float]:
        """When each killed process was killed. No pid is used twice by a test: that would take tens of thousands of processes."""
        return {worker.pid: worker.killed_at for worker in self.workers if worker.killed_at is not None}

    def _read(self) -> None:
        assert self._template.stdout is not None
        for line in self._template.stdout:
            message = json.loads(line)
            match message["what"]:
                case "prepared":
                    self._prepared.set()
                case "forked":
                    worker = self._asked.pop(message["id"])
                    worker.pid = message["pid"]
                    self._by_pid[worker.pid] = worker
                    worker.forked.set()
                case "ready":
                    self._by_pid[message["pid"]].ready.set()
                case "dead":
                    worker = self._by_pid[message["pid"]]
                    worker.code = message["code"]
                    worker.dead.set()
