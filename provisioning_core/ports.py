"""The ports: what the engine needs from the world. Their docstrings are the contracts; ``testing`` ships a suite for the store's.

A store loads and saves; it never decides. All times that go in or out are seconds since the epoch (UTC).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from provisioning_core.model import (
    Completion,
    EngineRecord,
    ErrorInfo,
    Event,
    EventRecord,
    PlanGraph,
    RequestRecord,
    ResourceRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    RunStatus,
    RunSummary,
    Standing,
    StatusChange,
    StepRecord,
    StoreFacts,
    UnreadableRun,
)

StatusHook = Callable[[StatusChange, Any], None]
"""``hook(change, connection)``; the connection is the store's own (a SQLAlchemy ``Connection``), or None where it has none."""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> float:
        """Seconds since the epoch (UTC). May jump when somebody sets the clock."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment in the past; never goes back."""
        ...


class SystemClock:
    """The system's clocks."""

    def now(self) -> float:
        """Seconds since the epoch (UTC)."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment in the past."""
        return time.monotonic()


@runtime_checkable
class Observer(Protocol):
    """Is told what was recorded, after the commit, in a thread of its own. Whatever it raises is logged and goes no further."""

    def notify(self, events: Sequence[Event]) -> None: ...


@runtime_checkable
class RunObserver(Protocol):
    """An observer that is told more: each time with the run as that commit recorded it. It is not told by ``notify`` then."""

    def notify_run(self, run: RunSummary, events: Sequence[Event]) -> None:
        """The events of one run that one commit recorded, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """One execution of a step's function, as observers know it. Neither input nor output is in it."""

    run_id: str
    subject: str
    plan: str
    step: str
    direction: str
    """``forward``, ``compensate`` or ``probe``."""
    attempt: int
    token: int
    trace: str | None
    """The trace that its run belongs to, as :meth:`Tracer.starting` gave it."""


AttemptEnd = Callable[[str], None]
"""Told how the attempt ended, in one word: ``succeeded``, ``failed``, ``interrupted``, ``not_ready``, ``found`` or ``missed`` (a
probe), ``stale`` (the run has another owner by now), ``broken_off`` (by its engine)."""


@runtime_checkable
class AttemptObserver(Protocol):
    """An observer that also stands around attempts, for what must be there while the step's function runs.

    Called in the worker's own thread, or in the task of an async step; it must be quick. What it raises is logged and goes no
    further.
    """

    def attempt_begins(self, attempt: AttemptFacts) -> AttemptEnd:
        """Gives what is called in the same thread or task when the attempt has ended."""
        ...


@runtime_checkable
class Tracer(AttemptObserver, Protocol):
    """An attempt observer that hands a trace on: from who starts a run to the run's steps, wherever they are carried out."""

    def starting(self, run_id: str, plan: str) -> AbstractContextManager[str | None]:
        """Around the start of a run; gives the text that is kept with the run."""
        ...

    def abroad(self) -> Callable[[], AbstractContextManager[Any]] | None:
        """What stands around the step's function in a worker process, asked between an attempt's begin and end. It is pickled."""
        ...

    def engine_closed(self) -> None:
        """The engine closed; its runs that have not come to rest go on elsewhere."""
        ...


