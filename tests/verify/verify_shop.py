"""Real runs of a real engine, in a world without threads: their histories are good, until a test breaks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from provisioning_core import Engine, From, Plan, Retry, RunStatus, Step, StepContext, StepError, gate, step
from provisioning_core.model import Direction, EventRecord
from provisioning_core.stores import MemoryStore
from provisioning_core.stores._kept import KeptRun
from provisioning_core.testing import LedgerLine, VirtualEngine, VirtualWorld

AGAIN = Retry(attempts=2, initial=5.0, jitter=0.0)


class Tenant(BaseModel):
    pro: bool = False


@dataclass
class Shop:
    """A world with one engine, switches that let steps fail, and the ledger that steps write."""

    world: VirtualWorld = field(default_factory=VirtualWorld)
    failing: dict[str, int] = field(default_factory=dict)
    """Step (or ``undo step``) to how often it still fails; -1 for ever."""
    ledger: list[LedgerLine] = field(default_factory=list)

    def engine(self, *plans: Plan) -> VirtualEngine:
        return self.world.engine(*(plans or (self.plan(),)))

    def plan(self, *, version: str = "1", on_failure: str = "finish", but: Iterable[str] = (), name: str = "tenant") -> Plan:
        """``a`` and ``b`` in a row, ``pro`` for some, ``extra`` optional, ``approval`` a gate with ``open`` behind it."""
        a = self.work("a")
        b = self.work("b", takes=a, retry=AGAIN)
        steps: list[Step[Any]] = [
            a,
            b,
            self.work("pro", when=lambda tenant: tenant.pro),
            self.work("extra", needs=[a], optional=True),
        ]
        steps.append(self.work("last", needs=[b], tolerant_of=steps[3]))
        return Plan(
            name, version=version, input=Tenant, steps=[each for each in steps if each.name not in but], on_failure=on_failure
        )

    def gated(self) -> Plan:
        first = self.work("first")
        approval = gate("approval", needs=[first], timeout=600.0)
        return Plan("gated", steps=[first, approval, self.work("open", needs=[approval])])

    def work(self, name: str, *, takes: Any = None, tolerant_of: Any = None, **options: Any) -> Step[str]:
        def forward(ctx: StepContext) -> str:
            return self._do(ctx, name)

        def strict(ctx: StepContext, other: str = From(takes)) -> str:
            return self._do(ctx, name)

        def tolerant(ctx: StepContext, other: str | None = From(tolerant_of)) -> str:
            return self._do(ctx, name)

        made: Step[str] = step(name=name, **options)(strict if takes else tolerant if tolerant_of else forward)

        @made.compensate
        def undo(ctx: StepContext) -> None:
            self._do(ctx, f"undo {name}")

        return made

    def _do(self, ctx: StepContext, what: str) -> str:
        self.note(ctx, "begin")
        left = self.failing.get(what, 0)
        if left:
            self.failing[what] = left - 1 if left > 0 else -1
            raise StepError(f"{what} failed on purpose")
        if what.startswith("undo"):
            self.note(ctx, "effect")
        else:
            ctx.record("thing", f"{what}-{ctx.idempotency_key}")
            self.note(ctx, "effect")
        self.note(ctx, "end")
        return what

    def note(self, ctx: StepContext, what: Any) -> None:
        self.ledger.append(LedgerLine.of(ctx, what))

    # what tests do with it

    def start(self, front: Engine, plan: str = "tenant", **options: Any) -> str:
        run_id = self.begin(front, plan, **options)
        self.world.settle()
        return run_id

    def begin(self, front: Engine, plan: str = "tenant", **options: Any) -> str:
        """Start it, and no more."""
        given = {} if plan == "gated" else {"input": {}}
        return front.start(plan, **{"subject": "acme"} | given | options).id

    def kept(self, run_id: str) -> KeptRun:
        """The stored run itself, to break it."""
        store = self.world.store
        assert isinstance(store, MemoryStore)
        return store._kept[run_id]

    def edit_run(self, run_id: str, **changes: Any) -> None:
        kept = self.kept(run_id)
        kept.run = replace(kept.run, **changes)

    def edit_step(self, run_id: str, name: str, **changes: Any) -> None:
        kept = self.kept(run_id)
        kept.steps[name] = replace(kept.steps[name], **changes)

    def edit_events(self, run_id: str, edit: Callable[[list[EventRecord]], list[EventRecord]]) -> None:
        """Change the history; what comes out is numbered anew."""
        kept = self.kept(run_id)
        kept.events = [replace(event, seq=number) for number, event in enumerate(edit(list(kept.events)), 1)]
        self.edit_run(run_id, seq=len(kept.events))

    def status(self, run_id: str) -> RunStatus:
        return self.kept(run_id).run.status


def where(events: list[EventRecord], type_: str, step_: str | None = None) -> int:
    """The place of the first such line."""
    return next(place for place, event in enumerate(events) if (event.type, event.step) == (type_, step_))


def line(type_: str, step_: str | None = None, **data: Any) -> EventRecord:
    """A line to be put in."""
    attempt = data.pop("attempt", None)
    return EventRecord(run_id="", seq=0, at=0.0, type=type_, step=step_, attempt=attempt, data=data)


def a_line(run_id: str, step_: str, direction: Direction, token: int, what: Any, key: str = "") -> LedgerLine:
    """A line of the ledger."""
    known = key or f"{run_id}/{step_}/{direction}"
    return LedgerLine(run_id=run_id, step=step_, direction=direction, token=token, idempotency_key=known, what=what)
