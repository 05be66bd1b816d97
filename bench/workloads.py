"""What is measured: shapes of plans, without a word of any library.

Standard library only: every contender's interpreter imports it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WORKERS = 16
"""Steps at once, for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """``runs`` runs at once of one plan, whose step ``i`` needs the steps ``needs[i]``, all of them smaller than ``i``."""

    name: str
    needs: tuple[tuple[int, ...], ...]
    runs: int = 1
    seconds: float = 0.0
    """What each step takes; 0 for steps that do nothing."""

    @property
    def steps(self) -> int:
        """Of all runs together."""
        return len(self.needs) * self.runs

    @property
    def layers(self) -> list[list[int]]:
        """The steps by their distance from the start: those of a layer need only steps of earlier ones."""
        depth: list[int] = []
        for needs in self.needs:
            depth.append(1 + max((depth[need] for need in needs), default=-1))
        found: list[list[int]] = [[] for _ in range(max(depth) + 1)]
        for index, layer in enumerate(depth):
            found[layer].append(index)
        return found

    def ideal_seconds(self, workers: int = WORKERS) -> float:
        """How long ``workers`` workers need who waste no time between steps and begin the oldest ready step first."""
        waiting = [len(needs) for needs in self.needs] * self.runs
        size = len(self.needs)
        behind: list[list[int]] = [[] for _ in self.needs]
        for index, needs in enumerate(self.needs):
            for need in needs:
                behind[need].append(index)
        ready = [index for index, needs in enumerate(waiting) if not needs]
        heapq.heapify(ready)
        running: list[tuple[int, int]] = []
        now = 0
        while ready or running:
            while ready and len(running) < workers:
                heapq.heappush(running, (now + 1, heapq.heappop(ready)))
            now = running[0][0]
            while running and running[0][0] == now:
                _, ended = heapq.heappop(running)
                first = ended - ended % size
                for index in behind[ended % size]:
                    waiting[first + index] -= 1
                    if not waiting[first + index]:
                        heapq.heappush(ready, first + index)
        return now * self.seconds


def chain(steps: int) -> tuple[tuple[int, ...], ...]:
    """One after the other."""
    return ((), *((index,) for index in range(steps - 1)))


def fan_out(width: int) -> tuple[tuple[int, ...], ...]:
    """One, then ``width`` that need it, then one that needs them all."""
    return ((), *((0,) for _ in range(width)), tuple(range(1, width + 1)))


def layers(depth: int, width: int, *, needs: int) -> tuple[tuple[int, ...], ...]:
    """``depth`` layers of ``width`` steps; each needs ``needs`` steps of the layer before (its neighbours)."""
    found: list[tuple[int, ...]] = [()] * width
    for layer in range(1, depth):
        before = (layer - 1) * width
        neighbours = (sorted(before + (place + offset) % width for offset in range(needs)) for place in range(width))
        found.extend(map(tuple, neighbours))
    return tuple(found)


TENANT = ((), (0,), (1,), (2,), (0,), (4,), (0,), (6,), (0,), (3, 5, 7), (8, 9), (10,))
"""A tenant's plan: the account; then database, schema, seed data beside bucket, policy beside DNS, certificate beside billing; then
the configuration that joins the first three branches, the activation that waits for billing too, and the welcome mail."""


def _tenants(runs: int) -> Callable[[float], Workload]:
    def make(scale: float) -> Workload:
        return Workload(name=f"tenants{runs}", needs=TENANT, runs=_scaled(runs, scale))

    return make


def _scaled(size: int, scale: float, least: int = 4) -> int:
    return max(least, round(size * scale))


WORKLOADS: Mapping[str, Callable[[float], Workload]] = {
    "chain": lambda scale: Workload(name="chain", needs=chain(_scaled(1000, scale))),
    "fanout": lambda scale: Workload(name="fanout", needs=fan_out(_scaled(1000, scale))),
    "layers20x50": lambda scale: Workload(name="layers20x50", needs=layers(_scaled(20, scale, 2), 50, needs=50)),
    "layers100x100": lambda scale: Workload(name="layers100x100", needs=layers(_scaled(100, scale, 2), 100, needs=3)),
    "tenants100": _tenants(100),
    "tenants1000": _tenants(1000),
}
"""Each at a scale of 1 or less: fewer steps, fewer layers, fewer tenants; the shape stays."""

TITLES = {
    "chain": "chain of 1,000",
    "fanout": "fan-out 1→1,000→1",
    "layers20x50": "20 layers of 50, each step needs all 50 before it",
    "layers100x100": "100 layers of 100, each step needs 3 before it",
    "tenants100": "100 tenants at once, 12 steps each",
    "tenants1000": "1,000 tenants at once, 12 steps each",
}


def workload(name: str, *, scale: float = 1.0, seconds: float = 0.0) -> Workload:
    """One of WORKLOADS. Raises KeyError for another name."""
    made = WORKLOADS[name](scale)
    return Workload(name=name, needs=made.needs, runs=made.runs, seconds=seconds)


def tiny() -> Workload:
    """Runs before anything is measured, so that nobody is measured cold: one tenant."""
    return Workload(name="tiny", needs=TENANT)
