"""What the project set out to reach, and whether these results reach it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.statistics_of import ratio, spread
from bench.throughput import SLOW

Results = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One target."""

    target: str
    reached: str
    is_met: bool | None
    """By the median. None: not measured."""
    is_sure: bool = True
    """Whether every round says the same."""


def judge(results: Results) -> list[Judgement]:
    """All targets, in the order in which they were set."""
    return [*_against_peers(results), *_against_the_limit(results), *_efficiency(results), *_scaling(results), *_waits(results)]


def _against_peers(results: Results) -> Iterator[Judgement]:
    for store, title in (("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        for workload, what, least in _DBOS[store]:
            yield _ratio(results, f"{title}, {what}: ≥ {least:g}× DBOS", workload, f"ours-{store}", f"dbos-{store}", least)
    for workload, what in (("chain", "chain"), ("fanout", "fan-out"), ("tenants100", "100 tenants")):
        yield _ratio(results, f"SQLite, {what}: ≥ 50× TaskFlow", workload, "ours-sqlite", "taskflow-sqlite", 50)


_DBOS = {
    "sqlite": (("fanout", "fan-out", 20.0), ("tenants100", "100 tenants", 20.0), ("chain", "chain", 5.0)),
    "postgres": (("fanout", "fan-out", 20.0), ("tenants100", "100 tenants", 20.0), ("chain", "chain", 4.0)),
}


def _against_the_limit(results: Results) -> Iterator[Judgement]:
    for store, title, least in (("sqlite", "SQLite", 5000), ("postgres", "PostgreSQL", 3000)):
        what = f"{title}, chain: ≥ 0.5 of the bare driver's commits"
        yield _ratio(results, what, "chain", f"ours-{store}", f"limit-{store}", 0.5, limit_at="chain")
        for workload, shape in (("fanout", "fan-out"), ("tenants100", "100 tenants")):
            rates = spread(_rates(results, workload, f"ours-{store}"))
            yield _judged(f"{title}, {shape}: ≥ {least:,} durable steps/s", rates and rates.median, "{:,.0f} steps/s", at_least=least)
    for workload, shape in (("chain", "chain"), ("fanout", "fan-out"), ("tenants100", "100 tenants")):
        yield _ratio(results, f"In memory, {shape}: ≥ 0.5 of `graphlib` by hand", workload, "ours-memory", "graphlib", 0.5)


def _efficiency(results: Results) -> Iterator[Judgement]:
    for store, title in (("memory", "in memory"), ("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        found = {}
        for workload, cells in results.get("throughput", {}).items():
            measured = spread(cells.get(str(SLOW), {}).get(f"ours-{store}", {}).get("efficiency"))
            if measured:
                found[workload] = measured.median
        worst = min(found, key=lambda name: found[name], default=None)
        reached = "not measured" if worst is None else f"{found[worst]:.2f} at the least ({worst})"
        is_met = None if worst is None else found[worst] >= 0.8
        yield Judgement(target=f"Steps of 5 ms, 16 workers, {title}: ≥ 0.8 of ideal on every shape", reached=reached, is_met=is_met)


def _scaling(results: Results) -> Iterator[Judgement]:
    found = results.get("scaling", {}).get("judged", {})
    for key, target, form, most in _SCALING:
        yield _judged(target, found.get(key), form, at_most=most)


_SCALING: tuple[tuple[str, str, str, float], ...] = (
    ("steps_time", "Time per step in the largest plan: ≤ 1.5× the small case", "{:.2f}×", 1.5),
    ("runs_time", "Time per step with the most runs at once: ≤ 1.5× the small case", "{:.2f}×", 1.5),
    ("history_time", "Time per step after 1 million events: ≤ 1.5× the empty store", "{:.2f}×", 1.5),
    ("step_bytes", "Memory per waiting step: < 1 KB", "{:,.0f} bytes", 1024),
    ("run_bytes", "Memory per run of one step that waits for a worker: < 4 KB", "{:,.0f} bytes", 4096),
    ("gate_bytes", "Memory per run that waits at a gate: < 4 KB", "{:,.0f} bytes", 4096),
    ("finished_bytes", "A finished run keeps nothing in memory", "{:,.0f} bytes", 64),
)


def _waits(results: Results) -> Iterator[Judgement]:
    imported = spread(results.get("imports", {}).get("ours", {}).get("seconds"))
    yield _judged("Import of `provisioning_core`: < 0.35 s", imported and imported.median, "{:.3f} s", at_most=0.35)
    for store, title in (("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        began = results.get("first_step", {}).get(f"ours-{store}", {}).get("median")
        yield _judged(f"{title}: first step within 3 ms (median) of `start`", began and 1000 * began, "{:.2f} ms", at_most=3)
        asked = results.get("status", {}).get(f"ours-{store}", {}).get("median")
        yield _judged(f"{title}: status of a run of 1,000 steps under 10 ms", asked and 1000 * asked, "{:.2f} ms", at_most=10)


def _rates(results: Results, workload: str, contender: str) -> list[float | None] | None:
    rates = results.get("throughput", {}).get(workload, {}).get("0.0", {}).get(contender, {}).get("rates")
    return list(rates) if rates else None


def _ratio(
    results: Results, target: str, workload: str, ours: str, theirs: str, least: float, *, limit_at: str | None = None
) -> Judgement:
    found = ratio(_rates(results, workload, ours), _rates(results, limit_at or workload, theirs))
    if found is None:
        return Judgement(target=target, reached="not measured", is_met=None)
    return Judgement(
        target=target,
        reached=f"{found.median:.2f}× ({found.least:.2f}–{found.most:.2f})",
        is_met=found.median >= least,
        is_sure=found.least >= least or found.most < least,
    )


def _judged(target: str, value: float | None, form: str, *, at_least: float | None = None, at_most: float | None = None) -> Judgement:
    if value is None:
        return Judgement(target=target, reached="not measured", is_met=None)
    is_met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    return Judgement(target=target, reached=form.format(value), is_met=is_met)
