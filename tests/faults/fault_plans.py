"""A run that does a bit of everything, a world outside that writes down what was done to it, and a patient caller."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.orm import Session

from provisioning_core import Conflict, Engine, From, Plan, Retry, RunStatus, RunView, Step, StepContext, StoreUnavailable, gate, step
from provisioning_core.ports import Store
from provisioning_core.stores import SqlStore
from provisioning_core.testing import FaultyStore

_T = TypeVar("_T")
MakeStore = Callable[[str], Store]
"""A new store by its name."""
_QUICK = Retry(attempts=3, initial=0.005, factor=1.0, jitter=0.0)
PATIENCE = 30.0


class Tenant(BaseModel):
    fails: bool = False


@dataclass(frozen=True)
class Line:
    """One thing that was done."""

    subject: str
    step: str
    direction: str
    token: int
    key: str


@dataclass
class World:
    """What is outside: nothing in it is ever taken back by itself."""

    lines: list[Line] = field(default_factory=list)
    resources: set[tuple[str, str]] = field(default_factory=set)
    restored: list[Any] = field(default_factory=list)
    seen: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """What the compensations were told of what is to be undone."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, ctx: StepContext, direction: str = "forward") -> None:
        with self.lock:
            self.lines.append(Line(ctx.subject, ctx.step, direction, ctx.token, ctx.idempotency_key))

    def make(self, ctx: StepContext) -> None:
        with self.lock:
            self.resources.add((ctx.subject, ctx.step))

    def remove(self, ctx: StepContext) -> None:
        self.write(ctx, "compensate")
        with self.lock:
            self.resources.discard((ctx.subject, ctx.step))
            self.seen[ctx.subject, ctx.step] = tuple(each.id for each in ctx.resources)

    def done(self, subject: str) -> Counter[tuple[str, str]]:
        with self.lock:
            return Counter((line.step, line.direction) for line in self.lines if line.subject == subject)


def everything(world: World, *, transactional: bool) -> Plan:
    """Retry, ledger, checkpoint, gate and signal, a transactional step; then success, or a failure and the way back."""
    bucket = _bucket(world)
    approval = gate("approval", needs=[bucket], payload=str)
    seed = _seed(world, bucket, approval, transactional=transactional)
    return Plan("everything", input=Tenant, steps=[bucket, approval, seed, _mail(world, seed)], on_failure="rollback")


def _bucket(world: World) -> Step[str]:
    @step(retry=_QUICK)
    def bucket(ctx: StepContext) -> str:
        world.write(ctx)
        if ctx.restored is None:
            ctx.checkpoint({"half": True})
            raise ConnectionError("the first attempt fails")
        world.restored.append(ctx.restored)
        world.make(ctx)
        ctx.record("bucket", f"b-{ctx.subject}")
        return f"b-{ctx.subject}"

    @bucket.compensate(retry=_QUICK)
    def drop_bucket(ctx: StepContext, output: str | None) -> None:
        if ctx.attempt == 1:
            world.write(ctx, "compensate")
            raise ConnectionError("the first attempt fails")
        world.remove(ctx)

    return bucket


def _seed(world: World, bucket: Step[str], approval: Step[str], *, transactional: bool) -> Step[int]:
    def rows(ctx: StepContext, session: Session, name: str = From(bucket), word: str = From(approval)) -> int:
        world.write(ctx)
        session.execute(text("INSERT INTO product VALUES (:subject)"), {"subject": ctx.subject})
        return 1

    def nothing(ctx: StepContext, name: str = From(bucket), word: str = From(approval)) -> int:
        world.write(ctx)
        return 1

    seed = step(name="seed", transactional=True)(rows) if transactional else step(name="seed")(nothing)

    @seed.compensate
    def unseed(ctx: StepContext) -> None:
        world.remove(ctx)

    return seed


def _mail(world: World, seed: Step[int]) -> Step[None]:
    @step(needs=[seed])
    def mail(tenant: Tenant, ctx: StepContext) -> None:
        world.write(ctx)
        world.make(ctx)
        if tenant.fails:
            raise ValueError("no such address")

    @mail.compensate
    def unmail(ctx: StepContext) -> None:
        world.remove(ctx)

    return mail


FORWARD = {("bucket", "forward"): 2, ("seed", "forward"): 1, ("mail", "forward"): 1}
BACK = {("mail", "compensate"): 1, ("seed", "compensate"): 1, ("bucket", "compensate"): 2}