AnyObserver: TypeAlias = Observer | RunObserver | AttemptObserver


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be created, with its first events and its steps that are not plainly PENDING."""

    run: RunRecord
    graph: PlanGraph
    steps: tuple[StepRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """All that one commit changes of one run.

    ``run`` is the whole new record; it is written only if the stored epoch still equals ``run.epoch`` and the stored owner
    ``run.owner``. ``plan``, ``subject``, ``id``, ``created_at`` never change; ``graph`` is given when a changed plan was adopted.
    """

    run: RunRecord
    steps: tuple[StepRecord, ...] = ()
    events: tuple[EventRecord, ...] = ()
    resources: tuple[ResourceRecord, ...] = ()
    settled: tuple[str, ...] = ()
    """Steps whose completion row is settled by this commit and goes."""
    requests_done: tuple[str, ...] = ()
    """Ids of the recorded verbs that this commit carried out (or refused)."""
    removed_steps: tuple[str, ...] = ()
    status_change: StatusChange | None = None
    """``old`` is what the writer knows of. It equals ``new`` when the run went there and back, and the way there may be stored
    already; see :meth:`Store.commit` for what the hook is told."""
    graph: PlanGraph | None = None
    only_counters: bool = False
    """Of ``run`` nothing differs from what was committed last but ``version seq token progress takeovers``: a store need not write
    the rest."""
    release: bool = False
    """Give the run up in the same commit: the owner becomes None. If verbs are recorded for it that ``requests_done`` does not name,
    ``runnable_at`` must not become later than the run's latest of these, so that no verb is lost between two engines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPageRecord:
    """One page of runs, newest first."""

    items: tuple[RunRecord, ...] = ()
    next_cursor: str | None = None
    unreadable: tuple[UnreadableRun, ...] = ()
    """Runs of this page whose row can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """The little that a waiting caller asks for again and again."""

    status: str
    version: int
    seq: int = 0
    """Number of the latest event."""
    has_requests: bool = False
    """Whether verbs wait to be carried out."""
    is_set_aside: bool = False
    """Whether the engine stopped the run and asks for a person's attention."""

    @property
    def is_resting(self) -> bool:
        """Whether nothing moves, and nothing is about to."""
        return (not RunStatus(self.status).moves or self.is_set_aside) and not self.has_requests


@runtime_checkable
class Examinable(Protocol):
    """A store that can be asked how it is set up."""

    def facts(self) -> StoreFacts:
        """What ``provision doctor`` wants to know. Changes nothing. Raises StoreUnavailable, SchemaMismatch."""
        ...


class TransactionalAttempt(Protocol):
    """One transaction for one attempt of a transactional step."""

    @property
    def session(self) -> Any:
        """A SQLAlchemy ``Session`` in that transaction."""
        ...

    def complete(self, completion: Completion) -> None:
        """Note the output in the same transaction. Raises LeaseLost when the run's epoch moved on."""
        ...

    def record(self, resources: Sequence[ResourceRecord]) -> None:
        """Enter resources into the ledger in the same transaction."""
        ...


