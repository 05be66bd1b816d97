"""Every workload on every contender, in rounds: the contenders of a workload one after the other, in another order each round."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Any

from bench.contenders import Contender
from bench.measuring import Measurer
from bench.settings import Settings
from bench.workloads import workload

SLOW = 0.005
"""Seconds that a step takes where steps take time."""

_SCALES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
_TRIAL = 0.02


class Throughput:
    """Collects figures: ``cells[workload][seconds][contender]`` is a dict with a list per figure, an entry per round."""

    def __init__(self, measurer: Measurer, settings: Settings) -> None:
        self._measurer = measurer
        self._settings = settings
        self.cells: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}

    def prepare(self) -> None:
        """Find out what each peer can be given to do in the time it has."""
        for name in self._settings.workloads:
            for contender in self._contenders(name, 0.0):
                tried = self._try(name, contender) if contender.is_peer else None
                for seconds in (0.0, SLOW):
                    if contender in self._contenders(name, seconds):
                        self._cell(name, seconds, contender).update(self._size(name, seconds, tried))

    def round(self, number: int) -> None:
        """Measure each once."""
        for name in self._settings.workloads:
            for seconds in (0.0, SLOW):
                these = [each for each in self._contenders(name, seconds) if "missing" not in self._cell(name, seconds, each)]
                random.Random(f"{name} {seconds} {number}").shuffle(these)
                for contender in these:
                    self._measure(name, seconds, contender)

    def finish(self) -> None:
        """Say of what never ended that it did not."""
        for name, seconds, contender in self._all():
            cell = self._cell(name, seconds, contender)
            if "missing" not in cell and not any(cell.get("rates", ())):
                cell["missing"] = "it did not end in time in any round"

    def _all(self) -> Iterator[tuple[str, float, Contender]]:
        for name in self._settings.workloads:
            for seconds in (0.0, SLOW):
                for contender in self._contenders(name, seconds):
                    yield name, seconds, contender

    def _contenders(self, name: str, seconds: float) -> list[Contender]:
        """The limits know no shapes: they are measured once, beside the chain, or what is measured first."""
        first = "chain" if "chain" in self._settings.workloads else self._settings.workloads[0]
        found = [each for each in self._settings.contenders if not each.key.startswith("limit") or (name == first and not seconds)]
        if seconds and self._settings.slow_for == "ours":
            found = [each for each in found if each.key.startswith("ours")]
        return found

    def _cell(self, name: str, seconds: float, contender: Contender) -> dict[str, Any]:
        return self.cells.setdefault(name, {}).setdefault(str(seconds), {}).setdefault(contender.key, {})

    def _try(self, name: str, contender: Contender) -> dict[str, Any]:
        _say(f"trying {contender.key} on {name}")
        return self._measurer(contender, "throughput", workload=name, scale=_TRIAL, timeout=60)

    def _size(self, name: str, seconds: float, tried: dict[str, Any] | None) -> dict[str, Any]:
        """What a contender is given to do, by how long a small trial took it; or why it is missing."""
        whole = workload(name, seconds=seconds)
        if tried is None:
            return {"scale": 1.0, "steps": whole.steps}
        if "seconds" not in tried:
            why = tried.get("missing") or f"{workload(name, scale=_TRIAL).steps} steps took more than {tried['timeout']} s"
            _say(f"MISSING on {name}: {why}")
            return {"missing": why}
        took = tried["seconds"] * whole.steps / tried["steps"] + whole.ideal_seconds()
        return {"scale": next((scale for scale in _SCALES if took * scale <= self._settings.cap), _SCALES[-1])}

    def _measure(self, name: str, seconds: float, contender: Contender) -> None:
        cell = self._cell(name, seconds, contender)
        timeout = 20 + 4 * self._settings.cap if contender.is_peer else 600
        found = self._measurer(contender, "throughput", workload=name, scale=cell["scale"], seconds=seconds, timeout=timeout)
        if "missing" in found:
            cell["missing"] = found["missing"]
            _say(f"MISSING: {contender.key} on {name}: {found['missing']}")
            return
        if "timeout" in found:
            cell["scale"] = max(cell["scale"] / 4, _SCALES[-1])
            found = {"steps": workload(name, scale=cell["scale"]).steps}
        took = found.get("seconds")
        figures = {
            "rates": found["steps"] / took if took else None,
            "efficiency": found["ideal_seconds"] / took if took else None,
            "build": found.get("build_seconds"),
            "peak": found.get("peak_bytes"),
            "base": found.get("base_bytes"),
        }
        cell["steps"] = found["steps"]
        for figure, value in figures.items():
            cell.setdefault(figure, []).append(value)
        _say(
            f"{contender.key:18} {name:14} {1000 * seconds:g} ms: "
            + (f"{found['steps'] / took:10,.0f} steps/s" if took else "timeout")
        )


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()
