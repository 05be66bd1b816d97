"""A store whose calls fail on demand: before they do anything, or after they have done it all (the answer is lost)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import (
    EngineRecord,
    ErrorInfo,
    EventRecord,
    RequestRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    Standing,
    UnreadableRun,
)
from provisioning_core.ports import NewRun, RunChange, RunHead, RunPageRecord, StatusHook, Store, TransactionalAttempt

_T = TypeVar("_T")
When = Literal["before", "after"]

BEGIN, COMMIT = "transaction", "transaction.commit"
"""A transactional step's transaction counts as two calls: its beginning, and its commit."""


@dataclass(slots=True)
class _Plan:
    """What is to fail: the call of this number (of this method, if one is named), and perhaps all calls from then on."""

    number: int
    method: str | None
    when: When
    error: Exception | None
    for_ever: bool
    is_met: bool = False


class FaultyStore:
    """Any store, with faults. Thread-safe; what it does not know itself it takes from the store inside."""

    def __init__(self, store: Store) -> None:
        self.inner = store
        self.calls: Counter[str] = Counter()
        """Calls so far, by method."""
        self.failed: Counter[str] = Counter()
        """Those of them that were made to fail."""
        self._lock = threading.Lock()
        self._plans: list[_Plan] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def fail(
        self,
        number: int = 1,
        *,
        method: str | None = None,
        when: When = "before",
        error: Exception | None = None,
        for_ever: bool = False,
    ) -> None:
        """Let the call of this number, counted from now on, fail; only calls of ``method`` count if it is named.

        ``before``: nothing of it is done. ``after``: all of it is done, and the answer is lost. ``for_ever``: from that call on every
        call of every method fails before it does anything, until :meth:`heal`. The error is StoreUnavailable (``is_unknown`` when the
        answer is lost) unless one is given.
        """
        with self._lock:
            known = self.calls.total() if method is None else self.calls[method]
            self._plans.append(_Plan(known + number, method, when, error, for_ever))

    def heal(self) -> None:
        """Nothing fails any more."""
        with self._lock:
            self._plans.clear()

    @property
    def is_away(self) -> bool:
        """Whether every call fails now."""
        with self._lock:
            return any(plan.is_met and plan.for_ever for plan in self._plans)

    def _call(self, method: str, work: Callable[[], _T]) -> _T:
        plan = self._planned(method)
        if plan is None:
            return work()
        if plan.when == "after":
            work()
        raise self._error(plan)

    def _planned(self, method: str) -> _Plan | None:
        with self._lock:
            self.calls[method] += 1
            for plan in self._plans:
                if self._is_meant(plan, method):
                    self.failed[method] += 1
                    first, plan.is_met = not plan.is_met, True
                    return plan if first else _Plan(0, None, "before", plan.error, for_ever=True)
        return None

    def _is_meant(self, plan: _Plan, method: str) -> bool:
        if plan.is_met:
            return plan.for_ever
        if plan.method is None:
            return self.calls.total() == plan.number
        return method == plan.method and self.calls[method] == plan.number

    @staticmethod
    def _error(plan: _Plan) -> Exception:
        if plan.error is not None:
            return plan.error
        if plan.when == "after":
            return StoreUnavailable("The answer was lost, as the test wanted it.", is_unknown=True)
        return StoreUnavailable("The store is away, as the test wanted it.")

    # the store's methods

    @property
    def has_sessions(self) -> bool:
        return self.inner.has_sessions

    @property
    def is_durable(self) -> bool:
        return self.inner.is_durable

    def prepare(self) -> None:
        self._call("prepare", self.inner.prepare)

    def close(self) -> None:
        self.inner.close()

    def register(self, engine: EngineRecord, ttl: float) -> None:
        self._call("register", lambda: self.inner.register(engine, ttl))

    def heartbeat(self, engine_id: str, ttl: float) -> bool:
        return self._call("heartbeat", lambda: self.inner.heartbeat(engine_id, ttl))

    def retire(self, engine_id: str) -> None:
        self._call("retire", lambda: self.inner.retire(engine_id))

    def engines(self) -> tuple[EngineRecord, ...]:
        return self._call("engines", self.inner.engines)

    def bury(self, engine_ids: Collection[str]) -> None:
        self._call("bury", lambda: self.inner.bury(engine_ids))

    def claim(
        self, engine_id: str, *, plans: Collection[str], now: float, limit: int, dead: Collection[str] = ()
    ) -> Sequence[RunSnapshot | UnreadableRun]:
        return self._call("claim", lambda: self.inner.claim(engine_id, plans=plans, now=now, limit=limit, dead=dead))

    def claim_run(self, engine_id: str, run_id: str, *, dead: Collection[str] = ()) -> RunSnapshot | UnreadableRun | None:
        return self._call("claim_run", lambda: self.inner.claim_run(engine_id, run_id, dead=dead))

    def shelve(self, run_id: str, epoch: int, why: ErrorInfo) -> None:
        self._call("shelve", lambda: self.inner.shelve(run_id, epoch, why))

    def owned(self, engine_id: str) -> list[str]:
        return self._call("owned", lambda: self.inner.owned(engine_id))

    def create(self, new: NewRun, *, hook: StatusHook | None = None, connection: Any = None) -> bool:
        return self._call("create", lambda: self.inner.create(new, hook=hook, connection=connection))

    def commit(self, changes: Sequence[RunChange], *, hook: StatusHook | None = None) -> frozenset[str]:
        return self._call("commit", lambda: self.inner.commit(changes, hook=hook))

    def request(self, request: RequestRecord) -> None:
        self._call("request", lambda: self.inner.request(request))

    def requests(self, engine_id: str) -> list[RequestRecord]:
        return self._call("requests", lambda: self.inner.requests(engine_id))

    def transaction(self, run_id: str, epoch: int) -> AbstractContextManager[TransactionalAttempt]:
        return self._transaction(run_id, epoch)

    @contextmanager
    def _transaction(self, run_id: str, epoch: int) -> Iterator[TransactionalAttempt]:
        self._call(BEGIN, lambda: None)
        plan = None
        with self.inner.transaction(run_id, epoch) as attempt:
            yield attempt
            plan = self._planned(COMMIT)
            if plan is not None and plan.when == "before":
                raise self._error(plan)
        if plan is not None:
            raise self._error(plan)

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:
        return self._call("load", lambda: self.inner.load(run_id, connection=connection))

    def head(self, run_id: str) -> RunHead:
        return self._call("head", lambda: self.inner.head(run_id))

    def heads(self, run_ids: Collection[str]) -> Mapping[str, RunHead]:
        return self._call("heads", lambda: self.inner.heads(run_ids))

    def latest(self, subject: str, *, connection: Any = None) -> RunRecord | None:
        return self._call("latest", lambda: self.inner.latest(subject, connection=connection))

    def by_idempotency_key(self, subject: str, key: str, *, connection: Any = None) -> RunRecord | None:
        return self._call("by_idempotency_key", lambda: self.inner.by_idempotency_key(subject, key, connection=connection))

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        return self._call("runs", lambda: self.inner.runs(where, limit=limit, cursor=cursor))

    def counts(self) -> Mapping[str, int]:
        return self._call("counts", self.inner.counts)

    def standing(self, now: float) -> Standing:
        return self._call("standing", lambda: self.inner.standing(now))

    def events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        return self._call("events", lambda: self.inner.events(run_id, after=after, limit=limit))

    def durations(self, plan: str) -> Mapping[str, float]:
        return self._call("durations", lambda: self.inner.durations(plan))

    def add_durations(self, plan: str, seconds: Mapping[str, float]) -> None:
        self._call("add_durations", lambda: self.inner.add_durations(plan, seconds))
