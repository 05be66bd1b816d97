"""Resume after ``kill -9``: a process dies in the middle of a run, another one goes on, and what was done is not done again.

Run it: ``python examples/resume.py``.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from provisioning_core import Engine, From, Plan, StepContext, step
from provisioning_core.stores import SqlStore


def note(ctx: StepContext) -> None:
    """Write down, outside the store, that a step ran and in which process."""
    with Path("ran.txt").open("a") as file:
        file.write(f"{ctx.step} ran in the {sys.argv[-1]} process\n")


@step
def database(ctx: StepContext) -> str:
    note(ctx)
    return f"db_{ctx.subject}"


@step
def migrate(ctx: StepContext, database: str = From(database)) -> int:
    note(ctx)
    if sys.argv[-1] == "first":
        os.kill(os.getpid(), signal.SIGKILL)
    return len(database)


@step(needs=[migrate])
def publish(ctx: StepContext) -> None:
    note(ctx)


plan = Plan("workspace", steps=[database, migrate, publish])


def provision() -> None:
    """Start the run, or go on with the one that is there: the call is the same."""
    with Engine(store=SqlStore("sqlite:///provisioning.db"), plans=[plan]) as engine:
        view = engine.start("workspace", subject="acme").wait(timeout=60)
        print(f"{view.subject} is {view.status}", flush=True)


def show_both() -> None:
    """Run this file twice, one process after the other, on the same store."""
    with tempfile.TemporaryDirectory() as folder:
        for process in ("first", "second"):
            ended = subprocess.run([sys.executable, __file__, process], cwd=folder, check=False)
            print(f"the {process} process ended with {ended.returncode}", flush=True)
        print(Path(folder, "ran.txt").read_text(), end="")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        provision()
    else:
        show_both()
