"""Prefect, with a server of its own on SQLite."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.driver import Peer, main
from bench.workloads import WORKERS, Workload

_PATIENCE = 90.0


class Prefect(Peer):
    """A flow that submits a task for each step to Prefect's thread pool, with ``wait_for``; tenants' flows on threads of ours."""

    cannot_resume = "runs a flow that died from its beginning; to keep what tasks had done each needs a cache"

    def build(self, work: Workload) -> Any:
        return work

    def open(self, plans: list[Any]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        os.environ |= {
            "PREFECT_HOME": str(self.place.folder),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self.place.file}",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "PREFECT_CLI_PROMPT": "false",
            "DO_NOT_TRACK": "1",
        }
        options = ["server", "start", "--host", "127.0.0.1", "--port", str(port), "--log-level", "ERROR", "--no-ui"]
        self.server = subprocess.Popen(
            [sys.executable, "-m", "prefect", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for(f"http://127.0.0.1:{port}/api/health")
        self.flow = self._flow()

    def _flow(self) -> Any:
        from prefect import flow, task
        from prefect.task_runners import ThreadPoolTaskRunner

        do = self.work

        @task
        def one() -> int:
            return do()

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=WORKERS))  # type: ignore[arg-type]
        def plan(needs: list[tuple[int, ...]]) -> int:
            futures: list[Any] = []
            for each in needs:
                futures.append(one.submit(wait_for=[futures[need] for need in each]))
            return sum(future.result() for future in futures)

        return plan

    def run(self, plan: Workload, work: Workload) -> None:
        if work.runs == 1:
            self.flow([*work.needs])
            return
        with ThreadPoolExecutor(WORKERS) as threads:
            for run in [threads.submit(self.flow, [*work.needs]) for _ in range(work.runs)]:
                run.result()

    def status(self, plan: Any) -> Callable[[], Any]:
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import FlowRunFilter

        client = get_client(sync_client=True)
        newest = max(client.read_flow_runs(), key=lambda run: run.created)
        mine = FlowRunFilter.model_validate({"id": {"any_": [newest.id]}})

        def ask() -> Any:
            pages, page = [], [None]
            while page:
                page = client.read_task_runs(flow_run_filter=mine, limit=200, offset=200 * len(pages))
                pages.append(page)
            return client.read_flow_run(newest.id), pages

        return ask

    def close(self) -> None:
        self.server.terminate()
        self.server.wait(20)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)  # its server does not say when it listens
        else:
            return


if __name__ == "__main__":
    main(Prefect)
