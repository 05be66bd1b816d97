"""Engines are stopped for longer than their lease and woken, again and again, while a product goes on asking for things."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import chaos_checks
import pytest
from chaos_client import Client
from chaos_fleet import Fleet

from provisioning_core.stores import SqlStore

PAUSES = 250 if os.environ.get("PROVISIONING_THOROUGH") else 6
_LEASE = 0.6


@pytest.mark.timeout(3600 if PAUSES > 100 else 180)
def test_engines_are_stopped_and_woken_at_any_moment(
    url: str, fleet: Fleet, store: SqlStore, folder: Path, tell: Callable[[str], None]
) -> None:
    """On SQLite an engine that is stopped while it writes stops all others until it wakes up; nothing may come of that either."""
    moments, pause = random.Random(PAUSES), threading.Event()
    begun = time.monotonic()
    with closing(Client(url)) as client:
        engines = [fleet.engine(lease=_LEASE) for _ in range(3)]
        assert all(engine.ready.wait(30) for engine in engines)
        client.begin()
        for _ in range(PAUSES):
            stopped = moments.sample(engines, moments.choice([1, 1, 2]))
            pause.wait(moments.uniform(0.05, 0.3))
            for engine in stopped:
                engine.stop()
            pause.wait(moments.uniform(0.8, 2.0) * _LEASE)
            for engine in stopped:
                engine.wake()
        client.finish()
        took = time.monotonic() - begun
    found = chaos_checks.problems(store, folder, client.log, fleet.deaths())
    taken = chaos_checks.handed_over(store)
    counts = dict(store.counts())
    tell(f"{PAUSES} pauses in {took:.0f} s: {len(client.run_ids)} runs {counts}, other owners {taken}, problems {len(found)}")
    assert found == []
    assert taken > 0
    assert len(client.run_ids) >= PAUSES
