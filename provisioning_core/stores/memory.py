"""A store in memory: for tests, and for what may be forgotten with the process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn

from provisioning_core.errors import Conflict, NotFound, ProvisioningError
from provisioning_core.model import (
    OCCUPYING,
    EngineRecord,
    ErrorInfo,
    EventRecord,
    RequestRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    RunStatus,
    Standing,
    StatusChange,
)
from provisioning_core.ports import Clock, NewRun, RunChange, RunHead, RunPageRecord, StatusHook, SystemClock, TransactionalAttempt
from provisioning_core.stores._cursors import cursor_after, number_in
from provisioning_core.stores._kept import KeptRun
from provisioning_core.stores._memory_outbox import MemoryOutbox

_NEW_SHARE = 0.2


class MemoryStore:
    """Keeps its records in dictionaries, under one lock. ``clock`` tells whether engines live; the system's clock by default."""

    has_sessions = False
    is_durable = False

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._kept: dict[str, KeptRun] = {}
        self._of_subject: dict[str, list[KeptRun]] = {}
        self._occupying: dict[str, str] = {}
        self._keys: dict[tuple[str, str], KeptRun] = {}
        self._runnable: dict[str, KeptRun] = {}
        self._engines: dict[str, EngineRecord] = {}
        self._durations: dict[str, dict[str, float]] = {}
        self.outbox = MemoryOutbox(self._lock, self._clock, self._kept)

    def prepare(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to let go of: what was stored stays, until the store itself goes."""

    # engines and their leases

    def register(self, engine: EngineRecord, ttl: float) -> None:
        """Write the engine's row, alive for ``ttl`` seconds by the store's clock."""
        with self._lock:
            self._engines[engine.id] = replace(engine, expires_at=self._clock.now() + ttl)

    def heartbeat(self, engine_id: str, ttl: float) -> bool:
        """Renew it for ``ttl`` seconds. False when the row is gone or has expired."""
        with self._lock:
            if not self._lives(engine_id):
                return False
            self.register(self._engines[engine_id], ttl)
            return True

    def retire(self, engine_id: str) -> None:
        """Remove the engine's row and let go of all its runs."""
        with self._lock:
            self._engines.pop(engine_id, None)
            for kept in self._kept.values():
                if kept.run.owner == engine_id:
                    kept.run = replace(kept.run, owner=None)

    def engines(self) -> tuple[EngineRecord, ...]:
        """All rows, expired ones too."""
        with self._lock:
            now = self._clock.now()
            return tuple(replace(engine, overdue=now - engine.expires_at) for _, engine in sorted(self._engines.items()))

    def bury(self, engine_ids: Collection[str]) -> None:
        """Remove the rows of those of these engines whose time has run out."""
        with self._lock:
            for engine_id in engine_ids:
                if not self._lives(engine_id):
                    self._engines.pop(engine_id, None)

    def claim(
        self, engine_id: str, *, plans: Collection[str], now: float, limit: int, dead: Collection[str] = ()
    ) -> list[RunSnapshot]:
        """Take runs of these plans whose time has come and that have no living owner, oldest first."""
        with self._lock:
            found = [
                (kept.run.runnable_at, kept.number, kept)
                for kept in self._runnable.values()
                if kept.run.runnable_at is not None
                and kept.run.runnable_at <= now
                and kept.run.plan in plans
                and self._is_free(kept.run, dead)
            ]
            return [self._take(kept, engine_id) for _, _, kept in sorted(found, key=lambda each: each[:2])[:limit]]

    def claim_run(self, engine_id: str, run_id: str, *, dead: Collection[str] = ()) -> RunSnapshot | None:
        """Take this run whatever its time; None when it has a living owner. Raises NotFound."""
        with self._lock:
            kept = self._get(run_id)
            if kept.run.owner != engine_id and not self._is_free(kept.run, dead):
                return None
            return self._take(kept, engine_id)

    def next_runnable_at(self) -> float | None:
        """When a run can be taken up at the earliest, if no engine renews its lease until then; None when none can."""
        with self._lock:
            return min((self._takeable_at(kept.run) for kept in self._runnable.values()), default=None)

    def _takeable_at(self, run: RunRecord) -> float:
        owner = self._engines.get(run.owner or "")
        return max(run.runnable_at or 0.0, 0.0 if owner is None else owner.expires_at)

    def owned(self, engine_id: str) -> list[str]:
        """Ids of the runs that this engine owns."""
        with self._lock:
            return [kept.run.id for kept in self._kept.values() if kept.run.owner == engine_id]

    def _lives(self, engine_id: str) -> bool:
        found = self._engines.get(engine_id)
        return found is not None and found.expires_at > self._clock.now()

    def _is_free(self, run: RunRecord, dead: Collection[str]) -> bool:
        return run.owner is None or run.owner in dead or not self._lives(run.owner)

    def _take(self, kept: KeptRun, engine_id: str) -> RunSnapshot:
        is_takeover = kept.run.owner not in (None, engine_id)
        kept.run = replace(kept.run, owner=engine_id, epoch=kept.run.epoch + 1, takeovers=kept.run.takeovers + is_takeover)
        return kept.snapshot()

    # writing

    def create(self, new: NewRun, *, hook: StatusHook | None = None, connection: Any = None) -> bool:
        """Write a new run; False, and nothing written, when the subject or the idempotency key is taken."""
        if connection is not None:
            hint = "Use SqlStore with the product's own database."
            raise ProvisioningError("A store in memory has no transaction to join.", code="bad_connection", hint=hint)
        run = new.run
        with self._lock:
            if run.id in self._kept or self._is_taken(run):
                return False
            if hook is not None:
                hook(
                    StatusChange(run_id=run.id, subject=run.subject, plan=run.plan, old=None, new=run.status, at=run.created_at), None
                )
            self._add(new)
            self.outbox.note(run, new.events)
            return True

    def _is_taken(self, run: RunRecord) -> bool:
        if run.idempotency_key is not None and (run.subject, run.idempotency_key) in self._keys:
            return True
        return run.status in OCCUPYING and run.subject in self._occupying

    def _add(self, new: NewRun) -> None:
        run = new.run
        steps = {step.name: step for step in new.steps}
        kept = KeptRun(len(self._kept) + 1, run, new.graph, steps, list(new.events))
        self._kept[run.id] = kept
        self._of_subject.setdefault(run.subject, []).append(kept)
        if run.idempotency_key is not None:
            self._keys[run.subject, run.idempotency_key] = kept
        self._index(kept)

    def _index(self, kept: KeptRun) -> None:
        run = kept.run
        if run.status in OCCUPYING:
            self._occupying[run.subject] = run.id
        elif self._occupying.get(run.subject) == run.id:
            del self._occupying[run.subject]
        if run.runnable_at is None:
            self._runnable.pop(run.id, None)
        else:
            self._runnable[run.id] = kept

    def commit(self, changes: Sequence[RunChange], *, hook: StatusHook | None = None) -> frozenset[str]:
        """Write all changes or none; gives the ids of runs that are not the writer's any more. Raises Conflict."""
        with self._lock:
            fresh = [change for change in changes if self._is_fresh(change.run)]
            self._check(fresh)
            for change in fresh:
                self._tell(hook, change)
            for change in sorted(fresh, key=lambda change: change.run.status in OCCUPYING):
                kept = self._kept[change.run.id]
                self.outbox.note(kept.run, kept.new_events(change))
                kept.write(change)
                self._index(kept)
            return frozenset(change.run.id for change in changes) - {change.run.id for change in fresh}

    def _is_fresh(self, run: RunRecord) -> bool:
        kept = self._kept.get(run.id)
        return kept is not None and (kept.run.epoch, kept.run.owner) == (run.epoch, run.owner)

    def _check(self, changes: Sequence[RunChange]) -> None:
        """The rules of the data, on what would be there after the commit."""
        ending = {change.run.id for change in changes if change.run.status not in OCCUPYING}
        occupying: dict[str, str] = {}
        for change in changes:
            run, kept = change.run, self._kept[change.run.id]
            there = self._occupying.get(run.subject, run.id)
            occupying.setdefault(run.subject, run.id if there in ending else there)
            if run.status is RunStatus.ROLLED_BACK and kept.has_effect_after(change):
                hint = "Compensate or resolve every step that has an effect first."
                _refuse("A run can't be ROLLED_BACK over a step that has an effect.", "has_effects", run.id, hint)
            if run.status in OCCUPYING and occupying[run.subject] != run.id:
                _refuse("The subject already has another active run.", "already_active", run.id)
            if not kept.is_repeated(change) and any(event.seq <= kept.run.seq for event in change.events):
                _refuse("An event with this number is there already.", "refused_data", run.id)

    def _tell(self, hook: StatusHook | None, change: RunChange) -> None:
        stored, told = self._kept[change.run.id].run.status, change.status_change
        if hook is not None and told is not None and told.new is not stored:
            hook(replace(told, old=stored), None)

    def request(self, request: RequestRecord) -> None:
        """Record a verb and see to it that an engine looks at the run. Raises NotFound."""
        with self._lock:
            kept = self._get(request.run_id)
            kept.requests.setdefault(request.id, request)
            known = kept.run.runnable_at
            kept.run = replace(kept.run, runnable_at=request.at if known is None else min(known, request.at))
            self._index(kept)

    def shelve(self, run_id: str, epoch: int, why: ErrorInfo) -> None:
        """Set a run aside that can't be read."""
        with self._lock:
            kept = self._get(run_id)
            if kept.run.epoch == epoch:
                kept.run = replace(kept.run, owner=None, runnable_at=None, attention=why, version=kept.run.version + 1)
                self._index(kept)

    def requests(self, engine_id: str) -> list[RequestRecord]:
        """Recorded verbs for runs that this engine owns, oldest first."""
        with self._lock:
            owned = (kept for kept in self._runnable.values() if kept.run.owner == engine_id)
            return sorted((request for kept in owned for request in kept.waiting()), key=lambda request: request.at)

    def transaction(self, run_id: str, epoch: int) -> AbstractContextManager[TransactionalAttempt]:  # noqa: ARG002  the protocol's
        """Raises ProvisioningError: there are no transactions here."""
        hint = "Use SqlStore, or don't declare the step transactional."
        raise ProvisioningError("A store in memory has no transactions for steps.", code="no_sessions", hint=hint)

    # reading

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:  # noqa: ARG002  the protocol's
        """All of one run but its history. Raises NotFound."""
        with self._lock:
            return self._get(run_id).snapshot()

    def head(self, run_id: str) -> RunHead:
        """Raises NotFound."""
        with self._lock:
            return self._get(run_id).head()

    def heads(self, run_ids: Collection[str]) -> Mapping[str, RunHead]:
        """Those of these runs that exist."""
        with self._lock:
            return {run_id: self._kept[run_id].head() for run_id in run_ids if run_id in self._kept}

    def latest(self, subject: str, *, connection: Any = None) -> RunRecord | None:  # noqa: ARG002  the protocol's
        """The subject's newest run."""
        with self._lock:
            found = self._of_subject.get(subject)
            return found[-1].run if found else None

    def by_idempotency_key(self, subject: str, key: str, *, connection: Any = None) -> RunRecord | None:  # noqa: ARG002  the protocol's
        """The subject's run that was started with this key."""
        with self._lock:
            found = self._keys.get((subject, key))
            return found.run if found else None

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        """Newest first. Raises InvalidInput for a cursor that is not one."""
        before = None if cursor is None else number_in(cursor)
        with self._lock:
            found = list(islice(self._matching(where, before), limit + 1))
            more = cursor_after(found[limit - 1].number) if len(found) > limit else None
            return RunPageRecord(items=tuple(kept.run for kept in found[:limit]), next_cursor=more)

    def _matching(self, where: RunFilter, before: int | None) -> Iterator[KeptRun]:
        among = self._kept.values() if where.subject is None else self._of_subject.get(where.subject, [])
        for kept in reversed(among):
            fits = (before is None or kept.number < before) and where.plan in (None, kept.run.plan)
            if fits and (not where.status or kept.run.status in where.status):
                yield kept

    def counts(self) -> Mapping[str, int]:
        """How many runs there are of each status that occurs."""
        with self._lock:
            return dict(Counter(kept.run.status.value for kept in self._kept.values()))

    def standing(self, now: float) -> Standing:
        """How all runs stand."""
        with self._lock:
            waiting = [
                kept.run.runnable_at
                for kept in self._runnable.values()
                if kept.run.runnable_at is not None and kept.run.runnable_at <= now and self._is_free(kept.run, ())
            ]
            return Standing(
                counts=self.counts(),
                set_aside=sum(kept.run.attention is not None for kept in self._kept.values()),
                unclaimed=len(waiting),
                unclaimed_for=max(0.0, now - min(waiting, default=now)),
            )

    def events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        """In order, from number ``after + 1`` on."""
        with self._lock:
            kept = self._kept.get(run_id)
            return [] if kept is None else kept.events_after(after, limit)

    def durations(self, plan: str) -> Mapping[str, float]:
        """Mean seconds each step of the plan took in runs that succeeded."""
        with self._lock:
            return dict(self._durations.get(plan, {}))

    def add_durations(self, plan: str, seconds: Mapping[str, float]) -> None:
        """Take the durations of a succeeded run into the means."""
        with self._lock:
            means = self._durations.setdefault(plan, {})
            for step, took in seconds.items():
                means[step] = means[step] * (1 - _NEW_SHARE) + took * _NEW_SHARE if step in means else took

    def _get(self, run_id: str) -> KeptRun:
        kept = self._kept.get(run_id)
        if kept is None:
            raise NotFound(f"There is no run {run_id!r}.", code="run_not_found")
        return kept


def _refuse(message: str, code: str, run_id: str, hint: str = "") -> NoReturn:
    raise Conflict(message, code=code, hint=hint, run_id=run_id)
