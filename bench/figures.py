"""The figures that are not throughput: what is counted, what is waited for, what an import costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

from bench.contenders import Contender
from bench.environments import ROOT, Missing
from bench.measuring import Measurer
from bench.settings import Settings
from bench.throughput import Throughput
from bench.workloads import workload

_IMPORTS = {
    "ours": "provisioning_core",
    "graphlib_pool": "graphlib, concurrent.futures.thread",
    "dbos": "dbos",
    "taskflow": "taskflow.engines",
    "celery": "celery",
    "prefect": "prefect",
    "langgraph": "langgraph.graph, langgraph.checkpoint.sqlite",
}


def counts(measurer: Measurer, settings: Settings, sizes: Throughput) -> dict[str, Any]:
    """Commits, syncs and bytes, by workload and contender, at the size that each was measured at."""
    found: dict[str, Any] = {}
    for name in settings.workloads:
        for contender in settings.contenders:
            if contender.store == "memory" or contender.key.startswith("limit"):
                continue
            cell = sizes.cells.get(name, {}).get("0.0", {}).get(contender.key, {})
            if "missing" in cell:
                continue
            _say(f"counting {contender.key} on {name}")
            scale = cell.get("scale", 0.1 if contender.is_peer else 1.0)
            found.setdefault(name, {})[contender.key] = measurer(contender, "count", workload=name, scale=scale, timeout=300)
    return found


def imports(measurer: Measurer, settings: Settings) -> dict[str, Any]:
    """Seconds to import each library, above a bare interpreter; medians, interleaved."""
    modules = {each.module: each for each in settings.contenders if each.module in _IMPORTS}
    found: dict[str, Any] = {}
    for _ in range(7):
        for module, contender in modules.items():
            try:
                python = str(measurer.interpreter(contender))
            except Missing as error:
                found[module] = {"missing": str(error)}
                continue
            bare, whole = _took(python, "pass"), _took(python, f"import {_IMPORTS[module]}")
            found.setdefault(module, {"seconds": []})["seconds"].append(whole - bare)
    return found


def latencies(measurer: Measurer, settings: Settings, measure: str) -> dict[str, Any]:
    """``first_step`` or ``status``, of each contender: seconds as median and 99th percentile."""
    found: dict[str, Any] = {}
    for contender in settings.contenders:
        if contender.key.startswith("limit"):
            continue
        _say(f"{measure} of {contender.key}")
        times = settings.times if not contender.is_peer else min(settings.times, 100)
        answer = measurer(contender, measure, workload="fanout", scale=_status_scale(contender, measure), times=times, timeout=180)
        if "seconds" in answer:
            seconds = answer.pop("seconds")
            answer |= {"median": statistics.median(seconds), "p99": seconds[int(len(seconds) * 0.99)], "times": len(seconds)}
        found[contender.key] = answer
    return found


def resume(measurer: Measurer, settings: Settings) -> dict[str, Any]:
    """Of each durable contender: a run of 10,000 steps, killed at half, taken up by a new process."""
    found: dict[str, Any] = {}
    for contender in settings.contenders:
        if contender.store == "memory" or contender.key.startswith("limit"):
            continue
        for scale in (settings.resume_scale, settings.resume_scale / 10):
            _say(f"resuming {contender.key}, {workload('layers100x100', scale=scale).steps} steps")
            found[contender.key] = measurer(contender, "resume", workload="layers100x100", scale=scale, timeout=120)
            if "timeout" not in found[contender.key]:
                break
    return found


def _status_scale(contender: Contender, measure: str) -> float:
    """A run of 1,000 steps; of the slowest, 100: what is asked for is one run's status, whatever it took."""
    return 0.1 if contender.is_peer and contender.module in ("taskflow", "prefect") and measure == "status" else 1.0


def _took(python: str, code: str) -> float:
    before = time.perf_counter()
    subprocess.run([python, "-c", code], check=True, cwd=ROOT, capture_output=True)
    return time.perf_counter() - before


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()
