"""What a rollback would do, before it does it."""

from __future__ import annotations

from provisioning_cli._undo import undo_lines

from provisioning_core import RunStatus, StepStatus
from provisioning_core.model import Node, PlanGraph, Undoing, undoing
from tests.cli.sample import a_run, a_step, failed_run, tenant_graph


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
        "  Can't be undone: mail. Without --force a rollback that crosses them is refused.",
    ]


def test_a_run_that_left_nothing_says_so() -> None:
    assert undo_lines(undoing(a_run(RunStatus.PENDING, a_step("database")))) == ["No step left anything to undo."]
