"""All shapes a plan of a few steps can have, and plans of these shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, permutations

from provisioning_core.model import Node, PlanGraph, Retry

NAMES = "abcd"

Needs = tuple[tuple[int, ...], ...]
"""For each step the steps it needs, all of them before it."""

ONE: Needs = ((),)
CHAIN: Needs = ((), (0,))
PAIR: Needs = ((), ())
DIAMOND: Needs = ((), (0,), (0,), (1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the steps of a plan declare; all of them the same."""

    on_failure: str = "rollback"
    attempts: int = 1
    undo_attempts: int = 1
    in_doubt: str = "rerun"
    compensate_on: str = "started"
    timeout: float | None = None


def shapes(steps: int) -> list[Needs]:
    """One of each kind of DAG with so many steps: two that differ only in the names of the steps count once."""
    found: dict[frozenset[tuple[int, int]], Needs] = {}
    for needs in _all_needs(steps):
        found.setdefault(_least_relabelling(needs), needs)
    return sorted(found.values(), key=lambda needs: (sum(map(len, needs)), needs))


def _all_needs(steps: int) -> Iterator[Needs]:
    pairs = list(combinations(range(steps), 2))
    for chosen in range(2 ** len(pairs)):
        edges = [pair for number, pair in enumerate(pairs) if chosen >> number & 1]
        yield tuple(tuple(a for a, b in edges if b == i) for i in range(steps))


def _least_relabelling(needs: Needs) -> frozenset[tuple[int, int]]:
    edges = [(a, b) for b, before in enumerate(needs) for a in before]
    relabelled = ([(order[a], order[b]) for a, b in edges] for order in permutations(range(len(needs))))
    return frozenset(min(sorted(each) for each in relabelled))


def describe(needs: Needs) -> str:
    """In a few characters: ``a b c(a,b)``."""
    return " ".join(NAMES[i] + (f"({','.join(NAMES[n] for n in before)})" if before else "") for i, before in enumerate(needs))


def plan(needs: Needs, policy: Policy) -> PlanGraph:
    """A plan of this shape."""
    probes = policy.in_doubt == "probe" or policy.compensate_on == "probe"
    nodes = tuple(
        Node(
            name=NAMES[i],
            needs=tuple(NAMES[need] for need in before),
            retry=_retry(policy.attempts),
            compensation_retry=_retry(policy.undo_attempts),
            in_doubt=policy.in_doubt,
            compensate_on=policy.compensate_on,
            has_compensation=True,
            has_probe=probes,
            timeout=policy.timeout,
        )
        for i, before in enumerate(needs)
    )
    return PlanGraph(plan="explored", version="1", on_failure=policy.on_failure, nodes=nodes)


def _retry(attempts: int) -> Retry:
    """Each wait is one tick of the model's clock."""
    return Retry(attempts=attempts, initial=1.0, factor=1.0, maximum=1.0, jitter=0.0)
