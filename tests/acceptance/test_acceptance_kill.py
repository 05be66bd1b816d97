"""Engines are killed with SIGKILL at any moment, again and again, while a product goes on asking for things."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import chaos_checks
import pytest
from chaos_client import Client
from chaos_fleet import Fleet, Worker

from provisioning_core.stores import SqlStore

KILLS = 3000 if os.environ.get("PROVISIONING_THOROUGH") else 150
ENGINES = 3
_LONGEST_LIFE = 0.25
"""Seconds; most of them open, take over what others left, and get some steps done in that time."""


@pytest.mark.timeout(3600 if KILLS > 1000 else 180)
def test_engines_are_killed_at_any_moment(url: str, fleet: Fleet, store: SqlStore, folder: Path, tell: Callable[[str], None]) -> None:
    begun = time.monotonic()
    with closing(Client(url)) as client:
        engines = [fleet.engine() for _ in range(ENGINES)]
        client.begin()
        kill_again_and_again(fleet, engines, KILLS)
        took = time.monotonic() - begun
        client.finish()
        ended = time.monotonic() - begun
    found = chaos_checks.problems(store, folder, client.log, fleet.deaths())
    counts = Counter(each.verb for each in client.log)
    tell(
        f"{KILLS} kills in {took:.0f} s, all at rest after {ended:.0f} s: {len(client.run_ids)} runs {dict(store.counts())}, "
        f"acknowledged {dict(counts)}, "
        f"set aside and freed {client.freed}, problems {len(found)}"
    )
    assert found == []
    assert len(client.run_ids) >= KILLS / 10, "the engines must have had something to do"


def kill_again_and_again(fleet: Fleet, engines: list[Worker], times: int) -> None:
    """One after the other, at a random moment of its life: while it opens, takes over, works."""
    moments, pause = random.Random(times), threading.Event()
    for number in range(times):
        place = number % len(engines)
        if number % 4:
            assert engines[place].ready.wait(60)
        pause.wait(moments.uniform(0, _LONGEST_LIFE))
        engines[place].kill()
        engines[place] = fleet.engine()
