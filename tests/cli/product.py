"""A small product with an engine: its plans, and what is to go wrong in them."""

from __future__ import annotations

import threading
from pathlib import Path

from pydantic import BaseModel

from provisioning_core import Engine, From, Plan, StepContext, StepError, gate, step
from provisioning_core.stores import SqlStore


class Workspace(BaseModel):
    slug: str
    seats: int = 1


class Product:
    """Keeps runs in one SQLite file; each engine is new, as each command is a new process."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'runs.db'}"
        self.failing: set[str] = set()
        self.done: list[str] = []
        self.worked: list[bool] = []
        self.hold = threading.Event()
        self.message = "at it"

    def engine(self, *, work: bool = True) -> Engine:
        self.worked.append(work)
        plans = [self.plan("tenant"), self.plan("careful", on_failure="rollback"), self.plan("slow", slow=True), self.approved()]
        return Engine(store=SqlStore(self.url), plans=plans, work=work, poll=0.02)

    def plan(self, name: str, *, on_failure: str = "finish", slow: bool = False) -> Plan:
        @step
        def database(workspace: Workspace, ctx: StepContext) -> str:
            self._do(ctx)
            return f"db-{workspace.slug}"

        @database.compensate
        def drop(ctx: StepContext) -> None:
            self._do(ctx, "undo ")

        @step
        def bucket(ctx: StepContext, name: str = From(database)) -> str:
            if slow:
                ctx.progress(0.5, "waiting")
                self.hold.wait(20)
            self._do(ctx)
            return f"bucket-{name}"

        @bucket.compensate
        def remove(ctx: StepContext) -> None:
            self._do(ctx, "undo ")

        return Plan(name, input=Workspace, steps=[database, bucket], on_failure=on_failure, description="A small tenant")

    def approved(self) -> Plan:
        approval = gate("approval")

        @step(needs=[approval])
        def open_it(ctx: StepContext) -> None:
            self._do(ctx)

        return Plan("approved", steps=[approval, open_it])

    def _do(self, ctx: StepContext, prefix: str = "") -> None:
        what = f"{prefix}{ctx.step}"
        ctx.progress(0.5, self.message)
        if what in self.failing:
            raise StepError(f"{what} was told to fail", code="told_to", user_message="It could not be made.", retryable=False)
        self.done.append(what)
