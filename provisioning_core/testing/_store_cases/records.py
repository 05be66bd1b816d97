"""Records to store, and the few moves that most cases begin with."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from provisioning_core.model import (
    Completion,
    Direction,
    EngineRecord,
    ErrorInfo,
    EventRecord,
    Node,
    Phase,
    PlanGraph,
    RequestRecord,
    ResourceRecord,
    Retry,
    RunFilter,
    RunRecord,
    RunSnapshot,
    RunStatus,
    StatusChange,
    StepRecord,
    StepStatus,
    UnreadableRun,
)
from provisioning_core.ports import NewRun, RunChange, Store

NOW = 1_700_000_000.25
"""The time at which most of what is stored here happened."""

FOR_AN_HOUR = 3600.0
ALREADY_EXPIRED = -1.0
"""Times for which an engine's row may be written. With the second it is dead from the start, and no test has to wait."""

EVERYTHING = RunFilter()

_OFTEN = 1e-6


class HookError(Exception):
    """What the hooks of these cases raise."""


def a_graph(*names: str, plan: str = "tenant", version: str = "1") -> PlanGraph:
    """A chain of steps with these names."""
    needs = [(), *((name,) for name in names)]
    nodes = tuple(Node(name=name, needs=before) for name, before in zip(names, needs, strict=False))
    return PlanGraph(plan=plan, version=version, nodes=nodes)


GRAPH = a_graph("database", "bucket")

FULL_GRAPH = PlanGraph(
    plan="tenant",
    version="2",
    on_failure="rollback",
    nodes=(
        Node(name="database", has_compensation=True, has_probe=True, retry=Retry(attempts=5, initial=0.5), timeout=30.0),
        Node(name="approval", kind="gate", needs=("database",), tolerates=("database",), delay=60.0, description="ja? — да"),
    ),
)
"""A graph with something in most of its fields."""

FAILURE = ErrorInfo(
    code="boom", message="It didn't work.", detail="ValueError: 'ü' \\ \"", traceback="Traceback …\n  line", hint="Again.", at=NOW
)


def a_run(run_id: str = "run-1", subject: str = "acme", **fields: Any) -> RunRecord:
    """A run that has begun and can be claimed."""
    given: dict[str, Any] = {
        "id": run_id,
        "plan": GRAPH.plan,
        "plan_version": GRAPH.version,
        "fingerprint": GRAPH.fingerprint,
        "subject": subject,
        "status": RunStatus.RUNNING,
        "created_at": NOW,
        "runnable_at": NOW,
    }
    return RunRecord(**(given | fields))


def a_full_run(run_id: str = "full", subject: str = "Ärger & Söhne 🙂") -> RunRecord:
    """A run with something in every field, that nobody owns."""
    return RunRecord(
        id=run_id,
        plan=FULL_GRAPH.plan,
        plan_version=FULL_GRAPH.version,
        fingerprint=FULL_GRAPH.fingerprint,
        subject=subject,
        status=RunStatus.ROLLING_BACK,
        phase=Phase.REDO,
        input='{"slug":"ac\\u00fcme","rows":[1,2.5,null,true]}',
        input_digest="d1935",
        labels={"region": "eu", "größe": "L"},
        idempotency_key="key-1",
        epoch=3,
        owner=None,
        takeovers=2,
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        version=17,
        seq=2,
        token=9,
        progress=0.1 + 0.2,
        pausing=True,
        cancel_rollback=True,
        rollback_to="database",
        forced=True,
        attention=FAILURE,
        weights='{"database":2.5}',
        created_at=NOW,
        started_at=NOW + 1e-6,
        finished_at=NOW + 2,
        runnable_at=NOW + 3,
    )


def a_step(name: str = "database", status: StepStatus = StepStatus.SUCCEEDED, **fields: Any) -> StepRecord:
    """A step that was provisioned and has an effect."""
    given: dict[str, Any] = {"name": name, "status": status, "attempt": 1, "token": 1, "effect": True}
    return StepRecord(**(given | fields))


def a_full_step(name: str = "database") -> StepRecord:
    """A step with something in every field."""
    return StepRecord(
        name=name,
        status=StepStatus.COMPENSATION_FAILED,
        attempt=4,
        failures=3,
        token=9,
        live=Direction.COMPENSATE,
        zombie=True,
        round=2,
        effect=True,
        redo=True,
        half_done=True,
        skip_reason="person",
        signalled=True,
        started_at=NOW + 4,
        finished_at=NOW + 5,
        next_attempt_at=NOW + 6,
        deadline_at=NOW + 7,
        progress=0.7,
        message="half way — на полпути",
        output='{"name":"db","password":"…"}',
        error=FAILURE,
        undo_error=replace(FAILURE, code="undo"),
        engine="engine-1",
        checkpoint='["a",1]',
    )


def an_event(run_id: str = "run-1", seq: int = 1, **fields: Any) -> EventRecord:
    given: dict[str, Any] = {"run_id": run_id, "seq": seq, "at": NOW, "type": "step.started"}
    return EventRecord(**(given | fields))


