"""A server of its own: runs that work on a store on disk, and the HTTP face under uvicorn, in the main thread as in production.

``python stream_server.py DATABASE`` prints its port. It is asked to begin work by starting runs over HTTP.
"""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI, Request
from provisioning_http import create_router

from provisioning_core import Engine, Plan, StepContext, gate, step
from provisioning_core.stores import SqlStore

LONG = 12


def working() -> Plan:
    """A gate, then a chain whose steps tell of their progress."""
    begin = gate("begin")
    steps = [begin]
    for number in range(LONG):

        @step(name=f"step-{number}", needs=[steps[-1]])
        def work(ctx: StepContext) -> str:
            ctx.progress(0.5, "half of it")
            ctx.record("thing", f"{ctx.subject}-{ctx.step}")
            return ctx.step

        steps.append(work)
    return Plan("working", steps=steps)


def authorize(request: Request) -> str:
    return request.headers.get("authorization", "nobody")


def main(database: str) -> None:
    engine = Engine(store=SqlStore(f"sqlite:///{database}"), plans=[working()], max_workers=8)
    app = FastAPI()
    app.include_router(create_router(engine, authorize=authorize))
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
    engine.close()


if __name__ == "__main__":
    main(sys.argv[1])
