"""DBOS Transact, as its documentation tells to write such a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dbos import DBOS

from bench.driver import Peer, Unsupported, main
from bench.workloads import WORKERS, Workload


class Dbos(Peer):
    """A chain, and each of many tenants, is a workflow that calls its steps one after the other, tenants on as many threads as there
    are workers: that is its fastest way. A plan with parallel steps is an async workflow that gathers layer after layer, since steps
    have to begin in the same order when it is replayed. Each step is one commit.
    """

    name = "DBOS"

    def build(self, work: Workload) -> Any:
        if self.place.kind == "memory":
            raise Unsupported("has no store in memory")
        is_parallel = work.runs == 1 and any(len(layer) > 1 for layer in work.layers) and work.name != "tiny"
        return self._gathering(work) if is_parallel else self._calling(work)

    def _calling(self, work: Workload) -> Any:
        do, steps, name = self.work, len(work.needs), f"{work.name}_{len(work.needs)}"

        @DBOS.step(name=f"{name}_step")
        def one(slug: str) -> int:
            return do(slug)

        @DBOS.workflow(name=name)
        def plan(slug: str) -> int:
            return sum(one(slug) for _ in range(steps))

        return plan

    def _gathering(self, work: Workload) -> Any:
        do, layers, name = self.work, [len(layer) for layer in work.layers], f"{work.name}_{len(work.needs)}"

        @DBOS.step(name=f"{name}_step")
        async def one(_slug: str) -> int:
            do.begin()
            if do.seconds:
                await asyncio.sleep(do.seconds)
            return do.end()

        @DBOS.workflow(name=name)
        async def plan(slug: str) -> int:
            workers = asyncio.Semaphore(WORKERS)

            async def when_free() -> int:
                async with workers:
                    return await one(slug)

            done = 0
            for width in layers:
                done += sum(await asyncio.gather(*(when_free() for _ in range(width))))
            return done

        return plan

    def open(self, plans: list[Any]) -> None:
        url = self.place.url if self.place.kind == "sqlite" else self.place.psycopg_url
        DBOS(
            config={
                "name": "bench",
                "system_database_url": url,
                "log_level": "ERROR",
                "run_admin_server": False,
                "max_executor_threads": WORKERS,
                "application_version": "1",
            }
        )
        DBOS.launch()

    def run(self, plan: Any, work: Workload) -> None:
        if asyncio.iscoroutinefunction(plan):
            self.last = asyncio.run(self._run_async(plan))
            return
        handles = [DBOS.start_workflow(plan, f"tenant-{number}") for number in range(work.runs)]
        for handle in handles:
            handle.get_result()
        self.last = handles[0].get_workflow_id()

    async def _run_async(self, plan: Any) -> str:
        handle = await DBOS.start_workflow_async(plan, "acme")
        await handle.get_result()
        return str(handle.get_workflow_id())

    def status(self, plan: Any) -> Callable[[], Any]:
        return lambda: (DBOS.get_workflow_status(self.last), DBOS.list_workflow_steps(self.last))

    def resume(self, plan: Any, work: Workload) -> None:
        self.open([plan])
        (newest,) = DBOS.list_workflows(sort_desc=True, limit=1)
        DBOS.retrieve_workflow(newest.workflow_id).get_result()

    def close(self) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=0)


if __name__ == "__main__":
    main(Dbos)
