"""A small product whose pages are looked at: plans whose steps do what the test wants, and an app with walls between tenants."""

from __future__ import annotations

import threading
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request
from provisioning_http import create_router
from pydantic import BaseModel, Field, SecretStr

from provisioning_core import Engine, Plan, Retry, Run, StepContext, StepError, gate, step
from provisioning_core.stores import MemoryStore

CANARY = "canary-4711-secret"
KEY = b"0123456789abcdef0123456789abcdef"
HOSTILE_NAME = "<img src=x onerror=alert(1)>\"'&תסמ🚀"
HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202eתסמ 🚀"


class Workspace(BaseModel):
    slug: str = Field(max_length=40, description="Small letters.")
    seats: int = 1
    tier: Literal["free", "pro"] = "free"
    password: SecretStr = SecretStr("unset")


class Database(BaseModel):
    name: str
    password: SecretStr


class Product:
    """The engine, and the events that its steps wait for."""

    def __init__(self, **given: Any) -> None:
        self.open = threading.Event()
        self.finish = threading.Event()
        self.finish.set()
        self.mended = threading.Event()
        self.undo_mended = threading.Event()
        self.undo_mended.set()
        self.engine = Engine(store=MemoryStore(), plans=self._plans(), secrets_key=KEY, poll=0.05, **given)

    def _plans(self) -> list[Plan]:
        return [self._workspace(), self._slow(), self._gated(), self._held(), self._hostile(), _large("large", 1000)]

    def _workspace(self) -> Plan:
        @step(description="the tenant's own database", retry=Retry(attempts=2, initial=0.01, jitter=0.0))
        def database(workspace: Workspace, ctx: StepContext) -> Database:
            ctx.record("database", f"db-{workspace.slug}", region="eu")
            if ctx.attempt < 2:
                raise StepError(f"refused, said {CANARY}", user_message="The server does not answer.")
            return Database(name=workspace.slug, password=workspace.password)

        @database.compensate
        def drop(workspace: Workspace) -> None:
            if not self.undo_mended.is_set():
                raise StepError("it is in use", user_message="The database is still in use.")

        bucket = _undoable("bucket", [database])
        note = _small("note", [database])

        @step(needs=[bucket, note])
        def billing() -> str:
            if not self.mended.is_set():
                raise StepError("402", code="card_declined", user_message="The card was declined.", retryable=False)
            return "cus_1"

        billing.compensate(_nothing)

        @step(needs=[billing], irreversible=True)
        def mail() -> None: ...

        steps = [database, bucket, note, billing, mail]
        return Plan("workspace", version="3", input=Workspace, steps=steps, description="Bring a tenant on board")

    def _slow(self) -> Plan:
        @step
        def first(ctx: StepContext) -> str:
            ctx.progress(0.5, "creating tables")
            self.open.wait(20)
            return "one"

        @step(needs=[first])
        def second() -> None:
            self.finish.wait(20)

        return Plan("slow", steps=[first, second])

    def _gated(self) -> Plan:
        approval = gate("approval")

        @step(needs=[approval])
        def after() -> None: ...

        return Plan("gated", steps=[approval, after])

    def _held(self) -> Plan:
        @step(timeout=0.05, in_doubt="hold")
        def register() -> str:
            self.open.wait(0.2)
            return "late"

        return Plan("held", steps=[register])

    def _hostile(self) -> Plan:
        @step(name="first", description=HOSTILE)
        def first(ctx: StepContext) -> str:
            ctx.progress(0.5, HOSTILE)
            ctx.record(HOSTILE, HOSTILE, note=HOSTILE)
            return HOSTILE

        @step(needs=[first])
        def second() -> None:
            raise StepError(HOSTILE, code="bad", user_message=HOSTILE)

        return Plan("hostile", version=HOSTILE, steps=[first, second], description=HOSTILE)

    def start(self, plan: str, tenant: str = "acme", **given: Any) -> Run:
        """Start it and wait until it rests, unless it is the slow one. ``given`` goes into the input."""
        wanted = {"slug": tenant, **given} if plan == "workspace" else None
        run = self.engine.start(plan, subject=tenant, input=wanted, actor="ana", reason="signed up")
        if plan != "slow":
            run.wait(timeout=20)
        return run

    def close(self) -> None:
        self.open.set()
        self.finish.set()
        self.engine.close()


@cache
def _large(name: str, count: int) -> Plan:
    """Twenty layers; each step needs all of the layer before."""
    width, before, steps = count // 20, [], []
    for layer in range(20):
        row = [_small(f"step_{layer:02d}_{number:02d}", before) for number in range(width)]
        steps += row
        before = row
    return Plan(name, steps=steps)


def _nothing() -> None: ...


def _undoable(name: str, needs: list[Any]) -> Any:
    made = _small(name, needs)
    made.compensate(_nothing)
    return made


def _small(name: str, needs: list[Any]) -> Any:
    @step(name=name, needs=needs)
    def small() -> None: ...

    return small


PEOPLE = {
    "anna": SimpleNamespace(actor="anna", tenant="acme", actions={"read", "start"}),
    "olaf": SimpleNamespace(actor="olaf", tenant="acme", actions={"read", "start", "operate"}),
    "fremd": SimpleNamespace(actor="fremd", tenant="other", actions={"read", "start", "operate"}),
    "root": SimpleNamespace(actor="root", tenant="*", actions={"read", "start", "operate", "admin"}),
}
"""Who looks, by the cookie that their browser has."""


def authorize(request: Request, tenant_id: str | None, action: str) -> Any:
    """The product's own: a person may do what is theirs to do, at their own tenant."""
    person = PEOPLE.get(request.cookies.get("person", ""))
    if person is None:
        raise HTTPException(401, "Log in first.", headers={"WWW-Authenticate": "Cookie"})
    return person if action in person.actions and person.tenant in ("*", tenant_id) else None


def app_of(product: Product) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(product.engine, authorize=authorize))
    return app
