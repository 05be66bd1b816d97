"""The services around the backend: one process runs them, any process finds them, and they end with their process."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from examples.workspaces import faults, services
from examples.workspaces.services import Ports
from examples.workspaces.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
KEEP_RUNNING = """
import sys
from examples.workspaces import services
from examples.workspaces.settings import Settings
print(services.find(Settings.from_environment()).billing, flush=True)
sys.stdin.read()
"""


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_services_are_started_once_and_their_ports_written_down(settings: Settings):
    ports = services.find(settings)
    assert services.find(settings) == ports
    assert Ports(**json.loads((settings.root / "services.lock").read_text())) == ports
    assert all(listens(port) for port in (ports.billing, ports.smtp, ports.https))


def test_closed_services_listen_no_more(settings: Settings):
    ports = services.find(settings)
    services.close(settings)
    assert not any(listens(port) for port in (ports.billing, ports.smtp, ports.https))


def test_another_process_services_are_used_and_taken_over_when_it_is_killed(settings: Settings, environment: dict[str, str]):
    command = [sys.executable, "-c", KEEP_RUNNING]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        assert services.find(settings).billing == theirs
        other.send_signal(signal.SIGKILL)
        other.wait(timeout=10)
        assert not listens(theirs)
    assert listens(services.find(settings).billing)


def test_faults_are_read_from_the_command_line():
    assert [faults.parse(word, ["billing", "mail"]) for word in ("billing:2", "mail")] == [("billing", 2), ("mail", faults.FOR_EVER)]


@pytest.mark.parametrize(
    ("word", "told"), [("biling", "there is no step 'biling'; there are billing"), ("billing:x", "as in billing:2")]
)
def test_a_fault_that_can_not_be_is_refused(word: str, told: str):
    with pytest.raises(ValueError, match=told):
        faults.parse(word, ["billing"])


def test_a_fault_strikes_as_often_as_it_was_told_to(settings: Settings):
    faults.inject(settings, {"billing": 2, "mail": faults.FOR_EVER})
    assert [faults.strikes(settings, "billing") for _ in range(3)] == [True, True, False]
    assert [faults.strikes(settings, "mail") for _ in range(3)] == [True, True, True]
    faults.inject(settings, {})
    assert not faults.strikes(settings, "mail")
