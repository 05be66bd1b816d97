"""Every state that a small run can reach, whatever happens to it: no promise breaks, and it can always still end.

The longer search, and the page about it, are ``make explore``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from explorer.families import FAMILIES, Family, shapes_of
from explorer.mutations import MUTATIONS, Mutation
from explorer.report import faults_of
from explorer.shapes import CHAIN, ONE, Needs, describe, shapes
from explorer.story import told
from provisioning_core import RunStatus, StepStatus

PAGE = Path(__file__).parents[2] / "docs" / "explorer.md"
SEARCHES = [(family, needs) for family in FAMILIES for needs in shapes_of(family, long=False)]


def names_of_search(value: object) -> str:
    return value.name if isinstance(value, Family) else describe(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(("family", "needs"), SEARCHES, ids=names_of_search)
def test_no_promise_breaks_and_every_state_can_still_end(family: Family, needs: Needs) -> None:
    found = family.search(needs).run()
    print(f"{found.states:,} states, {found.transitions:,} transitions, {found.seconds:.1f} s")
    assert found.is_complete
    assert found.broken is None, "\n".join(["", *told(found)])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_broken_rule_is_found(mutation: Mutation) -> None:
    found = mutation.search()
    print("\n".join(told(found)))
    assert found.breaks_promise


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_same_search_finds_nothing_when_the_rule_is_kept(mutation: Mutation) -> None:
    found = mutation.search_unbroken()
    assert found.is_complete
    assert found.broken is None, "\n".join(["", *told(found)])


def test_nearly_every_status_is_reached() -> None:
    """A search that finds nothing because nothing happens would be no proof."""
    runs, steps = set(), set()
    for family in FAMILIES:
        search = family.search(CHAIN if family.name == "people step in" else ONE)
        search.run()
        runs |= {state.row.records.run.status for state in search.states}
        steps |= {step.status for state in search.states for step in state.row.records.steps}
    assert runs == set(RunStatus)
    assert steps == set(StepStatus) - {StepStatus.WAITING, StepStatus.SKIPPED}


def test_the_page_names_all_broken_rules() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    listed = [(cells[0].removeprefix("| "), cells[1], cells[2]) for cells in lines if cells[1].startswith("`") and len(cells) == 5]
    assert listed == [(each.name, f"`{describe(each.shape)}`", faults_of(each.faults)) for each in MUTATIONS]


def test_there_are_as_many_shapes_as_there_should_be() -> None:
    """Unlabelled DAGs: https://oeis.org/A003087."""
    assert [len(shapes(steps)) for steps in (1, 2, 3, 4)] == [1, 2, 6, 31]
