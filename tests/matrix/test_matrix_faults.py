"""Each fault really happens, though a good plan does not show it."""

import pytest

from provisioning_core import Plan, RunStatus, Step, step
from provisioning_core.model import Direction
from provisioning_core.testing import fault_matrix
from provisioning_core.testing._matrix_calls import Deed
from provisioning_core.testing._matrix_faults import FAULTS, Fault
from provisioning_core.testing._matrix_scene import Scene, Setting
from provisioning_core.testing._virtual import Call

BY_NAME = {fault.name: fault for fault in FAULTS}


def steps(*, transactional: bool = False) -> list[Step]:
    @step(transactional=transactional)
    def first() -> None: ...

    @first.compensate
    def undo_first() -> None: ...

    @step(needs=[first])
    def second() -> None: ...

    return [first, second]


def struck(fault: Fault, way: int = 0, **options) -> Scene:
    """A run whose first step is struck once."""
    scene = Scene(Setting(plan=Plan("struck", steps=steps(**options))))
    meeting = fault.meetings(Deed(step="first", direction=Direction.FORWARD))[way]

    def on_call(call: Call) -> bool:
        if call.step != "first" or scene.witness.deeds or len(scene.world.engines) > 1:
            return False
        meeting(scene, call)
        return True

    scene.on_call = on_call
    scene.start()
    assert scene.status is RunStatus.SUCCEEDED
    return scene


def attempts(scene: Scene) -> list[str]:
    return [deed.step for deed in scene.witness.deeds]


def test_a_result_that_is_recorded_outlives_its_engine():
    scene = struck(BY_NAME["killed after"])
    assert [engine.is_alive for engine in scene.world.engines] == [False, True]
    assert attempts(scene) == ["first", "second"]


def test_an_attempt_that_was_not_begun_is_begun_elsewhere():
    scene = struck(BY_NAME["killed before"])
    assert [engine.is_alive for engine in scene.world.engines] == [False, True]
    assert attempts(scene) == ["first", "second"]


def test_a_result_that_is_not_recorded_does_not():
    assert attempts(struck(BY_NAME["runs twice"])) == ["first", "first", "second"]


@pytest.mark.parametrize("way", [0, 1], ids=["written", "unwritten"])
def test_the_answer_to_a_commit_is_lost(way: int):
    scene = struck(BY_NAME["answer lost"], way)
    assert scene.store.failed == {"commit": 1}
    assert attempts(scene) == ["first", "second"]


@pytest.mark.parametrize("way", [0, 1], ids=["written", "unwritten"])
def test_the_answer_to_a_steps_own_transaction_is_lost(way: int):
    fault = BY_NAME["answer lost"]
    scene = Scene(Setting(plan=Plan("own", steps=steps(transactional=True))))
    lost = fault.meetings(Deed(step="first", direction=Direction.FORWARD))[way]
    seen: list[str] = []

    def on_call(call: Call) -> bool:
        if seen:
            return False
        seen.append(call.step)
        lost(scene, call)
        return True

    scene.on_call = on_call
    scene.start()
    scene.close()
    assert scene.store.failed == {"transaction.commit": 1}


def test_the_columns_are_these():
    matrix = fault_matrix(Plan("all", steps=steps()))
    assert list(matrix.legend) == [
        "fails",
        "fails late",
        "fails once",
        "times out",
        "late",
        "killed before",
        "killed during",
        "killed after",
        "runs twice",
        "closed",
        "answer lost",
        "undo fails",
        "by hand",
        "undo twice",
        "undone",
    ]
    assert matrix.is_clean


def test_a_step_behind_a_gate_with_a_timeout_is_killed():
    from provisioning_core import gate

    approval = gate("approval", timeout=3 * 86400)

    @step(needs=[approval])
    def site() -> None: ...

    fault_matrix(Plan("gated", steps=[approval, site]), faults=["killed before"]).assert_clean()
