"""What the example adds to each step so that one can watch it, stop it and break it. A real backend has none of this.

Each step's body runs inside ``rehearsed(ctx)``, which writes a line to a ledger file when the work begins and when it is done
(outside the store, so that a test can compare what was recorded with what really happened), lingers when told to be slow,
and fails when told to. The fault comes after the work, which is the hard case: the effect is there, the step has failed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

from examples.workspaces.faults import strikes
from examples.workspaces.settings import Settings
from provisioning_core import StepContext, StepError

FAIL_AT_THEIR_SERVICE = frozenset({"billing", "mail"})


@contextmanager
def rehearsed(ctx: StepContext, *, may_linger: bool = True) -> Iterator[Settings]:
    """Gives the settings to the step's body, and a line in the ledger before and after it.

    A transactional step does not linger: its open transaction would hold up everybody who writes.
    """
    settings = Settings.from_environment()
    note(settings, ctx, "began")
    yield settings
    if may_linger:
        _linger(settings, ctx)
    if ctx.step not in FAIL_AT_THEIR_SERVICE and strikes(settings, ctx.step):
        raise StepError(f"{ctx.step} was told to fail", code="injected_fault")
    note(settings, ctx, "done")


@contextmanager
def undoing(ctx: StepContext) -> Iterator[Settings]:
    """The same for a compensation; it is never slow and never told to fail."""
    settings = Settings.from_environment()
    yield settings
    note(settings, ctx, "undone")


def note(settings: Settings, ctx: StepContext, what: str) -> None:
    """Append one line to the ledger, in one write."""
    entry = {
        "what": what,
        "subject": ctx.subject,
        "step": ctx.step,
        "attempt": ctx.attempt,
        "key": ctx.idempotency_key,
        "pid": os.getpid(),
    }
    settings.root.mkdir(parents=True, exist_ok=True)
    handle = os.open(settings.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(handle)


def ledger(settings: Settings) -> list[dict[str, Any]]:
    """All lines so far."""
    return [json.loads(line) for line in settings.ledger.read_text().splitlines()] if settings.ledger.exists() else []


def _linger(settings: Settings, ctx: StepContext) -> None:
    until = time.monotonic() + settings.slow
    pause = Event()
    while time.monotonic() < until and not ctx.cancelled():
        pause.wait(0.05)
