"""A store that forgets everything when the process ends: for tests, demos and first steps."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

from provisioning_core.errors import Conflict, InvalidInput, NotFound, ProvisioningError
from provisioning_core.model import (
    OCCUPYING,
    Completion,
    EngineRecord,
    EventRecord,
    PlanGraph,
    RequestRecord,
    ResourceRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    RunStatus,
    StatusChange,
    StepRecord,
)
from provisioning_core.ports import Clock, NewRun, RunChange, RunHead, RunPageRecord, StatusHook, TransactionalAttempt

_WEIGHT = 0.2


@dataclass(slots=True)
class _Kept:
    """All of one run."""

    run: RunRecord
    graph: PlanGraph
    number: int
    steps: dict[str, StepRecord] = field(default_factory=dict)
    events: list[EventRecord] = field(default_factory=list)
    resources: dict[tuple[str, str, str], ResourceRecord] = field(default_factory=dict)
    completions: dict[str, Completion] = field(default_factory=dict)
    requests: dict[str, RequestRecord] = field(default_factory=dict)


class _SystemClock:
    def now(self) -> float:
        return time.time()


class MemoryStore:
    """Thread-safe; one process only. ``clock`` tells when leases run out."""

    has_sessions = False
    is_durable = False

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or _SystemClock()
        self._lock = threading.RLock()
        self._runs: dict[str, _Kept] = {}
        self._of_subject: dict[str, list[_Kept]] = {}
        self._engines: dict[str, EngineRecord] = {}
        self._durations: dict[str, dict[str, float]] = {}
        self._numbers = itertools.count(1)

    def prepare(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do; what it holds stays."""

    # engines

    def register(self, engine: EngineRecord, ttl: float) -> None:
        with self._lock:
            self._engines[engine.id] = replace(engine, expires_at=self._clock.now() + ttl)

    def heartbeat(self, engine_id: str, ttl: float) -> bool:
        with self._lock:
            if not self._lives(engine_id):
                return False
            self._engines[engine_id] = replace(self._engines[engine_id], expires_at=self._clock.now() + ttl)
            return True

    def retire(self, engine_id: str) -> None:
        with self._lock:
            self._engines.pop(engine_id, None)
            for kept in self._runs.values():
                if kept.run.owner == engine_id:
                    kept.run = replace(kept.run, owner=None)

    def engines(self) -> tuple[EngineRecord, ...]:
        with self._lock:
            return tuple(self._engines.values())

    def _lives(self, engine_id: str | None, dead: Collection[str] = ()) -> bool:
        engine = self._engines.get(engine_id or "")
        return engine is not None and engine.id not in dead and engine.expires_at > self._clock.now()

    def claim(
        self, engine_id: str, *, plans: Collection[str], now: float, limit: int, dead: Collection[str] = ()
    ) -> list[RunSnapshot]:
        with self._lock:
            due = [kept for kept in self._runs.values() if self._is_due(kept.run, plans, now, dead)]
            due.sort(key=lambda kept: (kept.run.runnable_at or 0.0, kept.number))
            return [self._take(kept, engine_id) for kept in due[:limit]]

    def _is_due(self, run: RunRecord, plans: Collection[str], now: float, dead: Collection[str]) -> bool:
        is_time = run.runnable_at is not None and run.runnable_at <= now and run.plan in plans
        return is_time and not self._lives(run.owner, dead)

    def claim_run(self, engine_id: str, run_id: str, *, dead: Collection[str] = ()) -> RunSnapshot | None:
        with self._lock:
            kept = self._kept(run_id)
            if kept.run.owner != engine_id and self._lives(kept.run.owner, dead):
                return None
            return self._take(kept, engine_id)

    def _take(self, kept: _Kept, engine_id: str) -> RunSnapshot:
        taken_over = kept.run.owner is not None and kept.run.owner != engine_id
        kept.run = replace(kept.run, owner=engine_id, epoch=kept.run.epoch + 1, takeovers=kept.run.takeovers + taken_over)
        return _snapshot(kept)

    # writing

    def create(self, new: NewRun, *, hook: StatusHook | None = None, connection: Any = None) -> bool:
        if connection is not None:
            raise ProvisioningError("MemoryStore has no transactions to join.", code="no_sessions", hint="Use SqlStore.")
        with self._lock:
            mine = self._of_subject.setdefault(new.run.subject, [])
            if any(_collides(kept.run, new.run) for kept in mine):
                return False
            if hook is not None:
                hook(_created(new.run), None)
            kept = _Kept(run=new.run, graph=new.graph, number=next(self._numbers))
            kept.steps.update((step.name, step) for step in new.steps)
            kept.events.extend(new.events)
            self._runs[new.run.id] = kept
            mine.append(kept)
            return True

    def commit(self, changes: Sequence[RunChange], *, hook: StatusHook | None = None) -> frozenset[str]:
        with self._lock:
            refused = frozenset(change.run.id for change in changes if not self._is_current(change.run))
            accepted = [change for change in changes if change.run.id not in refused]
            for change in accepted:
                self._check_rules(change)
            for change in accepted:
                if hook is not None and change.status_change is not None:
                    hook(change.status_change, None)
            for change in accepted:
                self._write(change)
            return refused

    def _is_current(self, run: RunRecord) -> bool:
        kept = self._runs.get(run.id)
        return kept is not None and (kept.run.epoch, kept.run.owner) == (run.epoch, run.owner)

    def _check_rules(self, change: RunChange) -> None:
        run, kept = change.run, self._runs[change.run.id]
        others = (each.run for each in self._of_subject[kept.run.subject] if each is not kept)
        if run.status in OCCUPYING and any(other.status in OCCUPYING for other in others):
            raise Conflict(f"{run.subject!r} has another active run.", code="already_active", run_id=run.id, status=run.status)
        if run.status is RunStatus.ROLLED_BACK:
            steps = kept.steps | {step.name: step for step in change.steps}
            if any(step.effect for name, step in steps.items() if name not in change.removed_steps):
                raise Conflict("a run with effects can't be ROLLED_BACK.", code="has_effects", run_id=run.id)

    def _write(self, change: RunChange) -> None:
        kept = self._runs[change.run.id]
        for name in change.removed_steps:
            kept.steps.pop(name, None)
        kept.steps.update((step.name, step) for step in change.steps)
        kept.events.extend(change.events)
        kept.resources.update(((each.step, each.kind, each.id), each) for each in change.resources)
        for step in change.settled:
            kept.completions.pop(step, None)
        for request in change.requests_done:
            kept.requests.pop(request, None)
        kept.graph = change.graph or kept.graph
        kept.run = replace(
            change.run, owner=None if change.release else change.run.owner, runnable_at=_runnable_at(change, kept.requests.values())
        )

    def request(self, request: RequestRecord) -> None:
        with self._lock:
            kept = self._kept(request.run_id)
            kept.requests[request.id] = request
            runnable_at = request.at if kept.run.runnable_at is None else min(kept.run.runnable_at, request.at)
            kept.run = replace(kept.run, runnable_at=runnable_at)

    def requests(self, engine_id: str) -> list[RequestRecord]:
        with self._lock:
            mine = [kept for kept in self._runs.values() if kept.requests and kept.run.owner == engine_id]
            return sorted((request for kept in mine for request in kept.requests.values()), key=lambda request: request.at)

    def transaction(self, run_id: str, epoch: int) -> AbstractContextManager[TransactionalAttempt]:
        raise ProvisioningError(
            f"MemoryStore has no transactions (run {run_id}, epoch {epoch}).", code="no_sessions", hint="Use SqlStore."
        )

    # reading

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:  # noqa: ARG002  the port's signature
        with self._lock:
            return _snapshot(self._kept(run_id))

    def head(self, run_id: str) -> RunHead:
        with self._lock:
            kept = self._kept(run_id)
            return RunHead(status=kept.run.status, version=kept.run.version, has_requests=bool(kept.requests))

    def latest(self, subject: str, *, connection: Any = None) -> RunRecord | None:  # noqa: ARG002  the port's signature
        with self._lock:
            mine = self._of_subject.get(subject)
            return mine[-1].run if mine else None

    def by_idempotency_key(self, subject: str, key: str, *, connection: Any = None) -> RunRecord | None:  # noqa: ARG002  as above
        with self._lock:
            mine = self._of_subject.get(subject, ())
            return next((kept.run for kept in mine if kept.run.idempotency_key == key), None)

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        before = _read_cursor(cursor)
        with self._lock:
            newest = sorted(self._runs.values(), key=lambda kept: -kept.number)
            found = [kept for kept in newest if _matches(kept.run, where) and (before is None or kept.number < before)]
        page = found[:limit]
        more = len(found) > limit
        return RunPageRecord(items=tuple(kept.run for kept in page), next_cursor=_cursor(page[-1].number) if more else None)

    def counts(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        with self._lock:
            for kept in self._runs.values():
                counts[kept.run.status.value] = counts.get(kept.run.status.value, 0) + 1
        return counts

    def events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        with self._lock:
            return self._kept(run_id).events[max(after, 0) :][:limit]

    def durations(self, plan: str) -> Mapping[str, float]:
        with self._lock:
            return dict(self._durations.get(plan, {}))

    def add_durations(self, plan: str, seconds: Mapping[str, float]) -> None:
        with self._lock:
            known = self._durations.setdefault(plan, {})
            for step, took in seconds.items():
                known[step] = took if step not in known else known[step] * (1 - _WEIGHT) + took * _WEIGHT

    def _kept(self, run_id: str) -> _Kept:
        try:
            return self._runs[run_id]
        except KeyError:
            raise NotFound(f"there is no run {run_id!r}.", code="run_not_found") from None


def _collides(old: RunRecord, new: RunRecord) -> bool:
    same_key = new.idempotency_key is not None and old.idempotency_key == new.idempotency_key
    return same_key or (old.status in OCCUPYING and new.status in OCCUPYING)


def _created(run: RunRecord) -> StatusChange:
    return StatusChange(run_id=run.id, subject=run.subject, plan=run.plan, old=None, new=run.status, at=run.created_at)


def _runnable_at(change: RunChange, left: Iterable[RequestRecord]) -> float | None:
    """A verb that is recorded and not carried out must be found by whoever has the run next."""
    times = [request.at for request in left]
    if change.run.runnable_at is not None:
        times.append(change.run.runnable_at)
    return min(times, default=None)


def _snapshot(kept: _Kept) -> RunSnapshot:
    return RunSnapshot(
        run=kept.run,
        graph=kept.graph,
        steps=dict(kept.steps),
        resources=tuple(kept.resources.values()),
        completions=tuple(kept.completions.values()),
        requests=tuple(sorted(kept.requests.values(), key=lambda request: request.at)),
    )


def _matches(run: RunRecord, where: RunFilter) -> bool:
    checks: tuple[Callable[[], bool], ...] = (
        lambda: not where.status or run.status in where.status,
        lambda: where.plan is None or run.plan == where.plan,
        lambda: where.subject is None or run.subject == where.subject,
    )
    return all(check() for check in checks)


def _cursor(number: int) -> str:
    return base64.urlsafe_b64encode(str(number).encode()).decode()


def _read_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError as error:
        raise InvalidInput("this cursor is none of ours.", code="bad_cursor", hint="Leave it out to begin anew.") from error
