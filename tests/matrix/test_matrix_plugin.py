"""The pytest plug-in: our own use of it, and what a user sees of it in a run of pytest."""

import subprocess
import sys
from pathlib import Path

import pytest
from matrix_cloud import Cloud, good_plan

_cloud = Cloud()

USERS_FILE = """
import pytest
from provisioning_core import Plan, step

things = {}

@step
def bucket() -> None:
    things["bucket"] = 1

@bucket.compensate
def delete_bucket() -> None:
    del things["bucket"]

plan = Plan("flawed", steps=[bucket])


@pytest.mark.provisioning_plan(plan, world=things.copy, fresh=things.clear)
def test_plan(provisioning_cell):
    provisioning_cell.prove()


def test_whole_plan(provisioning_faults):
    provisioning_faults(plan, world=things.copy, fresh=things.clear)


def test_good_part(provisioning_faults):
    provisioning_faults(plan, world=things.copy, fresh=things.clear, faults=["killed after"])
"""

LAZY_FILE = """
import sys

def test_nothing():
    assert "provisioning_pytest" in sys.modules
    assert "provisioning_core" not in sys.modules
"""


@pytest.mark.provisioning_plan(good_plan(_cloud), world=_cloud.world, fresh=_cloud.fresh, signals={"approval": 7}, steps=["site"])
def test_a_plan_is_proven_in_three_lines(provisioning_cell):
    provisioning_cell.prove()


def test_or_in_two_when_its_world_is_a_fixture(provisioning_faults):
    cloud = Cloud()
    matrix = provisioning_faults(good_plan(cloud), world=cloud.world, fresh=cloud.fresh, signals={"approval": 7}, steps=["mail"])
    assert matrix.is_clean


def run_pytest(folder: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_users.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:cov", *words, "test_users.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_each_fault_is_a_test_and_every_problem_is_shown(tmp_path: Path):
    done = run_pytest(tmp_path, USERS_FILE, "-v", "-rs", "--strict-markers")
    assert done.returncode == 1
    for line in (
        "test_plan[bucket-fails] FAILED",
        "test_plan[bucket-fails late] PASSED",
        "test_plan[bucket-killed during] SKIPPED",
        "test_plan[bucket-undo twice] FAILED",
        "test_plan[bucket-undone] PASSED",
        "test_whole_plan FAILED",
        "test_good_part PASSED",
        "can't strike step 'bucket'",
        "step bucket, fault 'fails': STUCK",
        "step bucket: its compensation raises when there is nothing (more) to undo: KeyError: 'bucket'. Let it treat",
        "To be mended:",
    ):
        assert line in done.stdout, done.stdout
    assert "_matrix_result.py" not in done.stdout.replace("PlanFaulty", ""), "no traceback of ours"


def test_a_test_without_the_mark_is_told_so(tmp_path: Path):
    done = run_pytest(tmp_path, "def test_plan(provisioning_cell): ...")
    assert done.returncode != 0
    assert "takes provisioning_cell and has no mark provisioning_plan(plan, ...)" in done.stdout + done.stderr


def test_the_plug_in_imports_nothing_until_it_is_asked(tmp_path: Path):
    done = run_pytest(tmp_path, LAZY_FILE)
    assert done.returncode == 0, done.stdout
