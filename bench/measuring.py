"""One measurement: a fresh process, in a folder or database of its own, that ends in time."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.contenders import Contender
from bench.environments import HOME, ROOT, Missing, interpreter
from bench.postgres import Server

_SYNCS = "fsync,fdatasync,sync_file_range,msync"
_CALL = re.compile(r"^(?:\[pid +\d+\] |\d+ +)?(\d+\.\d+) (?:fsync|fdatasync|sync_file_range|msync)\(")


class Measurer:
    """Runs drivers. What can't be measured is answered as ``{"missing": why}`` or ``{"timeout": seconds}``, never left out."""

    def __init__(self, server: Server | None, no_server: str) -> None:
        self._server = server
        self._no_server = no_server
        self._missing: dict[str, str] = {}
        self.strace = shutil.which("strace")

    def interpreter(self, contender: Contender) -> Path:
        """Raises Missing, each time with the first reason."""
        if contender.environment in self._missing:
            raise Missing(self._missing[contender.environment])
        try:
            return interpreter(contender.environment)
        except Missing as error:
            self._missing[contender.environment] = f"its environment could not be made: {error}"
            raise Missing(self._missing[contender.environment]) from None

    def __call__(self, contender: Contender, measure: str, *, timeout: float = 600.0, **job: Any) -> dict[str, Any]:
        try:
            python = self.interpreter(contender)
            with self._place(contender) as place:
                if measure == "count":
                    return self._count(python, contender, place | job, timeout)
                if measure == "resume":
                    return self._resume(python, contender, place | job, timeout)
                return _drive(python, contender, measure, place | job, timeout)
        except Missing as error:
            return {"missing": str(error)}

    @contextmanager
    def _place(self, contender: Contender) -> Iterator[dict[str, Any]]:
        data = HOME / "data"
        data.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=data)
        place = {"store": contender.store, "folder": folder}
        try:
            if contender.store != "postgres":
                yield place
                return
            if self._server is None:
                raise Missing(f"there is no PostgreSQL: {self._no_server}")
            with self._server.database() as url:
                yield place | {"postgres": url}
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _count(self, python: Path, contender: Contender, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Commits, syncs and bytes of a workload: SQLite's counted in the driver, its syncs by strace; PostgreSQL counts its own."""
        if contender.store == "postgres":
            return self._count_postgres(python, contender, job, timeout)
        log = Path(job["folder"]) / "syncs"
        tracer = [self.strace, "-f", "-qq", "--seccomp-bpf", "-ttt", "-e", f"trace={_SYNCS}", "-o", str(log)] if self.strace else []
        found = _drive(python, contender, "count", job, timeout, before=tracer)
        if log.exists() and "began_at" in found:
            times = [float(match[1]) for line in log.read_text().splitlines() if (match := _CALL.match(line))]
            found["fsyncs"] = sum(found["began_at"] <= at <= found["ended_at"] for at in times)
        return found

    def _count_postgres(self, python: Path, contender: Contender, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """What the whole run counts, less what only opening counts."""
        assert self._server is not None
        counted = []
        found: dict[str, Any] = {}
        for only_open in (True, False):
            with self._server.database() as url:
                before = self._server.counters(url)
                found = _drive(python, contender, "count", job | {"postgres": url, "only_open": only_open}, timeout)
                if "steps" not in found:
                    return found
                time.sleep(0.5)  # PostgreSQL's backends tell their counts a moment after they end, and nobody when they have
                counted.append(self._server.counters(url) - before)
        difference = counted[1] - counted[0]
        return found | {"commits": difference.commits, "fsyncs": difference.fsyncs, "bytes": difference.size}

    def _resume(self, python: Path, contender: Contender, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        half = _drive(python, contender, "half", job, timeout)
        if "died" not in half:
            return half
        return _drive(python, contender, "resume", job, timeout)


def _drive(
    python: Path, contender: Contender, measure: str, job: dict[str, Any], timeout: float, before: list[str | None] | None = None
) -> dict[str, Any]:
    command = [
        *(before or []),
        str(python),
        "-m",
        contender.program or f"bench.peers.{contender.module}",
        json.dumps(job | {"measure": measure}),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE", "PG"))}
    process = subprocess.Popen(
        [part for part in command if part],
        cwd=ROOT,
        env=environment | {"BENCH_FOLDER": job["folder"], "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"timeout": timeout}
    finally:
        _end_group(process)
    if process.returncode == 9 and measure == "half":
        return {"died": True}
    lines = out.strip().splitlines()
    if process.returncode or not lines:
        return {"missing": f"its driver failed: {_last_line(err or out)}"}
    answer = json.loads(lines[-1])
    if "failed" in answer:
        return {"missing": f"its driver failed: {answer['failed']}"}
    return {"missing": answer["unsupported"]} if "unsupported" in answer else answer


def _end_group(process: subprocess.Popen[str]) -> None:
    """The driver, and what it left behind: it leads a group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.communicate()


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
