from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from engine_plans import Journal, MakeEngine

from provisioning_core import Engine, Plan
from provisioning_core.stores import MemoryStore


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def make_engine() -> Iterator[MakeEngine]:
    """Engines that are closed at the end; each on a new memory store if none is given."""
    made: list[Engine] = []

    def make(*plans: Plan, **options: Any) -> Engine:
        engine = Engine(**{"store": MemoryStore(), "plans": plans, "poll": 0.02} | options)
        made.append(engine)
        engine.open()
        return engine

    yield make
    for engine in made:
        engine.close(timeout=0.2)
