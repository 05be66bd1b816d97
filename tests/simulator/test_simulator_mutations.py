"""The simulator is worth something only if it misses a rule that is not there: each is switched off, and some seed must see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sim_mutations import MUTATIONS, Mutation
from sim_simulation import Simulation
from sim_trace import Broken
from sim_weather import CALM

SEEDS = range(150)


def first_broken(simulation: Callable[[int], Simulation], promises: tuple[str, ...]) -> tuple[int, str] | None:
    """The first seed that sees one of these promises broken."""
    for seed in SEEDS:
        try:
            simulation(seed).run()
        except Broken as broken:
            if str(broken).startswith(promises):
                return seed, str(broken)
    return None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_a_rule_that_is_switched_off_is_missed(mutation: Mutation) -> None:
    with mutation.applied():
        found = first_broken(lambda seed: Simulation(seed, weather=mutation.weather), mutation.seen_as)
    assert found is not None, f"nobody noticed in {len(SEEDS)} seeds that {mutation.what}"


def test_pauses_beyond_what_is_assumed_are_seen() -> None:
    """Processes on other hosts are waited for, but not for ever: that is the one assumption, and it is one."""
    pauses = replace(CALM, pause_every=5.0, mean_work=3.0)
    found = first_broken(lambda seed: Simulation(seed, weather=pauses, beyond_assumption=True), ("7 no zombie",))
    assert first_broken(lambda seed: Simulation(seed, weather=pauses), ("",)) is None
    assert found is not None, "no zombie was seen, though nothing kept the pauses short"
