"""A folder of its own for each test's backend, and the example as a subprocess, as a user runs it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from examples.workspaces import services
from examples.workspaces.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("WORKSPACES_DATABASE_URL", "WORKSPACES_S3_ENDPOINT", "WORKSPACES_SLOW")

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The surroundings of a backend that writes into this test's folder; its services end with the test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORKSPACES_DIR", str(tmp_path))
    found = Settings.from_environment()
    yield found
    services.close(found)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What a subprocess of this test gets as its environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**inherited, "WORKSPACES_DIR": str(tmp_path), "PYTHONWARNINGS": "error"}


@pytest.fixture
def workspaces(environment: dict[str, str]) -> Command:
    """``workspaces("up", "acme")`` runs ``python -m examples.workspaces up acme`` and gives what came out."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "examples.workspaces", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return run