def a_full_event(run_id: str, seq: int) -> EventRecord:
    data = {"from": "RUNNING", "n": 1.5, "deep": {"list": [None, True, "ü"]}}
    return an_event(run_id, seq, type="step.failed", step="database", attempt=3, data=data, actor="ana@example.com")


def events_from(run_id: str, first: int, last: int) -> tuple[EventRecord, ...]:
    return tuple(an_event(run_id, seq) for seq in range(first, last + 1))


def a_resource(number: int | str = 1, **fields: Any) -> ResourceRecord:
    given: dict[str, Any] = {"step": "database", "kind": "db", "id": f"db-{number}", "details": {"size": 1, "zone": {"a": "ü"}}}
    return ResourceRecord(**(given | {"attempt": 1, "token": 1, "at": NOW} | fields))


def a_request(request_id: str = "request-1", run_id: str = "run-1", **fields: Any) -> RequestRecord:
    who: dict[str, Any] = {"id": request_id, "run_id": run_id, "at": NOW, "actor": "ana", "reason": "fixed"}
    what = {"verb": "retry", "arguments": {"steps": ["database"], "force": None}}
    return RequestRecord(**(who | what | fields))


def a_completion(step: str = "database", token: int = 1, output: str | None = '{"rows":3}') -> Completion:
    return Completion(step=step, token=token, output=output)


def an_engine(engine_id: str = "one", **fields: Any) -> EngineRecord:
    given: dict[str, Any] = {"host": "web-1", "boot_id": "b00t", "pid": 4711, "process_started": "12345"}
    return EngineRecord(**({"id": engine_id} | given | fields))


def a_status_change(run: RunRecord, new: RunStatus, old: RunStatus | None = RunStatus.RUNNING) -> StatusChange:
    return StatusChange(run_id=run.id, subject=run.subject, plan=run.plan, old=old, new=new, at=NOW + 9)


# moves


def created(store: Store, *runs: RunRecord, steps: Sequence[StepRecord] = (), events: Sequence[EventRecord] = ()) -> None:
    """Create these runs, each with these steps and events."""
    for run in runs:
        graph = FULL_GRAPH if run.fingerprint == FULL_GRAPH.fingerprint else GRAPH
        assert store.create(NewRun(run=run, graph=graph, steps=tuple(steps), events=tuple(events)))


def engines_alive(store: Store, *ids: str) -> None:
    for engine_id in ids:
        store.register(an_engine(engine_id), FOR_AN_HOUR)


def owned(store: Store, run: RunRecord | None = None, engine_id: str = "one", **parts: Any) -> RunRecord:
    """A new run that this engine, which lives, has claimed; gives its record as it is stored then."""
    wanted = run or a_run()
    created(store, wanted, **parts)
    engines_alive(store, engine_id)
    return taken(store, wanted.id, engine_id).run


def taken(store: Store, run_id: str, engine_id: str = "one", dead: Iterable[str] = ()) -> RunSnapshot:
    snapshot = store.claim_run(engine_id, run_id, dead=frozenset(dead))
    assert not isinstance(snapshot, UnreadableRun)
    assert snapshot is not None
    return snapshot


def a_change(
    run: RunRecord, *, events: int | Sequence[EventRecord] = 0, run_fields: Mapping[str, Any] | None = None, **parts: Any
) -> RunChange:
    """The next commit of this run, with these events or so many; ``run_fields`` are what changes of its record."""
    history = events_from(run.id, run.seq + 1, run.seq + events) if isinstance(events, int) else tuple(events)
    fields = {"version": run.version + 1, "seq": run.seq + len(history), **(run_fields or {})}
    return RunChange(run=replace(run, **fields), events=history, **parts)


def moved(run: RunRecord, status: RunStatus, **parts: Any) -> RunChange:
    """A commit that changes the run's status."""
    return a_change(run, run_fields={"status": status}, status_change=a_status_change(run, status, run.status), **parts)


def everything_of(store: Store, run_id: str) -> tuple[RunSnapshot, list[EventRecord]]:
    """All that is stored of a run, its history too."""
    return store.load(run_id), store.events(run_id)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make all these calls at the same time, each on its own thread, and let the threads take turns often; what they returned."""
    together, usual = threading.Barrier(len(calls)), sys.getswitchinterval()

    def run(call: Callable[[], Any]) -> Any:
        together.wait(60)
        return call()

    sys.setswitchinterval(_OFTEN)
    try:
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(run, calls))
    finally:
        sys.setswitchinterval(usual)


def claimed_runs(
    store: Store,
    engine_id: str,
    *,
    plans: Collection[str] = ("tenant",),
    now: float = NOW,
    limit: int = 99,
    dead: Collection[str] = (),
) -> list[RunSnapshot]:
    """What a claim gives, all of it readable."""
    found = store.claim(engine_id, plans=plans, now=now, limit=limit, dead=dead)
    assert not [each for each in found if isinstance(each, UnreadableRun)]
    return [each for each in found if isinstance(each, RunSnapshot)]