def patiently(call: Callable[[], _T], seconds: float = PATIENCE) -> _T:
    """Ask again as long as the store is away, as a caller does that was answered 503."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.02)):
        try:
            return call()
        except StoreUnavailable:
            pause.wait(0.02)
    return call()


def until(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Look again and again whether something has become true."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return True
        pause.wait(0.01)
    return condition()


class Caller:
    """Provisions two tenants, of which one succeeds and one is rolled back."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._runs: dict[str, str] = {}
        self.good, self.bad = f"{name}-good", f"{name}-bad"

    def provision(self) -> None:
        for subject, fails in ((self.good, False), (self.bad, True)):
            self._start(subject, fails)
        for subject in (self.good, self.bad):
            view = self.rests(subject)
            assert view.status is RunStatus.WAITING, f"{view.status}: {view.errors} {view.steps}"
            self._approve(subject)
        for subject in (self.good, self.bad):
            self.rests(subject)

    def _start(self, subject: str, fails: bool) -> None:
        key = uuid.uuid4().hex

        def start() -> str:
            return self._engine.start("everything", subject=subject, input=Tenant(fails=fails), idempotency_key=key).id

        self._runs[subject] = patiently(start)
        assert patiently(start) == self._runs[subject], "asked again, it is the same run"

    def _approve(self, subject: str) -> None:
        def approve() -> None:
            try:
                self._engine.signal(subject, "approval", "yes")
            except Conflict:  # an earlier call got through, or is about to
                assert until(lambda: patiently(lambda: self._is_approved(subject))), f"{subject} was refused, and never approved"

        patiently(approve)

    def _is_approved(self, subject: str) -> bool:
        return any(event.type == "signal.requested" for event in self._engine.events(subject))

    def rests(self, subject: str) -> RunView:
        return patiently(lambda: self._engine.wait(run_id=self._runs[subject], timeout=PATIENCE))


def check(world: World, engine: Engine, caller: Caller) -> None:
    """All that must hold at the end, whatever the store did meanwhile."""
    good, bad = engine.status(caller.good), engine.status(caller.bad)
    assert (good.status, bad.status) == (RunStatus.SUCCEEDED, RunStatus.ROLLED_BACK), f"{good.errors} {bad.errors}"
    assert {subject for subject, _ in world.resources} == {caller.good}
    assert world.seen[caller.bad, "bucket"] == (f"b-{caller.bad}",)
    assert world.restored == [{"half": True}] * 2
    for subject, expected in ((caller.good, FORWARD), (caller.bad, FORWARD | BACK)):
        check_lines([line for line in world.lines if line.subject == subject], expected)
        numbers = [event.seq for event in engine.events(subject)]
        assert numbers == list(range(1, len(numbers) + 1))
    check_rows(engine, {caller.good: 1, caller.bad: 1})


def check_lines(lines: list[Line], expected: dict[tuple[str, str], int]) -> None:
    """Each attempt once, under a token that grows and a key that stays."""
    done = Counter((line.step, line.direction) for line in lines)
    transactional = ("seed", "forward")
    assert done[transactional] >= 1
    others = {each: times for each, times in done.items() if each != transactional}
    assert others == {each: times for each, times in expected.items() if each != transactional}, f"{others}"
    tokens = [line.token for line in lines]
    assert len(set(tokens)) == len(tokens), f"a token was given out twice: {tokens}"
    for each in done:
        mine = [line for line in lines if (line.step, line.direction) == each]
        assert [line.token for line in mine] == sorted(line.token for line in mine)
        assert len({line.key for line in mine}) == 1


def check_rows(engine: Engine, expected: dict[str, int]) -> None:
    inner = engine.store.inner if isinstance(engine.store, FaultyStore) else engine.store
    if isinstance(inner, SqlStore):
        with inner.begin() as connection:
            found = Counter(connection.execute(text("SELECT subject FROM product")).scalars())
        assert {subject: found[subject] for subject in expected} == expected, "what a transactional step wrote is there once"


def scenario(store: FaultyStore, name: str, prepare: Callable[[FaultyStore], None]) -> None:
    """Once through, with the faults that ``prepare`` plans."""
    world = World()
    plan = everything(world, transactional=store.has_sessions)
    with closing(Engine(store=store, plans=[plan], poll=0.02, max_workers=4)) as engine:
        engine.open()
        prepare(store)
        caller = Caller(engine, name)
        caller.provision()
        store.heal()
        check(world, engine, caller)


__all__ = ["BACK", "FORWARD", "Caller", "Tenant", "World", "check", "everything", "patiently", "scenario", "until"]
