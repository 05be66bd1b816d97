"""One point of a scaling curve of this project, in a process of its own: a JSON job in ``argv[1]``, the answer as JSON on stdout."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.driver import peak, resident
from bench.peers.ours import Ours, Tenant
from bench.places import Place
from bench.workloads import TENANT, WORKERS, Workload, layers, tiny
from provisioning_core import Engine, Plan, gate, step
from provisioning_core.stores import SqlStore

_WIDTH = 100
_LEAST_STEPS = 1000
_PATIENCE = 600.0
_TEMPLATES = 50


def steps(place: Place, size: int) -> dict[str, Any]:
    """A plan of ``size`` steps in layers of 100; the smallest again and again, since one run is too short to time."""
    shape = layers(max(1, size // _WIDTH), min(size, _WIDTH), needs=3)
    work = Workload(name="steps", needs=shape)
    ours = Ours(place)
    small = ours.build(tiny())
    before, began = resident(), time.perf_counter()
    plan = ours.build(work)
    built = time.perf_counter() - began
    ours.open([small, plan])
    _run(ours, small, tiny())
    times = max(1, _LEAST_STEPS // work.steps)
    seconds = sum(_run(ours, plan, work) for _ in range(times))
    status = _seconds(ours.status(plan))
    return {
        "size": work.steps,
        "per_step": seconds / times / work.steps,
        "build_per_step": built / work.steps,
        "bytes_per_step": (peak() - before) / work.steps,
        "status_seconds": status,
    }


def runs(place: Place, size: int) -> dict[str, Any]:
    """``size`` tenants at once."""
    ours = Ours(place)
    plan, work = ours.build(tiny()), Workload(name="tiny", needs=TENANT, runs=size)
    ours.open([plan])
    _run(ours, plan, tiny())
    before = resident()
    seconds = _run(ours, plan, work)
    return {"size": size, "per_step": seconds / work.steps, "bytes_per_run": (peak() - before) / size}


def history(place: Place, size: int) -> dict[str, Any]:
    """100 tenants at once in a store with ``size`` events of other runs; they are copies of real ones."""
    ours = Ours(place)
    plan = ours.build(tiny())
    ours.open([plan])
    _run(ours, plan, Workload(name="tiny", needs=TENANT, runs=_TEMPLATES))
    ours.close()
    events = _copied(place.file, size) if size else 0
    ours.open([plan])
    _run(ours, plan, tiny())
    work = Workload(name="tiny", needs=TENANT, runs=100)
    seconds = sorted(_run(ours, plan, work) for _ in range(5))[2]
    ours.run(plan, tiny())
    return {"size": events, "per_step": seconds / work.steps, "status_seconds": _seconds(ours.status(plan))}


def waiting_steps(place: Place, size: int) -> dict[str, Any]:
    """Memory that a started run takes whose first step is under way, for each step that waits for it."""
    blocked, go_on = threading.Event(), threading.Event()

    @step
    def first() -> int:
        blocked.set()
        go_on.wait(_PATIENCE)
        return 1

    rest: list[Any] = [step(name=f"s{number}", needs=[first])(_nothing) for number in range(size)]
    plan = Plan("waiting", steps=[first, *rest])
    with Engine(store=SqlStore(place.url), plans=[plan], max_workers=WORKERS) as engine:
        before = _traced()
        run = engine.start(plan, subject="acme")
        blocked.wait(_PATIENCE)
        taken = _traced() - before
        go_on.set()
        run.wait(_PATIENCE)
    return {"size": size, "bytes_per_step": taken / size}


def waiting_runs(place: Place, size: int) -> dict[str, Any]:
    """Memory that each run takes that waits for workers: of a plan with one step, and of one with twelve; and of one at a gate."""
    blocked, go_on = threading.Event(), threading.Event()

    @step
    def busy() -> int:
        blocked.set()
        go_on.wait(_PATIENCE)
        return 1

    one = Plan("one", input=Tenant, steps=[step(name="only")(_for_tenant)])
    twelve = _tenant_plan()
    at_gate = Plan("gate", input=Tenant, steps=[gate("approval")])
    found: dict[str, Any] = {"size": size}
    with Engine(store=SqlStore(place.url), plans=[Plan("busy", steps=[busy]), one, twelve, at_gate], max_workers=1) as engine:
        engine.start("busy", subject="busy")
        blocked.wait(_PATIENCE)
        for plan in (one, twelve, at_gate):
            engine.start(plan, subject=f"{plan.name}-first", input={"slug": "first"})
        for plan in (one, twelve, at_gate):
            _settle()
            before = _traced()
            for number in range(size):
                engine.start(plan, subject=f"{plan.name}-{number}", input={"slug": f"tenant-{number}"})
            _settle()
            found[plan.name] = (_traced() - before) / size
        go_on.set()
    return found


def finished(place: Place, size: int) -> dict[str, Any]:
    """Memory that is still taken when runs have ended, for each of them."""
    plan = _tenant_plan()
    with Engine(store=SqlStore(place.url), plans=[plan], max_workers=WORKERS) as engine:
        taken = []
        for batch in range(3):
            _provision(engine, plan, batch, size)
            _settle()
            taken.append(_traced())
    return {"size": size, "bytes_per_run": (taken[2] - taken[1]) / size}


def _provision(engine: Engine, plan: Plan, batch: int, size: int) -> None:
    for number in range(size):
        engine.start(plan, subject=f"{batch}-{number}", input={"slug": "acme"})
    while engine.counts().get("SUCCEEDED", 0) < (batch + 1) * size:
        time.sleep(0.01)  # the counts are of the store, which rings no bell


def _settle() -> None:
    """What follows a commit (observers, durations learned once a second) is done, and is not counted as memory that runs keep."""
    time.sleep(1.0)


def _tenant_plan() -> Plan:
    made: list[Any] = []
    for number, needs in enumerate(TENANT):
        made.append(step(name=f"s{number}", needs=[made[need] for need in needs])(_for_tenant))
    return Plan("twelve", input=Tenant, steps=made)


def _nothing() -> int:
    return 1


def _for_tenant(tenant: Tenant) -> int:
    return len(tenant.slug)


def _run(ours: Ours, plan: Plan, work: Workload) -> float:
    ours.expect(work.steps)
    before = time.perf_counter()
    ours.run(plan, work)
    return time.perf_counter() - before


def _seconds(ask: Callable[[], Any]) -> float:
    ask()
    before = time.perf_counter()
    for _ in range(5):
        ask()
    return (time.perf_counter() - before) / 5


def _traced() -> int:
    """Bytes that Python holds now, garbage not counted."""
    for _ in range(3):
        gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _copied(file: Path, wanted: int) -> int:
    """Copy the runs that are there, with all that is theirs, until there are so many events."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        there = connection.execute("SELECT count(*) FROM provisioning_events").fetchone()[0]
        connection.execute(
            "CREATE TEMP TABLE copies AS WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n LIMIT ?) SELECT k FROM n",
            (wanted // there,),
        )
        for table, key in (("runs", "id"), ("steps", "run_id"), ("events", "run_id")):
            _copy(connection, f"provisioning_{table}", key)
        connection.commit()
        return int(connection.execute("SELECT count(*) FROM provisioning_events").fetchone()[0])


def _copy(connection: sqlite3.Connection, table: str, key: str) -> None:
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "number"]
    values = [f"{name} || '-' || k" if name in (key, "subject") else name for name in names]
    rows = f"SELECT {', '.join(values)} FROM (SELECT * FROM {table}) CROSS JOIN copies"
    connection.execute(f"INSERT INTO {table} ({', '.join(names)}) {rows}")


_CURVES = {each.__name__: each for each in (steps, runs, history, waiting_steps, waiting_runs, finished)}


def main() -> None:
    """Measure one point."""
    job = json.loads(sys.argv[1])
    place = Place(kind=job["store"], folder=Path(job["folder"]))
    place.prepare()
    if job["curve"] in ("waiting_steps", "waiting_runs", "finished"):
        tracemalloc.start()
    sys.stdout.write("\n" + json.dumps(_CURVES[job["curve"]](place, job["size"])) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
