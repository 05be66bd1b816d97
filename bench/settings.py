"""How much is measured: two forms, and what the environment says to them.

``BENCH``: ``full`` (the default) or ``quick``. ``BENCH_ONLY``: names of contenders, workloads and parts, separated by commas; what is
not named is left out, and a kind of which nothing is named is whole. ``BENCH_ROUNDS``: how often everything is measured.
``BENCH_PAGE``: write what was found into docs/ whatever the form.
``BENCH_CAP``: seconds that one measurement of a peer may take about. ``BENCH_STEPS``: steps in the largest plan of the curves.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from bench.contenders import CONTENDERS, Contender
from bench.workloads import WORKLOADS

PARTS = ("throughput", "counts", "imports", "first_step", "status", "resume", "scaling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One form of the benchmark."""

    name: str
    rounds: int
    cap: float
    """Seconds that one measurement of a peer may take about; it is given less to do where it would take longer."""
    contenders: tuple[Contender, ...]
    workloads: tuple[str, ...]
    slow_for: str
    """Whose steps of 5 ms are measured: ``all``, or ``ours`` alone."""
    parts: tuple[str, ...]
    times: int
    """How often latencies are measured."""
    resume_scale: float
    scaling: int
    """Steps in the largest plan of the scaling curves."""

    @property
    def writes_page(self) -> bool:
        """Whether the results go into the documentation, which says what form they are of."""
        return bool(os.environ.get("BENCH_PAGE")) or (self.name == "full" and not os.environ.get("BENCH_ONLY"))


def _named(*keys: str) -> tuple[Contender, ...]:
    return tuple(contender for contender in CONTENDERS if any(key in contender.key for key in keys))


FORMS = {
    "full": Settings(
        name="full",
        rounds=3,
        cap=6.0,
        contenders=CONTENDERS,
        workloads=tuple(WORKLOADS),
        slow_for="all",
        parts=PARTS,
        times=300,
        resume_scale=1.0,
        scaling=100_000,
    ),
    "quick": Settings(
        name="quick",
        rounds=3,
        cap=3.0,
        contenders=_named("ours", "limit", "graphlib", "dbos", "taskflow-sqlite"),
        workloads=("chain", "fanout", "tenants100"),
        slow_for="ours",
        parts=("throughput", "counts", "imports", "first_step", "status"),
        times=100,
        resume_scale=0.1,
        scaling=10_000,
    ),
}


def settings() -> Settings:
    """As the environment says. Raises SystemExit for words that mean nothing."""
    form = os.environ.get("BENCH") or "full"
    if form not in FORMS:
        raise SystemExit(f"BENCH={form} is none of {', '.join(FORMS)}")
    found = FORMS[form]
    found = replace(
        found,
        rounds=int(os.environ.get("BENCH_ROUNDS") or found.rounds),
        cap=float(os.environ.get("BENCH_CAP") or found.cap),
        scaling=int(os.environ.get("BENCH_STEPS") or found.scaling),
    )
    words = [word.strip() for word in os.environ.get("BENCH_ONLY", "").split(",") if word.strip()]
    return _narrowed(found, words) if words else found


def _narrowed(whole: Settings, words: list[str]) -> Settings:
    contenders = tuple(each for each in CONTENDERS if any(each.key == word or each.key.split("-")[0] == word for word in words))
    workloads = tuple(name for name in WORKLOADS if name in words)
    parts = tuple(part for part in PARTS if part in words)
    understood = {*workloads, *parts, *(each.key for each in CONTENDERS), *(each.key.split("-")[0] for each in CONTENDERS)}
    if unknown := [word for word in words if word not in understood]:
        known = [*(each.key for each in CONTENDERS), *WORKLOADS, *PARTS]
        raise SystemExit(f"BENCH_ONLY: {', '.join(unknown)} is none of {', '.join(known)}")
    return replace(
        whole,
        contenders=contenders or whole.contenders,
        workloads=workloads or whole.workloads,
        parts=parts or whole.parts,
    )
