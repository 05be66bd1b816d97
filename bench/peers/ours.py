"""This project."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from bench.driver import Peer, main
from bench.workloads import WORKERS, Workload
from provisioning_core import Engine, Plan, step
from provisioning_core.stores import MemoryStore, SqlStore

_GLANCE = 0.001
"""Seconds between looks at how many runs have ended; short beside any measurement, and the look is in our figures."""
_PATIENCE = 3600.0


class Tenant(BaseModel):
    """The input of every run."""

    slug: str


class Ours(Peer):
    """An engine as the README shows it. Every output is recorded; tenants' steps take the run's input."""

    name = "provisioning_core"

    def build(self, work: Workload) -> Plan:
        steps: list[Any] = []
        for index, needs in enumerate(work.needs):
            steps.append(step(name=f"s{index}", needs=[steps[need] for need in needs])(self._function(work)))
        return Plan(f"{work.name}-{len(steps)}", input=Tenant, steps=steps)

    def _function(self, work: Workload) -> Callable[..., int]:
        def nothing() -> int:
            return self.work()

        def for_tenant(tenant: Tenant) -> int:
            return self.work(tenant.slug)

        return for_tenant if work.runs > 1 else nothing

    def open(self, plans: list[Plan]) -> None:
        store = MemoryStore() if self.place.kind == "memory" else SqlStore(self.place.url)
        self.engine = Engine(store=store, plans=plans, max_workers=WORKERS)
        self.engine.open()

    def run(self, plan: Plan, work: Workload) -> None:
        subjects = [f"{plan.name}-{time.perf_counter_ns()}-{number}" for number in range(work.runs)]
        if work.runs == 1:
            self.last = self.engine.start(plan, subject=subjects[0], input={"slug": "acme"})
            self._check(self.last.wait(_PATIENCE).status)
            return
        before = self._succeeded()
        for number, subject in enumerate(subjects):
            self.engine.start(plan, subject=subject, input={"slug": f"tenant-{number}"})
        self.work.is_done.wait(_PATIENCE)
        while self._succeeded() < before + work.runs:
            time.sleep(_GLANCE)

    def resume(self, plan: Plan, work: Workload) -> None:
        self.open([plan])
        run = self.engine.run(self.engine.runs(plan=plan.name).items[0].subject)
        self._check(run.wait(_PATIENCE).status)

    def status(self, plan: Plan) -> Callable[[], Any]:
        return lambda: self.engine.status(self.last.subject)

    def close(self) -> None:
        self.engine.close()

    def _succeeded(self) -> int:
        return self.engine.counts().get("SUCCEEDED", 0)

    def _check(self, status: str) -> None:
        if status != "SUCCEEDED":
            raise AssertionError(f"the run ended as {status}")


if __name__ == "__main__":
    main(Ours)
