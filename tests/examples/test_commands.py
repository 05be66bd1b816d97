"""The example's commands, as a user types them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def done_in(folder: Path) -> list[str]:
    lines = [json.loads(line) for line in (folder / "ledger.jsonl").read_text().splitlines()]
    return sorted(line["step"] for line in lines if line["what"] == "done")


def test_the_demo_shows_a_tenant_that_works_and_one_that_leaves_nothing_and_can_be_shown_again(workspaces: Command):
    shown = workspaces("demo")
    assert (shown.returncode, shown.stderr) == (0, "")
    told = ["billing      ↻ failed", "Acme is ready", "ROLLED_BACK", "left of globex: nothing", "All of it is true"]
    assert [words for words in told if words not in shown.stdout] == []
    assert "✗" not in shown.stdout.split("Summary")[1]
    again = workspaces("demo")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "deprovisioned first" in again.stdout


def test_a_failure_is_shown_then_continued_then_done(workspaces: Command, tmp_path: Path):
    failed = workspaces("up", "acme", "--fail", "publish")
    assert failed.returncode == 3
    assert "publish      FAILED" in failed.stdout
    assert "can be done now: " in failed.stdout
    assert workspaces("status", "acme").returncode == 3
    continued = workspaces("continue", "acme")
    assert continued.returncode == 0, continued.stderr
    assert "database     ▸" not in continued.stdout
    assert done_in(tmp_path) == sorted(
        ["admin", "billing", "certificate", "database", "index", "mail", "publish", "seed", "storage", "tenant", "vhost"]
    )


def test_a_fault_that_passes_is_retried_by_itself(workspaces: Command):
    shown = workspaces("up", "acme", "--fail", "billing:2")
    assert shown.returncode == 0
    assert shown.stdout.count("billing      ↻ failed, will be tried again") == 2


def test_a_rollback_by_hand_removes_every_file_of_the_tenant(workspaces: Command, tmp_path: Path):
    assert workspaces("up", "acme", "--fail", "mail").returncode == 3
    before = [path for path in tmp_path.rglob("*acme*") if "mail" not in path.parts]
    assert before
    assert workspaces("rollback", "acme").returncode == 0
    assert [path for path in tmp_path.rglob("*acme*") if "mail" not in path.parts] == []
    assert list((tmp_path / "billing").glob("cus_*.json")) == []


def test_a_plan_that_rolls_back_by_itself_says_so_with_its_exit_code(workspaces: Command):
    assert workspaces("up", "acme", "--fail", "index", "--on-failure", "rollback").returncode == 5


def test_a_tenant_that_is_there_already_is_not_made_again(workspaces: Command, tmp_path: Path):
    assert workspaces("up", "acme").returncode == 0
    again = workspaces("up", "acme")
    assert again.returncode == 9
    assert "already provisioned" in again.stderr
    assert "`deprovision` it first" in again.stderr
    assert len(done_in(tmp_path)) == 11


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["up", "No Name!"], 2, "A tenant's name has"),
        (["status", "nobody"], 8, "nobody"),
        (["retry", "nobody"], 8, "nobody"),
        (["up", "acme", "--fail", "billing:often"], 2, "billing:often"),
        (["up", "acme", "--fail", "biling"], 2, "biling"),
    ],
)
def test_mistakes_are_told_in_a_sentence(words: list[str], code: int, told: str, workspaces: Command):
    answer = workspaces(*words)
    assert (answer.returncode, told in answer.stderr, "Traceback" in answer.stderr) == (code, True, False)


def test_nothing_to_resume_is_no_fault(workspaces: Command):
    shown = workspaces("resume")
    assert (shown.returncode, shown.stdout) == (0, "nothing to resume\n")
