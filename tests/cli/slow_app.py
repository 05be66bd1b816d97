"""An app for processes of their own: its second step waits until the file ``go`` is there."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from provisioning_core import Engine, Plan, StepContext, step
from provisioning_core.stores import SqlStore

FOLDER = Path(os.environ.get("SLOW_APP_FOLDER", "."))
LONGEST = 30.0


@step
def first(ctx: StepContext) -> str:
    return f"first of {ctx.subject}"


@step(needs=[first])
def slow(ctx: StepContext) -> None:
    ctx.progress(0.5, "waiting for the file")
    until = time.monotonic() + LONGEST
    pause = threading.Event()
    while not (FOLDER / "go").exists() and not ctx.cancelled() and time.monotonic() < until:
        pause.wait(0.02)


@first.compensate
def undo_first(ctx: StepContext) -> None:
    (FOLDER / "undone").touch()


def make(*, work: bool) -> Engine:
    store = SqlStore(f"sqlite:///{FOLDER / 'runs.db'}")
    return Engine(store=store, plans=[Plan("slow", steps=[first, slow])], work=work, poll=0.05)