class Store(Protocol):
    """The single source of truth.

    Every method may raise ``StoreUnavailable`` and has then changed nothing, or (commit unknown) all it was asked to.
    All methods may be called from any thread.
    """

    @property
    def has_sessions(self) -> bool:
        """Whether :meth:`transaction` works, that is, whether plans may have transactional steps."""
        ...

    @property
    def is_durable(self) -> bool:
        """Whether what it holds outlives the process."""
        ...

    def prepare(self) -> None:
        """Make a new store ready, or raise SchemaMismatch. Called once when an engine opens; harmless when repeated."""
        ...

    def close(self) -> None:
        """Let go of connections. Harmless when repeated; a store that is used again connects again."""
        ...

    # engines and their leases

    def register(self, engine: EngineRecord, ttl: float) -> None:
        """Write the engine's row, alive for ``ttl`` seconds by the store's clock."""
        ...

    def heartbeat(self, engine_id: str, ttl: float) -> bool:
        """Renew it for ``ttl`` seconds. False when the row is gone or has expired: the engine must register as a new one."""
        ...

    def retire(self, engine_id: str) -> None:
        """The engine ended cleanly: remove its row and let go of all its runs (owner becomes None, they stay runnable)."""
        ...

    def engines(self) -> tuple[EngineRecord, ...]:
        """All rows, expired ones too."""
        ...

    def bury(self, engine_ids: Collection[str]) -> None:
        """Remove the rows of those of these engines whose time has run out: nothing that they began is alive any more.

        An engine without a row has ended. What it still owns can be claimed, and counts as taken over.
        """
        ...

    def claim(
        self, engine_id: str, *, plans: Collection[str], now: float, limit: int, dead: Collection[str] = ()
    ) -> Sequence[RunSnapshot | UnreadableRun]:
        """Take runs of these plans whose ``runnable_at`` has come (≤ now) and that have no living owner.

        An owner lives while its row exists, has not expired by the store's clock and its id is not in ``dead``.
        Each taken run gets ``owner=engine_id`` and ``epoch + 1``; ``takeovers + 1`` if it had an owner. Oldest ``runnable_at`` first.
        Two engines never get the same run. One that can't be read is taken too, and does not stop the others.
        """
        ...

    def claim_run(self, engine_id: str, run_id: str, *, dead: Collection[str] = ()) -> RunSnapshot | UnreadableRun | None:
        """Take this run whatever its ``runnable_at``, by the same rule; None when it has a living owner.

        A run that ``engine_id`` already owns is given again with its epoch raised. Raises NotFound.
        """
        ...

    def owned(self, engine_id: str) -> list[str]:
        """Ids of the runs that this engine owns."""
        ...

    # writing

    def create(self, new: NewRun, *, hook: StatusHook | None = None, connection: Any = None) -> bool:
        """Write a new run, its graph, first events and steps in one transaction, and call the hook in it.

        False, and nothing written, when the subject has a run that occupies it (``OCCUPYING``) or the idempotency key is taken
        for this subject. With ``connection`` it joins the caller's transaction and leaves the commit to the caller; a
        refusal leaves that transaction usable.
        """
        ...

    def commit(self, changes: Sequence[RunChange], *, hook: StatusHook | None = None) -> frozenset[str]:
        """Write all changes in one transaction, and call the hook for each status change in it.

        Changes of runs whose epoch or owner is not the change's are left out whole; their run ids are returned. Raises
        Conflict (with ``run_id``), and has written nothing, when a change would break a rule of the data: a second occupying run of
        a subject, or ``ROLLED_BACK`` over a step that has an effect. What the hook raises is raised, and nothing is written.

        A change whose outcome was unknown may come again, and may bring what happened since: what is there already is not written
        twice, and the hook is told how the *stored* status changes, if it does.
        """
        ...

    def shelve(self, run_id: str, epoch: int, why: ErrorInfo) -> None:
        """Set a run aside that can't be read: note why (``attention``), let go of it, and let no engine claim it by its time.

        Nothing is done if its epoch has moved on.
        """
        ...

    def request(self, request: RequestRecord) -> None:
        """Record a verb and set the run's ``runnable_at`` to no later than ``request.at``, in one transaction. Raises NotFound."""
        ...

    def requests(self, engine_id: str) -> list[RequestRecord]:
        """Recorded verbs for runs that this engine owns, oldest first."""
        ...

    def transaction(self, run_id: str, epoch: int) -> AbstractContextManager[TransactionalAttempt]:
        """One transaction for a transactional step: committed when the block ends, rolled back when it raises."""
        ...

    # reading

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:
        """Raises NotFound."""
        ...

    def head(self, run_id: str) -> RunHead:
        """Raises NotFound."""
        ...

    def heads(self, run_ids: Collection[str]) -> Mapping[str, RunHead]:
        """Those of many runs, read at once, by id; runs that don't exist are left out."""
        ...

    def latest(self, subject: str, *, connection: Any = None) -> RunRecord | None:
        """The subject's newest run."""
        ...

    def by_idempotency_key(self, subject: str, key: str, *, connection: Any = None) -> RunRecord | None: ...

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        """Newest first. Raises InvalidInput for a cursor that is not one."""
        ...

    def counts(self) -> Mapping[str, int]:
        """How many runs there are of each status."""
        ...

    def standing(self, now: float) -> Standing:
        """How all runs stand; ``now`` is compared with their ``runnable_at``. Owners live or not as for :meth:`claim`."""
        ...

    def events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        """In order, from number ``after + 1`` on."""
        ...

    def durations(self, plan: str) -> Mapping[str, float]:
        """Mean seconds each step of the plan took in runs that succeeded."""
        ...

    def add_durations(self, plan: str, seconds: Mapping[str, float]) -> None:
        """Take the durations of a succeeded run into the means (an exponentially weighted one, weight 0.2)."""
        ...
