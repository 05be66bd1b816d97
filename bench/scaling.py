"""Curves of this project alone: what a step and a run cost, by how many there are."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from bench.contenders import Contender
from bench.measuring import Measurer
from bench.settings import Settings

_LONG = 60.0
"""A point that takes more seconds is measured once."""

_STORES = {"sqlite": "SQLite", "memory": "in memory"}


def scaling(measurer: Measurer, settings: Settings) -> dict[str, Any]:
    """Every curve as a list of points, and what the targets are judged by."""
    top = settings.scaling
    sizes = [size for size in (10, 100, 1000, 10_000, 100_000) if size <= top]
    crowds = [size for size in (1, 10, 100, 1000, 10_000) if size <= top // 10]
    found: dict[str, Any] = {}
    for store in _STORES:
        found[f"steps-{store}"] = _curve(measurer, settings, "steps", store, sizes)
        found[f"runs-{store}"] = _curve(measurer, settings, "runs", store, crowds)
    found["history-sqlite"] = _curve(measurer, settings, "history", "sqlite", [0, top // 10, top, top * 10])
    found["waiting_steps"] = _curve(measurer, settings, "waiting_steps", "sqlite", [top // 20, top // 5])
    found["waiting_runs"] = _curve(measurer, settings, "waiting_runs", "sqlite", [top // 200, top // 50])
    found["finished"] = _curve(measurer, settings, "finished", "sqlite", [top // 100])
    found["judged"] = _judged(found)
    return found


def _curve(measurer: Measurer, settings: Settings, name: str, store: str, sizes: list[int]) -> list[dict[str, Any]]:
    contender = Contender(
        key=f"{name}-{store}", title=name, module="", environment="own", store=store, is_peer=False, program="bench.scaling_driver"
    )
    points = []
    for size in dict.fromkeys(sizes):
        answers: list[dict[str, Any]] = []
        for _ in range(settings.rounds):
            before = time.monotonic()
            answers.append(measurer(contender, name, curve=name, size=size, timeout=1200))
            if time.monotonic() - before > _LONG or "size" not in answers[-1]:
                break
        points.append(_median(answers))
        sys.stderr.write(f"  {name} {store} {size:,}: {points[-1]}\n")
    return points


def _median(answers: list[dict[str, Any]]) -> dict[str, Any]:
    if any("size" not in answer for answer in answers):
        return answers[-1]
    return {figure: statistics.median(answer[figure] for answer in answers) for figure in answers[0]}


def _judged(found: dict[str, Any]) -> dict[str, float]:
    """The largest against the case that is small but not so small that starting and ending outweigh the steps."""
    candidates = {
        "steps_time": _growth(found["steps-sqlite"], "per_step", 1000),
        "runs_time": _growth(found["runs-sqlite"], "per_step", 100),
        "history_time": _growth(found["history-sqlite"], "per_step", 0),
        "step_bytes": _last(found["waiting_steps"], "bytes_per_step"),
        "run_bytes": _last(found["waiting_runs"], "one"),
        "gate_bytes": _last(found["waiting_runs"], "gate"),
        "finished_bytes": _last(found["finished"], "bytes_per_run"),
    }
    return {key: value for key, value in candidates.items() if value is not None}


def _growth(points: list[dict[str, Any]], figure: str, small: int) -> float | None:
    known = [point for point in points if figure in point]
    base = [point for point in known if point["size"] == small]
    return known[-1][figure] / base[0][figure] if base and known[-1]["size"] > small else None


def _last(points: list[dict[str, Any]], figure: str) -> float | None:
    return points[-1].get(figure) if points else None
