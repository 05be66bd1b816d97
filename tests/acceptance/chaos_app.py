"""What the worker processes run: steps that leave files behind, and write down in a ledger outside the store what they do.

The folder comes from the environment, so that worker processes of worker processes find it too.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from provisioning_core import Plan, Retry, StepContext, StepError, gate, step
from provisioning_core.testing import LedgerFile

FOLDER = "PROVISIONING_CHAOS_FOLDER"
TABLE = "CREATE TABLE chaos_rows (run_id varchar(64) NOT NULL, token integer NOT NULL)"
_QUICK = Retry(attempts=4, initial=0.005, factor=1.5, jitter=0.1)
_PATIENT = Retry(attempts=50, initial=0.005, factor=1.0, jitter=0.1)
_LONGEST_EFFECT = 0.004


def folder() -> Path:
    return Path(os.environ[FOLDER])


def ledger() -> LedgerFile:
    return LedgerFile(folder() / "ledger.jsonl")


class Order(BaseModel):
    """What a tenant wants to be made of it."""

    fails: bool = False
    blocks: bool = False
    kills: bool = False


@contextlib.contextmanager
def attempt(ctx: StepContext) -> Iterator[None]:
    """Around an effect: who does it, and when it began and ended."""
    note_process(ctx)
    try:
        with ledger().attempt(ctx) as note:
            yield
            note.effect()
    finally:
        note_process(ctx, "over.jsonl")


def note_process(ctx: StepContext, file: str = "processes.jsonl") -> None:
    """Which process has this attempt in its hands from now on; in ``over.jsonl``: had it, until now."""
    line = {"run": ctx.run_id, "step": ctx.step, "token": ctx.token, "pid": os.getpid(), "at": time.monotonic()}
    descriptor = os.open(folder() / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, f"\n{json.dumps(line)}\n".encode())
    finally:
        os.close(descriptor)


def place_of(ctx: StepContext) -> Path:
    return folder() / "resources" / ctx.run_id / ctx.step


def make(ctx: StepContext) -> str:
    """Allocate something outside, as slowly as it happens to be."""
    with attempt(ctx):
        time.sleep(random.uniform(0, _LONGEST_EFFECT))
        place = place_of(ctx)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(ctx.idempotency_key)
        ctx.record("file", place.name)
        time.sleep(random.uniform(0, _LONGEST_EFFECT))
    return str(place)


def remove(ctx: StepContext) -> None:
    with attempt(ctx):
        time.sleep(random.uniform(0, _LONGEST_EFFECT))
        place_of(ctx).unlink(missing_ok=True)


@step(retry=_QUICK)
def bucket(order: Order, ctx: StepContext) -> str:
    made = make(ctx)
    if ctx.attempt == 1 and int(ctx.run_id[:2], 16) % 3 == 0:
        raise ConnectionError("the first attempt fails, after its effect")
    return made


@bucket.compensate(retry=_PATIENT)
def drop_bucket(ctx: StepContext, output: str | None) -> None:
    remove(ctx)
    if ctx.attempt == 1 and int(ctx.run_id[:2], 16) % 2 == 0:
        raise ConnectionError("the first attempt fails, after its effect")


@step(needs=[bucket], retry=_QUICK)
def zone(order: Order, ctx: StepContext) -> str:
    return make(ctx)


@zone.probe
def find_zone(order: Order, ctx: StepContext) -> str | None:
    return str(place_of(ctx)) if place_of(ctx).exists() else None


@zone.compensate(retry=_PATIENT)
def drop_zone(ctx: StepContext, output: str | None) -> None:
    remove(ctx)


@step(needs=[bucket], transactional=True, retry=_QUICK)
def rows(order: Order, ctx: StepContext, session: Session) -> int:
    with attempt(ctx):
        session.execute(text("INSERT INTO chaos_rows VALUES (:run_id, :token)"), {"run_id": ctx.run_id, "token": ctx.token})
    return ctx.token


@rows.compensate(retry=_PATIENT)
def delete_rows(ctx: StepContext, session: Session) -> None:
    with attempt(ctx):
        session.execute(text("DELETE FROM chaos_rows WHERE run_id = :run_id"), {"run_id": ctx.run_id})


approval = gate("approval", needs=[zone, rows])


@step(needs=[approval], retry=_QUICK)
def mail(order: Order, ctx: StepContext) -> str:
    made = make(ctx)
    if order.fails:
        raise StepError("there is no such address", retryable=False)
    return made


@mail.compensate(retry=_PATIENT)
def unmail(ctx: StepContext, output: str | None) -> None:
    remove(ctx)


@step
def stuck(order: Order, ctx: StepContext) -> str:
    """Waits, if the tenant wants it, until its own file says that it may end; it ends its process, if the tenant wants that."""
    if order.kills:
        note_process(ctx)
        os._exit(66)
    with attempt(ctx):
        place_of(ctx).parent.mkdir(parents=True, exist_ok=True)
        place_of(ctx).write_text(ctx.idempotency_key)
        while order.blocks and not (folder() / f"go-{ctx.subject}").exists():
            time.sleep(0.005)
    return ctx.idempotency_key


@stuck.compensate(retry=_PATIENT)
def unstuck(ctx: StepContext, output: str | None) -> None:
    remove(ctx)


@step(needs=[stuck])
def beside(order: Order, ctx: StepContext) -> str:
    return make(ctx)


@beside.compensate(retry=_PATIENT)
def undo_beside(ctx: StepContext, output: str | None) -> None:
    remove(ctx)


@step(timeout=2.0)
def limited(order: Order, ctx: StepContext) -> str:
    """Takes longer than it may, whatever becomes of its engine."""
    note_process(ctx)
    while not (folder() / f"go-{ctx.subject}").exists():
        time.sleep(0.005)
    return ctx.idempotency_key


GATED = Plan("gated", input=Order, steps=[bucket, zone, rows, approval, mail], on_failure="rollback")
STUCK = Plan("stuck", input=Order, steps=[stuck, beside], on_failure="rollback")
LIMITED = Plan("limited", input=Order, steps=[limited])
PLANS = [GATED, STUCK, LIMITED]
