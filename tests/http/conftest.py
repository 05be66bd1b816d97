"""A small product: an engine on a memory store, plans whose steps wait for the test, and an app with walls between tenants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI
from http_people import authorize
from provisioning_http import create_health_router, create_router
from pydantic import BaseModel, SecretStr, field_validator
from starlette.testclient import TestClient

from provisioning_core import Engine, From, Plan, Run, StepContext, StepError, gate, step
from provisioning_core.stores import MemoryStore

CANARY = "canary-4711-secret"
KEY = b"0123456789abcdef0123456789abcdef"


class Workspace(BaseModel):
    slug: str
    size: int = 1
    password: SecretStr = SecretStr("unset")

    @field_validator("slug")
    @classmethod
    def _is_plain(cls, slug: str) -> str:
        if slug.startswith("bad"):
            raise ValueError(f"the slug {slug} can't be had")
        return slug


class Database(BaseModel):
    name: str
    password: SecretStr


class World:
    """What the tests hold in their hands: the engine, and the events its steps wait for."""

    def __init__(self, **options: Any) -> None:
        self.open = threading.Event()
        self.next = threading.Event()
        self.mended = threading.Event()
        self.undo_mended = threading.Event()
        self.undo_mended.set()
        self.engine = Engine(store=MemoryStore(), plans=self._plans(), secrets_key=KEY, poll=0.05, **options)

    def _plans(self) -> list[Plan]:
        return [self._quick(), self._slow(), self._gated(), self._broken(), self._stalling(), self._telling()]

    def _quick(self) -> Plan:
        @step(description="the tenant's own database")
        def database(workspace: Workspace, ctx: StepContext) -> Database:
            ctx.record("database", f"db-{workspace.slug}", region="eu")
            return Database(name=workspace.slug, password=workspace.password)

        @database.compensate
        def drop(workspace: Workspace) -> None:
            if not self.undo_mended.is_set():
                raise StepError(f"could not drop it, said {CANARY}")

        @step
        def bucket(found: Annotated[Database, From("database")]) -> str:
            return f"bucket-{found.name}"

        return Plan("quick", version="3", input=Workspace, steps=[database, bucket], description="done at once")

    def _slow(self) -> Plan:
        @step
        def first(workspace: Workspace) -> str:
            self.open.wait(20)
            return workspace.slug

        @step(needs=[first])
        def second() -> None: ...

        return Plan("slow", input=Workspace, steps=[first, second])

    def _gated(self) -> Plan:
        approval = gate("approval")

        @step(needs=[approval])
        def after() -> None: ...

        return Plan("gated", steps=[approval, after])

    def _broken(self) -> Plan:
        @step(user_message="Your database could not be made.")
        def database() -> str:
            if not self.mended.is_set():
                raise RuntimeError(f"connect to db.internal as {CANARY}")
            return "made"

        @step(needs=[database])
        def mail() -> None: ...

        return Plan("broken", steps=[database, mail])

    def _stalling(self) -> Plan:
        @step
        def register() -> None:
            if not self.mended.is_set():
                raise StepError("not yet")
            self.open.wait(20)

        return Plan("stalling", steps=[register])

    def _telling(self) -> Plan:
        @step
        def copy(ctx: StepContext) -> None:
            for part in (0.25, 0.5, 0.75):
                self.next.wait(20)
                self.next.clear()
                ctx.progress(part, f"{part:.0%} of {ctx.subject}")
            self.open.wait(20)

        return Plan("telling", steps=[copy])

    def start(self, plan: str, tenant: str = "acme", **given: Any) -> Run:
        """Start it and wait until it rests, unless it is one that waits for the test. ``given`` goes into the input."""
        workspace = {"slug": tenant, **given} if plan in ("quick", "slow") else None
        run = self.engine.start(plan, subject=tenant, input=workspace)
        if plan not in ("slow", "telling"):
            run.wait(timeout=10)
        return run

    def close(self) -> None:
        self.next.set()
        self.open.set()
        self.mended.set()
        self.engine.close()


@pytest.fixture
def world_options() -> dict[str, Any]:
    """What else the engine is given."""
    return {}


@pytest.fixture
def world(world_options: dict[str, Any]) -> Iterator[World]:
    made = World(**world_options)
    yield made
    made.close()


@pytest.fixture
def app(world: World) -> FastAPI:
    made = FastAPI()
    made.include_router(create_router(world.engine, authorize=authorize))
    made.include_router(create_health_router(world.engine))
    return made


@pytest.fixture
def client_of(app: FastAPI) -> Iterator[Callable[[str], TestClient]]:
    """``client_of("olaf")``: a client that sends this person's token; ``client_of("")`` sends none."""
    with TestClient(app) as shared:

        def make(person: str) -> TestClient:
            client = TestClient(app, headers={"Authorization": f"Bearer {person}"} if person else {})
            client.portal = shared.portal
            return client

        yield make


@pytest.fixture
def olaf(client_of: Callable[[str], TestClient]) -> TestClient:
    """An operator of the tenant acme."""
    return client_of("olaf")


@pytest.fixture
def anna(client_of: Callable[[str], TestClient]) -> TestClient:
    """May read and start at acme, no more."""
    return client_of("anna")


@pytest.fixture
def root(client_of: Callable[[str], TestClient]) -> TestClient:
    """May do everything, everywhere."""
    return client_of("root")


ACME = "/provisioning/tenants/acme"
