"""``kill -9`` in the middle of a run; what was recorded as done is not done again, and the tenant is finished."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from examples.workspaces import engine as new_engine
from examples.workspaces.leftovers import leftovers, tenant_state
from examples.workspaces.rehearsal import ledger
from examples.workspaces.services.mail import mails
from examples.workspaces.settings import Settings
from examples.workspaces.systems import billing

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "examples.workspaces"]
Command = Callable[..., subprocess.CompletedProcess[str]]


@contextmanager
def killed_when(condition: Callable[[], bool], words: list[str], environment: dict[str, str]) -> Iterator[None]:
    """Run the example until the condition holds, then kill it in the midst of what it does."""
    pause, deadline = Event(), time.monotonic() + 30
    with subprocess.Popen([*COMMAND, *words], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        while not condition() and process.poll() is None and time.monotonic() < deadline:
            pause.wait(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(timeout=10) == -signal.SIGKILL
    yield


def lines(settings: Settings, what: str) -> list[dict[str, Any]]:
    return [line for line in ledger(settings) if line["what"] == what]


def recorded_as_done(subject: str) -> set[str]:
    """What the store says, read by an engine that does no work."""
    with new_engine(work=False) as reading:
        return {name for name, step in reading.status(subject).steps.items() if str(step.status) == "SUCCEEDED"}


@pytest.mark.parametrize("begun", [2, 5, 8, 10, 11])
def test_a_killed_run_is_finished_and_no_finished_step_runs_again(
    begun: int, settings: Settings, environment: dict[str, str], workspaces: Command
):
    with killed_when(lambda: len(lines(settings, "began")) >= begun, ["up", "acme", "--slow", "0.2"], environment):
        finished, before = recorded_as_done("acme"), len(ledger(settings))
    ended = workspaces("up", "acme")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    again = {line["step"] for line in ledger(settings)[before:] if line["what"] == "began"}
    assert len(finished) < 11
    assert finished & again == set()
    assert tenant_state(settings, "acme") == "ACTIVE"


def test_no_effect_is_doubled_by_a_kill(settings: Settings, environment: dict[str, str], workspaces: Command):
    def customer_is_made() -> bool:
        return any(line["step"] == "billing" for line in lines(settings, "began")) and any((settings.root / "billing").glob("cus_*"))

    with killed_when(customer_is_made, ["up", "acme", "--slow", "0.5"], environment):
        assert "billing" not in recorded_as_done("acme")
    assert workspaces("resume").returncode == 0
    assert len(list((settings.root / "billing").glob("cus_*.json"))) == 1
    assert billing.find(settings, "acme") is not None
    assert [line["what"] for line in ledger(settings) if line["step"] == "billing"] == ["began", "found"]


def test_killed_again_and_again_it_gets_there(settings: Settings, environment: dict[str, str], workspaces: Command):
    for begun in (2, 4, 6, 8):
        with killed_when(lambda count=begun: len(lines(settings, "began")) >= count, ["up", "acme", "--slow", "0.2"], environment):
            finished, before = recorded_as_done("acme"), len(ledger(settings))
        later = {line["step"] for line in ledger(settings)[before:] if line["what"] == "began"}
        assert finished & later == set()
    assert workspaces("up", "acme").returncode == 0
    keys = {line["step"]: line["key"] for line in ledger(settings)}
    assert all(line["key"] == keys[line["step"]] for line in ledger(settings))
    assert len(list((settings.root / "billing").glob("cus_*.json"))) == len(mails(settings, "founder@acme.example")) == 1


def test_a_kill_during_the_rollback_still_ends_with_nothing_left(
    settings: Settings, environment: dict[str, str], workspaces: Command
):
    words = ["up", "globex", "--fail", "mail", "--on-failure", "rollback"]
    with killed_when(lambda: len(lines(settings, "undone")) >= 2, words, environment):
        assert tenant_state(settings, "globex") == "ONBOARDING"
    assert workspaces("resume").returncode == 5
    assert leftovers(settings, "globex") == []
    assert tenant_state(settings, "globex") == "FAILED"


def test_the_services_end_with_the_killed_process(settings: Settings, environment: dict[str, str]):
    lock = settings.root / "services.lock"
    with killed_when(lambda: lock.exists() and lock.stat().st_size > 0, ["up", "acme", "--slow", "0.2"], environment):
        ports = json.loads(lock.read_text())
    for port in ports.values():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
    assert len(ports) == 3
