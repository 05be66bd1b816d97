"""The short examples print what they promise."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def printed_by(name: str, folder: Path) -> list[str]:
    """What a short example prints, run as a user runs it but from another folder."""
    command = [sys.executable, str(ROOT / "examples" / name)]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_the_first_plan_hands_an_output_on(tmp_path: Path):
    assert printed_by("first_plan.py", tmp_path) == ["acme is SUCCEEDED: https://acme.example/ on db_acme"]


def test_a_rollback_removes_in_reverse_order(tmp_path: Path):
    assert printed_by("rollback.py", tmp_path) == [
        "made      bucket-globex",
        "made      globex.example -> bucket-globex",
        "attempt 1 to make a customer",
        "attempt 2 to make a customer",
        "removed   globex.example",
        "removed   bucket-globex",
        "globex is ROLLED_BACK",
        "the user reads: Billing is not available at the moment.  operators read: card_declined: the card was declined",
    ]


def test_a_killed_process_is_taken_over_without_repeating_what_is_done(tmp_path: Path):
    assert printed_by("resume.py", tmp_path) == [
        "the first process ended with -9",
        "acme is SUCCEEDED",
        "the second process ended with 0",
        "database ran in the first process",
        "migrate ran in the first process",
        "migrate ran in the second process",
        "publish ran in the second process",
    ]


@pytest.mark.filterwarnings("error")
def test_the_fastapi_example_answers_for_who_has_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from fastapi.testclient import TestClient

    monkeypatch.setenv("PROVISIONING_TOKEN", "for this test alone")
    monkeypatch.setenv("PROVISIONING_DATABASE_URL", f"sqlite:///{tmp_path / 'provisioning.db'}")
    sys.modules.pop("examples.fastapi_app", None)
    example = importlib.import_module("examples.fastapi_app")
    client = TestClient(example.app)
    path, body = "/provisioning/tenants/acme/start", {"plan": "workspace", "input": {"slug": "acme"}}
    try:
        assert client.post(path, json=body).status_code == 401
        assert client.post(path, json=body, headers={"Authorization": "Bearer for this test alone"}).status_code == 202
        assert str(example.engine.wait("acme", timeout=10).status) == "SUCCEEDED"
    finally:
        example.engine.close()
