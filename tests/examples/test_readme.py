"""What the documents show is true: README's programs and commands run, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """README's programs, each under the name in its first line."""
    for program in blocks("python"):
        name = re.match(r"# (\w+\.py)\n", program)
        assert name, f"no file name in the first line of:\n{program}"
        (tmp_path / name[1]).write_text(program, encoding="utf-8")
    return tmp_path


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PROVISIONING_TOKEN": "t0ken", "PROVISIONING_APP": "workspace:engine", "PYTHONWARNINGS": "error"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def provision(folder: Path, words: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-m", "provisioning_cli", *shlex.split(words, comments=True))


def test_the_first_program_provisions(folder: Path) -> None:
    ended = run(folder, "workspace.py")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "https://acme.example/ on db_acme\n", "")


def test_the_program_behind_fastapi_answers(folder: Path) -> None:
    asked = """
from starlette.testclient import TestClient
from api import app, engine
with TestClient(app, headers={"Authorization": "Bearer t0ken"}) as client:
    body = {"plan": "workspace", "input": {"slug": "acme"}}
    print(client.post("/provisioning/tenants/acme/start", json=body).status_code)
    print(engine.wait("acme", timeout=30).status)
engine.close()
"""
    ended = run(folder, "-c", asked)

    assert (ended.returncode, ended.stdout) == (0, "202\nSUCCEEDED\n"), ended.stderr


def test_the_backends_row_follows_its_run(folder: Path) -> None:
    signed_up = run(folder, "signup.py")
    watched = provision(folder, "--app signup:make_engine watch globex")
    asked = "import signup; print(signup.database.connect().exec_driver_sql('SELECT * FROM tenants').fetchall())"
    row = run(folder, "-c", asked)

    assert (signed_up.returncode, watched.returncode) == (0, 0), signed_up.stderr + watched.stderr
    assert row.stdout == "[('globex', 'ACTIVE')]\n"


def test_the_commands_shown_run_one_after_the_other(folder: Path) -> None:
    [shown] = [block for block in blocks("sh") if "provision demo" in block]
    commands = [line.removeprefix("provision ") for line in shown.splitlines() if line.startswith("provision ")]
    ended = {command: provision(folder, command.replace("demo ", "demo --fast ", 1)) for command in commands}

    assert {command: each.stderr for command, each in ended.items() if each.returncode} == {}
    assert (folder / "acme.svg").read_text(encoding="utf-8").startswith("<svg")
    assert len(commands) == 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]

    assert missing == []
