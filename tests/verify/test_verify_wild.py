"""Whatever happens to a run: what is recorded of it, and its whole history, hold.

The same examples are tried in every run; ``PROVISIONING_THOROUGH=1`` tries many more, other ones each time.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from verify_world import RecordedWorld
from wild_runs import CHOICES, live_on, plans, skippable

IS_THOROUGH = os.environ.get("PROVISIONING_THOROUGH") == "1"


SETTINGS = settings(
    max_examples=5000 if IS_THOROUGH else 200,
    deadline=None,
    derandomize=not IS_THOROUGH,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@SETTINGS
@given(st.data(), CHOICES)
def test_the_invariants_hold_of_whatever_the_machine_decides(data: st.DataObject, choices: list[int]) -> None:
    """Of the records after every single event, of the history in the end."""
    graph = data.draw(plans())
    world = RecordedWorld(graph, skipped=data.draw(skippable(graph)))
    live_on(world, choices)
    assert world.violations() == []
