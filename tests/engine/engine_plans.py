"""Plans that the engine's tests run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from provisioning_core import Engine, From, Plan, Retry, Step, StepContext, step

MakeEngine = Callable[..., Engine]


class Order(BaseModel):
    slug: str = "acme"
    tier: str = "free"


@dataclass
class Journal:
    """What steps did, in order, and switches that make them fail or wait."""

    lines: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    """Step to the number of times it still fails; -1 for ever."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, line: str) -> None:
        with self.lock:
            self.lines.append(line)

    def count(self, line: str) -> int:
        return self.lines.count(line)

    def may_fail(self, name: str) -> None:
        with self.lock:
            left = self.failing.get(name, 0)
            if left:
                self.failing[name] = left - 1 if left > 0 else -1
        if left:
            raise RuntimeError(f"{name} failed on purpose")


def worker(journal: Journal, name: str, **options: Any) -> Step[str]:
    """A step that writes its name down, with a compensation that does too."""

    def work(ctx: StepContext) -> str:
        journal.write(name)
        journal.may_fail(name)
        return f"{name}-of-{ctx.subject}"

    made = step(name=name, **options)(work)

    @made.compensate
    def undo(ctx: StepContext, output: str | None) -> None:
        journal.write(f"undo {name}")
        journal.may_fail(f"undo {name}")

    return made


def chain(journal: Journal, names: Iterable[str], *, plan: str = "chain", on_failure: str = "finish", **options: Any) -> Plan:
    """Steps that need one another in a row."""
    steps: list[Step[Any]] = []
    for name in names:
        steps.append(worker(journal, name, needs=steps[-1:], **options))
    return Plan(plan, input=Order, steps=steps, on_failure=on_failure)


def blocking(name: str = "slow", *, timeout: float | None = None) -> tuple[Plan, threading.Event, threading.Event]:
    """A plan of one step that waits; gives the plan, the event that tells it has begun, and the one that lets it end."""
    begun, go = threading.Event(), threading.Event()

    @step(name=name, timeout=timeout)
    def slow(ctx: StepContext) -> str:
        begun.set()
        go.wait(20)
        return "done"

    @step
    def after(value: str = From(slow)) -> str:
        return value

    return Plan("blocking", steps=[slow, after]), begun, go


def until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Look again and again whether something has become true."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return True
        pause.wait(0.005)
    return condition()


QUICK = Retry(attempts=3, initial=0.01, factor=1.0, jitter=0.0)
