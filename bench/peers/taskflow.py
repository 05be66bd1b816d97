"""OpenStack TaskFlow, with its memory backend or its SQLAlchemy backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import futurist
from taskflow import engines, task
from taskflow.patterns import graph_flow
from taskflow.persistence import backends

from bench.driver import Peer, main
from bench.workloads import WORKERS, Workload


class TaskFlow(Peer):
    """A graph flow. A chain runs on the serial engine, other plans on the parallel one; many tenants as many serial engines, on as
    many threads as there are workers: each its fastest way. Several commits a step, each on a connection of its own.
    """

    name = "TaskFlow"

    def build(self, work: Workload) -> Any:
        do = self.work

        class Step(task.Task):  # type: ignore[misc]
            def execute(self) -> int:
                return do()

        flow = graph_flow.Flow(f"{work.name}-{len(work.needs)}")
        tasks = [Step(name=f"s{index}") for index in range(len(work.needs))]
        flow.add(*tasks)
        for index, needs in enumerate(work.needs):
            for need in needs:
                flow.link(tasks[need], tasks[index])
        return flow

    def open(self, plans: list[Any]) -> None:
        self.pool = futurist.ThreadPoolExecutor(WORKERS)
        where = {"memory": "memory", "sqlite": self.place.url}.get(self.place.kind) or self.place.psycopg_url
        patient = {"engine_args": {"connect_args": {"timeout": 60}}} if self.place.kind == "sqlite" else {}
        self.backend = backends.fetch({"connection": where} | patient)
        with closing(self.backend.get_connection()) as connection:
            connection.upgrade()

    def run(self, plan: Any, work: Workload) -> None:
        if work.runs == 1:
            self.last = self._one(plan, "serial" if all(len(layer) == 1 for layer in work.layers) else "parallel")
            return
        with ThreadPoolExecutor(WORKERS) as threads:
            for done in [threads.submit(self._one, plan, "serial") for _ in range(work.runs)]:
                done.result()

    def _one(self, plan: Any, kind: str) -> Any:
        pool = {"executor": self.pool} if kind == "parallel" else {}
        engine = engines.load(plan, engine=kind, backend=self.backend, **pool)
        engine.run()
        return engine

    def status(self, plan: Any) -> Callable[[], Any]:
        book = self.last.storage.flow_uuid

        def ask() -> list[tuple[str, str]]:
            with closing(self.backend.get_connection()) as connection:
                return [(atom.name, atom.state) for atom in connection.get_flow_details(book)]

        return ask

    def resume(self, plan: Any, work: Workload) -> None:
        self.open([plan])
        with closing(self.backend.get_connection()) as connection:
            details = [(book, flow) for book in connection.get_logbooks() for flow in book]
        book, flow = next((book, flow) for book, flow in details if flow.name == plan.name)
        engines.load(plan, engine="parallel", backend=self.backend, executor=self.pool, book=book, flow_detail=flow).run()


if __name__ == "__main__":
    main(TaskFlow)
