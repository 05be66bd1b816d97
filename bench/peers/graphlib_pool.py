"""What a backend writes by hand: ``graphlib`` and a thread pool. It records nothing, so it is the limit in memory."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from graphlib import TopologicalSorter
from queue import SimpleQueue

from bench.driver import Peer, main
from bench.workloads import WORKERS, Workload


class GraphlibPool(Peer):
    """One loop per run; tenants' loops share the pool, and each has a thread."""

    name = "graphlib + ThreadPoolExecutor"
    cannot_resume = "records nothing"

    def build(self, work: Workload) -> dict[int, tuple[int, ...]]:
        return dict(enumerate(work.needs))

    def open(self, plans: list[dict[int, tuple[int, ...]]]) -> None:
        self.pool = ThreadPoolExecutor(WORKERS)

    def run(self, plan: dict[int, tuple[int, ...]], work: Workload) -> None:
        if work.runs == 1:
            self._one(plan)
            return
        threads = [threading.Thread(target=self._one, args=(plan,)) for _ in range(work.runs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one(self, plan: dict[int, tuple[int, ...]]) -> None:
        sorter = TopologicalSorter(plan)
        sorter.prepare()
        ended: SimpleQueue[Future[int]] = SimpleQueue()
        names: dict[Future[int], int] = {}
        while sorter.is_active():
            for index in sorter.get_ready():
                future = self.pool.submit(self.work, index)
                names[future] = index
                future.add_done_callback(ended.put)
            future = ended.get()
            future.result()
            sorter.done(names.pop(future))

    def close(self) -> None:
        self.pool.shutdown()


if __name__ == "__main__":
    main(GraphlibPool)
