"""The table that a person reads."""

import pytest
from matrix_cloud import Cloud

from provisioning_core import Plan, step
from provisioning_core.testing import FaultMatrix, PlanFaulty, fault_matrix


@pytest.fixture
def matrix() -> FaultMatrix:
    cloud = Cloud()

    @step
    def bucket() -> None:
        cloud.add("bucket")

    @bucket.compensate
    def delete_buckets() -> None:
        cloud.things.clear()

    @step(needs=[bucket], irreversible=True)
    def mail() -> None:
        cloud.put("mail")

    faults = ["fails", "runs twice", "killed after", "times out", "undone"]
    return fault_matrix(Plan("shop", steps=[bucket, mail]), world=cloud.world, fresh=cloud.fresh, faults=faults)


def test_it_has_a_row_for_each_step_and_a_column_for_each_fault(matrix: FaultMatrix):
    assert str(matrix).splitlines()[:5] == [
        "Plan shop: 2 steps, 8 cells, one problem",
        "        fails   times   killed  runs    undone",
        "step            out     after   twice",
        "bucket  honest  ·       there   REPEAT  gone",
        "mail    honest  ·       there   there   gone",
    ]


def test_it_has_a_legend_of_what_is_shown(matrix: FaultMatrix):
    text = str(matrix)
    assert (
        "runs twice    the engine is killed when the work is done and the result is not recorded: it runs, or is probed, again"
        in text
    )
    assert "REPEAT        something is there twice" in text
    assert "LOST" not in text


def test_it_says_what_to_mend(matrix: FaultMatrix):
    text = str(matrix)
    assert "To be mended:\n  REPEAT step bucket: it made a second one when it ran twice: there are 'bucket-" in text
    assert "\n      Name it after ctx.idempotency_key" in text


def test_a_matrix_with_problems_raises_with_the_whole_table(matrix: FaultMatrix):
    with pytest.raises(PlanFaulty) as raised:
        matrix.assert_clean()
    assert str(raised.value) == f"\n{matrix}"
    with pytest.raises(AssertionError):
        matrix.raise_for_problems()


def test_a_cell_tells_its_own_problems(matrix: FaultMatrix):
    cell = next(row for row in matrix.rows if row.step == "bucket").cells["runs twice"]
    with pytest.raises(PlanFaulty, match="step bucket, fault 'runs twice': REPEAT\n  step bucket: it made a second one"):
        cell.prove()


def test_one_flaw_that_many_faults_show_is_told_once():
    cloud = Cloud()

    @step
    def bucket() -> None:
        cloud.add("bucket")

    @bucket.compensate
    def delete_buckets() -> None:
        cloud.things.clear()

    text = str(fault_matrix(Plan("shop", steps=[bucket]), world=cloud.world, fresh=cloud.fresh))
    assert text.count("step bucket: it made") == 1
    assert "seen too under: runs twice" in text
