"""What a rollback would do, before it does it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from provisioning_cli import create_group
from provisioning_cli._undo import undo_lines

from provisioning_core import Engine, Plan, RunStatus, StepStatus, step
from provisioning_core.model import Node, PlanGraph, Undoing, undoing
from provisioning_core.stores import MemoryStore
from tests.cli.sample import a_run, a_step, failed_run, tenant_graph

CROSSING = "Without --force a rollback that crosses them is refused; deprovision goes past them and leaves what they did."


def test_steps_are_undone_after_those_that_depend_on_them() -> None:
    assert undoing(failed_run(), tenant_graph()) == Undoing(waves=(("bucket", "billing"), ("database",)))


def test_a_step_that_is_in_between_passes_the_order_on() -> None:
    view = a_run(
        RunStatus.SUCCEEDED,
        a_step("a", StepStatus.SUCCEEDED, attempt=1),
        a_step("gate", StepStatus.SUCCEEDED, ("a",)),
        a_step("b", StepStatus.SUCCEEDED, ("gate",), attempt=1),
    )

    assert undoing(view).waves == (("b",), ("a",))


def test_what_to_names_and_needs_stays() -> None:
    assert undoing(failed_run(), tenant_graph(), to="bucket").waves == (("billing",),)


def test_irreversible_steps_and_those_with_nothing_to_undo_are_named() -> None:
    view = a_run(
        RunStatus.SUCCEEDED,
        a_step("database", StepStatus.SUCCEEDED, attempt=1),
        a_step("note", StepStatus.SUCCEEDED, ("database",), attempt=1),
        a_step("mail", StepStatus.SUCCEEDED, ("note",), attempt=1),
    )
    nodes = (
        Node(name="database", has_compensation=True),
        Node(name="note", needs=("database",)),
        Node(name="mail", needs=("note",), irreversible=True),
    )

    found = undoing(view, PlanGraph(plan="tenant", version="1", nodes=nodes))

    assert found == Undoing(waves=(("database",),), irreversible=("mail",), without_compensation=("note",))
    assert undo_lines(found) == [
        "This undoes 1 step, in this order:",
        "  1. database",
        "  Nothing to undo: note.",
        f"  Can't be undone: mail. {CROSSING}",
    ]


def test_a_run_that_left_nothing_says_so() -> None:
    assert undo_lines(undoing(a_run(RunStatus.PENDING, a_step("database")))) == ["No step left anything to undo."]


@pytest.mark.parametrize("words", [["deprovision", "acme"], ["rollback", "acme", "--force"]])
def test_what_can_not_be_undone_is_told_as_left(words: list[str]) -> None:
    first, store = step(name="database")(lambda: None), MemoryStore()
    first.compensate(lambda: None)
    plan = Plan("tenant", steps=[first, step(name="mail", needs=[first], irreversible=True)(_nothing)])
    group = create_group(lambda *, work: Engine(store=store, plans=[plan], work=work, poll=0.02))

    asked = (["start", "acme", "tenant"], ["rollback", "acme"], words, ["explain", "acme"])
    started, refused, undone, explained = (CliRunner().invoke(group, each) for each in asked)

    assert [each.exit_code for each in (started, refused, undone)] == [0, 9, 0]
    head = "acme was rolled back, but for what can't be undone: mail (ROLLED_BACK): 1 step undone (plan tenant, version 1)."
    assert undone.stdout.splitlines()[0] == head
    assert "  mail: This step can't be undone; what it did is left as it is. (irreversible)" in undone.stdout
    assert "  Step mail: This step can't be undone; what it did is left as it is." in explained.stdout


def _nothing() -> None: ...
