"""Who is measured, and what is said about each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One library on one store."""

    key: str
    title: str
    module: str
    environment: str
    store: str
    note: str = ""
    is_peer: bool = True
    """Not ours and not a limit: it is measured at a smaller size where it would take too long."""
    program: str = ""
    """The module to run, if it is not a driver of ``bench.peers``."""


def _ours(store: str, title: str) -> Contender:
    return Contender(
        key=f"ours-{store}", title=f"provisioning_core, {title}", module="ours", environment="own", store=store, is_peer=False
    )


def _limit(store: str, title: str) -> Contender:
    return Contender(key=f"limit-{store}", title=title, module="limits", environment="own", store=store, is_peer=False)


CONTENDERS = (
    _ours("memory", "in memory"),
    _ours("sqlite", "SQLite"),
    _ours("postgres", "PostgreSQL"),
    _limit("memory", "limit: `ThreadPoolExecutor.submit`"),
    _limit("sqlite", "limit: SQLite, one bare commit a step"),
    _limit("postgres", "limit: PostgreSQL, one bare commit a step"),
    Contender(
        key="graphlib",
        title="`graphlib` + `ThreadPoolExecutor` by hand",
        module="graphlib_pool",
        environment="own",
        store="memory",
        is_peer=False,
        note="Records nothing.",
    ),
    Contender(
        key="dbos-sqlite",
        title="DBOS, SQLite",
        module="dbos",
        environment="peers",
        store="sqlite",
        note="The file is in WAL mode, which DBOS leaves to its user; by itself it takes a rollback journal, and is slower. "
        "A chain and the tenants are synchronous workflows, 16 at once; plans with parallel steps are asynchronous ones "
        "that gather layer after layer.",
    ),
    Contender(key="dbos-postgres", title="DBOS, PostgreSQL", module="dbos", environment="peers", store="postgres", note="Likewise."),
    Contender(key="taskflow-memory", title="TaskFlow, in memory", module="taskflow", environment="peers", store="memory"),
    Contender(
        key="taskflow-sqlite",
        title="TaskFlow, SQLite",
        module="taskflow",
        environment="peers",
        store="sqlite",
        note="WAL; a new connection for each write, as it comes (a pool was tried: no faster). The serial engine for a chain and for "
        "each of 16 tenants at once, else the parallel one.",
    ),
    Contender(key="taskflow-postgres", title="TaskFlow, PostgreSQL", module="taskflow", environment="peers", store="postgres"),
    Contender(
        key="langgraph-sqlite",
        title="LangGraph, SQLite checkpointer",
        module="langgraph",
        environment="peers",
        store="sqlite",
        note='`durability="sync"`: a checkpoint after each layer, and one write for each step in it.',
    ),
    Contender(
        key="celery-valkey",
        title="Celery canvas, Valkey",
        module="celery",
        environment="peers",
        store="valkey",
        note="A worker process with 16 threads, late acknowledgement; Valkey with `appendfsync always`, which syncs once for all "
        "commands of one turn of its loop. The tenants' join waits for billing too, one step earlier than elsewhere. Compared with "
        "this project on SQLite.",
    ),
    Contender(
        key="prefect-sqlite",
        title="Prefect, SQLite",
        module="prefect",
        environment="prefect",
        store="sqlite",
        note="**Less durable than the others**: Prefect sets `synchronous = NORMAL` on each connection and has no setting for it. A "
        "server process of its own; events and states reach it over HTTP.",
    ),
)
