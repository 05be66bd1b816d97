"""Stdout has the command's data and nothing else, whatever the app prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from provisioning_cli import create_group

from tests.cli.processes import ROOT

FORWARD = ["printed at import", "printed by the factory", "printed by the step", "printed by a child"]
BACK = ["printed at import", "printed by the factory", "printed by the compensation"]


def _provision(folder: Path, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
    app = {"PROVISIONING_APP": "tests.cli.printing_app:make", "PRINTING_APP_FOLDER": str(folder)}
    command = [sys.executable, "-m", "provisioning_cli", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    return subprocess.run(command, cwd=ROOT, env=os.environ | app, text=True, check=False, timeout=60, **pipes)


def test_with_json_stdout_is_one_document_whatever_the_app_prints(tmp_path: Path) -> None:
    started = _provision(tmp_path, "start", "acme", "p", "--json")
    undone = _provision(tmp_path, "deprovision", "acme", "--json")

    assert [json.loads(each.stdout)["status"] for each in (started, undone)] == ["SUCCEEDED", "ROLLED_BACK"]
    assert [each.stderr.splitlines() for each in (started, undone)] == [FORWARD, BACK]


def test_without_json_what_the_app_prints_does_not_mix_into_the_data_either(tmp_path: Path) -> None:
    started = _provision(tmp_path, "start", "acme", "p")

    assert "printed" not in started.stdout
    assert set(FORWARD) <= set(started.stderr.splitlines())


def test_a_closed_stdout_is_no_error(tmp_path: Path) -> None:
    _provision(tmp_path, "start", "acme", "p")

    status = _provision(tmp_path, "status", "acme", stdout=None, preexec_fn=lambda: os.close(1))

    assert (status.returncode, status.stderr.splitlines()) == (0, FORWARD[:2])


def test_a_mounted_group_keeps_stdout_apart_and_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRINTING_APP_FOLDER", str(tmp_path))
    from tests.cli.printing_app import make

    group, before = create_group(make), sys.stdout
    started = CliRunner().invoke(group, ["start", "acme", "p", "--json"])
    listed = CliRunner().invoke(group, ["runs", "--json"])

    assert (json.loads(started.stdout)["status"], len(json.loads(listed.stdout)["items"])) == ("SUCCEEDED", 1)
    assert "printed by the step" in started.stderr
    assert sys.stdout is before
