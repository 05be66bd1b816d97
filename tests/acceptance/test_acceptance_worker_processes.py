"""Worker processes: what runs in them ends when its time is up, and when its engine does, whatever it is at."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chaos_checks
import pytest
from chaos_app import PLANS, Order
from chaos_fleet import Fleet, until

from provisioning_core import Engine, RunStatus
from provisioning_core.executors import ProcessExecutor, WorkerKilled
from provisioning_core.stores import SqlStore


@pytest.fixture
def executor() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(2) as executor:
        yield executor


# called in the worker process


def tell_pid(tell: Any) -> int:
    tell(os.getpid())
    return os.getpid()


def loop(tell: Any) -> None:
    tell(os.getpid())
    while True:
        pass


def hold_the_interpreter(tell: Any) -> None:
    """An expression that takes for ever; no other thread of the process runs meanwhile."""
    tell(os.getpid())
    re.match(r"(a+)+$", "a" * 60 + "b")


def ignore_everything(tell: Any) -> None:
    """A step that would not be told to end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    loop(tell)


def fall_over(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def is_there(pid: int) -> bool:
    """A process that nobody has waited for yet does nothing any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize("work", [loop, hold_the_interpreter, ignore_everything])
def test_a_call_ends_when_its_time_is_up(executor: ProcessExecutor, work: Any) -> None:
    warm = executor.call(tell_pid)
    begun = time.monotonic()
    with pytest.raises(WorkerKilled):
        executor.call(work, limit=0.3)
    assert 0.3 <= time.monotonic() - begun < 20
    assert until(lambda: not is_there(warm), seconds=10)
    assert executor.call(tell_pid) != warm, "the next call has a new process"


def test_a_limit_is_of_one_call_only(executor: ProcessExecutor) -> None:
    warm = executor.call(tell_pid)
    assert executor.call(tell_pid, limit=0.3) == warm
    assert not until(lambda: not is_there(warm), seconds=0.6)
    assert executor.call(tell_pid) == warm


def test_a_process_that_falls_over_is_told_and_replaced(executor: ProcessExecutor) -> None:
    with pytest.raises(WorkerKilled):
        executor.call(fall_over)
    assert is_there(executor.call(tell_pid))


def test_closing_ends_what_is_under_way() -> None:
    executor = ProcessExecutor(1)
    pids: list[int] = []
    future = executor._threads.submit(executor.call, loop, answer=pids.append)
    assert until(lambda: bool(pids))
    executor.shutdown()
    with pytest.raises(WorkerKilled):
        future.result(20)
    assert until(lambda: not is_there(pids[0]), seconds=10)


PARENT = """
import sys
sys.path.insert(0, sys.argv[1])
import test_acceptance_worker_processes as work
from provisioning_core.executors import ProcessExecutor

if __name__ == "__main__":
    ProcessExecutor(1).call(getattr(work, sys.argv[2]), answer=lambda pid: print(pid, flush=True))
"""


@pytest.mark.parametrize("work", ["loop", "hold_the_interpreter", "ignore_everything"])
def test_a_process_ends_with_the_one_that_began_it(tmp_path: Path, work: str) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, script, Path(__file__).parent, work]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_there(child)
        parent.kill()
    assert until(lambda: not is_there(child), seconds=10)


def test_the_time_of_a_step_is_up_though_its_engine_is_stopped(fleet: Fleet, store: SqlStore, folder: Path) -> None:
    first = fleet.engine(processes=1, lease=1.0)
    with Engine(store=store, plans=PLANS, work=False, poll=0.02) as front:
        front.start("stuck", subject="first", input=Order())
        assert front.wait("first", timeout=30).status is RunStatus.SUCCEEDED, "the worker process has begun, and knows the code"
        front.start("limited", subject="acme", input=Order())
        assert until(lambda: [each.step for each in chaos_checks.processes(folder)][2:] == ["limited"])
        child = chaos_checks.processes(folder)[-1].pid
        first.stop()
        assert until(lambda: not is_there(child), seconds=10), "nobody but itself can have ended it"
        first.wake()
        view = front.wait("acme", timeout=30)
    assert (view.status, view.steps["limited"].attempt) == (RunStatus.FAILED, 1)
