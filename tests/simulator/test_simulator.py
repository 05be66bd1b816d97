"""Engines, faults and people in virtual time: 1,000 seeds, each a whole story, and no promise broken in any.

``make simulate`` runs many more; ``python tools/simulate.py --seed N --trace`` tells the story of one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sim_simulation import Simulation

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "simulate.py"
SEEDS, CHUNK = 1000, 200
KEPT = [int(line.split()[0]) for line in Path(__file__).with_name("seeds.txt").read_text().splitlines() if line[:1].isdigit()]


def simulate(*arguments: str, hash_seed: str = "random") -> subprocess.CompletedProcess[str]:
    """In a process of its own: nothing that other tests left behind gets into a story."""
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_a_promise(first: int) -> None:
    done = simulate("--seeds", f"{first}-{first + CHUNK}")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_a_sql_store_that_is_told_the_same_holds_the_same() -> None:
    done = simulate("--sql", "--seeds", "1000-1200")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


@pytest.mark.parametrize("seed", KEPT)
def test_seeds_that_once_failed_are_run_for_ever(seed: int) -> None:
    done = simulate("--seed", str(seed))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"


def test_the_same_seed_tells_the_same_story_in_every_process() -> None:
    stories = [
        simulate("--seeds", "40-60", "--trace", hash_seed=hash_seed).stdout.rpartition("\n20 seeds")[0] for hash_seed in "0123"
    ]
    assert len(stories[0].splitlines()) > 1000
    assert len(set(stories)) == 1


def test_the_same_seed_tells_the_same_story_twice_in_one_process() -> None:
    first, second = (Simulation(7).run().trace.text() for _ in range(2))
    assert first == second


def test_a_story_is_readable_and_has_faults_in_it() -> None:
    done = simulate("--seed", "12", "--trace")
    assert "started as engine-1 on host" in done.stdout
    assert "acts: forward of r1/" in done.stdout
    assert "no more faults" in done.stdout


def test_every_kind_of_fault_occurs_among_the_seeds() -> None:
    said = simulate("--seeds", "0-60").stdout
    for kind in ("crashes", "pauses", "closes", "outages", "cut off", "clock jumps", "asked"):
        assert f" {kind}" in said, said
