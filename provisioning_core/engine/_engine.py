"""The engine: what a backend, the HTTP face and the CLI call. It checks and translates; the loop does.

One short method for each verb and each read of the public face, and its docstring: that is what makes the file long. None decides.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from provisioning_core.engine._adopting import differences
from provisioning_core.engine._arguments import Arguments, step_name, step_names
from provisioning_core.engine._audience import Audience
from provisioning_core.engine._committer import HookFailed, guarded_hook
from provisioning_core.engine._diagnosis import diagnose
from provisioning_core.engine._handle import Deadline, Run, Waiters
from provisioning_core.engine._past import PastDurations
from provisioning_core.engine._running import RunningEngine
from provisioning_core.engine._settings import Settings
from provisioning_core.engine._starting import StartRequest, already, check_key, check_labels, check_subject, check_teller, new_run
from provisioning_core.engine._verbs import check
from provisioning_core.engine._verifying import Verified, verify_all, verify_runs
from provisioning_core.engine._views import event_of, step_statuses, summary_of, view_of
from provisioning_core.engine._watch import Watch
from provisioning_core.errors import Conflict, InvalidInput, NotFound, PlanChanged, ProvisioningError, StoreUnavailable
from provisioning_core.machine import Violation
from provisioning_core.model import (
    EngineStats,
    Event,
    Finding,
    Plan,
    PlanGraph,
    Preview,
    RequestRecord,
    RunFilter,
    RunPage,
    RunRecord,
    RunSnapshot,
    RunView,
    Standing,
    Step,
    Timeline,
    timeline_of,
)
from provisioning_core.outbox import Postman
from provisioning_core.ports import AnyObserver, Clock, RunHead, StatusHook, Store

_LONGEST_PAGE = 1000
_FORKED = "This engine was opened before the process forked: its threads and connections are the parent's."
_AFTER_FORK = "Make or open the engine in the process that uses it (gunicorn: without --preload, or in post_fork)."
_RACES = 5


class Engine:
    """Drives runs of its plans, and answers about all runs of its store.

    ``store``: where everything is recorded. ``plans``: what can be run. ``executor``: where steps run (a
    :class:`concurrent.futures.Executor`; its own threads by default). ``max_workers``: attempts at once, async ones included.
    ``limits``: attempts at once under each named limit. ``secrets_key``: 32 bytes that encrypt secrets at rest. ``lease``: seconds
    after which the runs of an engine that does not answer are taken over; it is renewed every ``heartbeat`` seconds (a third of it).
    ``quarantine``: seconds that steps which such an engine had begun on another host are left alone after that, since they may still
    be under way there (as long as the lease, by default). ``on_status``: called in the transaction that commits a run's change of
    status, with its connection. ``on_lease_lost``: ``stop`` what may be another engine's now, or ``exit`` the process.
    ``observers``: told after each commit. ``webhooks``: tells other systems (:class:`provisioning_core.observers.webhooks.Webhooks`).
    ``work=False``: only record and read; engines elsewhere do the work. ``poll``: seconds
    between looks at the store.

    It opens at first use. Use it as a context manager, or call :meth:`close`. Verbs raise Conflict, NotFound, InvalidInput,
    PlanChanged or StoreUnavailable; what they did is durable when they return, and none of them waits for a step.
    """

    def __init__(
        self,
        *,
        store: Store,
        plans: Iterable[Plan],
        executor: Executor | None = None,
        max_workers: int = 16,
        limits: Mapping[str, int] | None = None,
        secrets_key: bytes | None = None,
        lease: float = 30.0,
        heartbeat: float | None = None,
        quarantine: float | None = None,
        on_status: StatusHook | None = None,
        on_lease_lost: Literal["stop", "exit"] = "stop",
        observers: Collection[AnyObserver] = (),
        webhooks: Postman | None = None,
        work: bool = True,
        poll: float = 0.5,
        clock: Clock | None = None,
    ) -> None:
        self._settings = Settings(
            store=store,
            plans=tuple(plans),
            executor=executor,
            max_workers=max_workers,
            limits=dict(limits or {}),
            secrets_key=secrets_key,
            lease=lease,
            heartbeat=heartbeat,
            quarantine=quarantine,
            on_status=on_status,
            on_lease_lost=on_lease_lost,
            observers=tuple(observers),
            work=work,
            poll=poll,
            clock=clock,
        )
        self._plans = self._settings.by_name()
        self._vault = self._settings.vault()
        self._clock = self._settings.clock_or_system()
        self._arguments = Arguments(self._plans, self._vault)
        self._waiters = Waiters()
        self._past = PastDurations(store, self._clock)
        self._audience = Audience(self._settings.observers)
        self._webhooks = webhooks
        if webhooks is not None:
            webhooks.attach(store, self._vault, self._clock)
            self._audience.add(webhooks)
        self._lock = threading.Lock()
        self._is_prepared = False
        self._is_closed = False
        self._process = 0
        """Whose connections and threads these are, once it is open."""
        self._asked: set[str] | None = None
        """Ids of the runs that it works on; None: all that nobody owns."""
        self._running: RunningEngine | None = None

    # opening and closing

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def open(self, *, takes: Literal["all", "asked"] = "all") -> None:
        """Make the store ready and, if this engine works, begin to work. Done by itself at first use.

        ``takes="asked"``: work on those runs only that it is asked about, by a verb or by :meth:`run`; others stay with whoever has
        them. For a program that is there for one run, and gone soon. An engine that works already goes on as it was opened.
        """
        with self._lock:
            self._is_closed = False
            if self._running is None:
                self._asked = set() if takes == "asked" else None
            self._begin()

    def _ready(self) -> None:
        """Open at first use. An engine that was closed reads and records, but does not begin to work again by itself."""
        with self._lock:
            self._begin()

    def _begin(self) -> None:
        if not self._is_prepared:
            self.store.prepare()
            self._is_prepared, self._process = True, os.getpid()
        elif self._process != os.getpid():
            raise ProvisioningError(_FORKED, code="forked", hint=_AFTER_FORK)
        if self._settings.work and self._running is None and not self._is_closed:
            self._running = RunningEngine(self._settings, self._vault, self._clock, self._waiters, self._audience, self._asked)
            if self._webhooks is not None:
                self._webhooks.begin()

    def close(self, timeout: float = 10.0) -> None:
        """Start nothing more, give running steps ``timeout`` seconds to end, then ask them to; let go of the runs and of the store.

        A run that is not finished goes on when an engine is opened on the store again. A closed engine can still be asked and told,
        as one with ``work=False``; :meth:`open` lets it work again.
        """
        with self._lock:
            if self._is_prepared and self._process != os.getpid():
                return  # a child of the process that opened it: nothing of it is the child's to close
            running, self._running = self._running, None
            was_open, self._is_prepared, self._is_closed = self._is_prepared, False, True
        if running is not None:
            running.close(timeout)
            if self._webhooks is not None:
                self._webhooks.close(timeout)
        if was_open and (running is None or not running.is_anything_alive):
            self.store.close()

    @property
    def store(self) -> Store:
        """The store handed in."""
        return self._settings.store

    @property
    def plans(self) -> Mapping[str, Plan]:
        """The plans that can be run, by name."""
        return MappingProxyType(self._plans)

    @property
    def webhooks(self) -> Postman | None:
        """The webhooks handed in: endpoints are managed there."""
        return self._webhooks

    @property
    def is_working(self) -> bool:
        """Whether this engine carries out steps (``work=True``) and is open."""
        return self._running is not None

    @property
    def observers(self) -> tuple[AnyObserver, ...]:
        """Who is told what was recorded."""
        return self._audience.observers

    def add_observer(self, observer: AnyObserver) -> None:
        """Tell this one, too, from now on. Harmless when it is told already."""
        self._audience.add(observer)

    # starting

    def start(
        self,
        plan: str | Plan,
        *,
        subject: str,
        input: Any = None,  # noqa: A002  the contract's word
        again: bool = False,
        idempotency_key: str | None = None,
        labels: Mapping[str, str] | None = None,
        connection: Any = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Provision a subject. Durable when it returns; with ``connection``, when the caller's transaction commits.

        The same plan and input while a run is active, or the idempotency key that a run was created with, gives back that run.
        Raises InvalidInput, NotFound (no such plan), Conflict (something else is there; ``again=True`` provisions a provisioned
        subject anew).
        """
        self._ready()
        check_teller(actor, reason)
        chosen = self.plan(plan if isinstance(plan, str) else plan.name)
        run_id = uuid.uuid4().hex
        given = self._arguments.input(chosen, run_id, input)
        wanted = StartRequest(
            run_id=run_id,
            plan=chosen,
            subject=check_subject(subject),
            input=given.text,
            digest=given.digest,
            skipped=given.skipped,
            again=again,
            idempotency_key=check_key(idempotency_key),
            labels=check_labels(labels),
            actor=actor,
            reason=reason,
            connection=connection,
        )
        for _ in range(_RACES):
            known = already(self.store, wanted, self._plans, self._vault)
            run = Run(self, known.id, known.subject) if known is not None else self._create(wanted)
            if run is not None:
                return self._asked_about(run)
        raise Conflict(f"{subject!r} is being started by several callers at once.", code="already_active", hint="Ask for its status.")

    def _create(self, wanted: StartRequest) -> Run | None:
        """None when somebody else was quicker."""
        with self._audience.starting(wanted.run_id, wanted.plan.name) as trace:
            return self._create_traced(wanted, trace)

    def _create_traced(self, wanted: StartRequest, trace: str | None) -> Run | None:
        running = self._running if wanted.connection is None else None
        owner = running.id if running is not None else None
        durations = self._past.of(wanted.plan.name)
        new = new_run(wanted, at=self._clock.now(), owner=owner, durations=durations, trace=trace)
        hook = self._settings.on_status
        try:
            created = self.store.create(new, hook=None if hook is None else guarded_hook(hook), connection=wanted.connection)
        except HookFailed as failed:
            raise failed.error from None
        except StoreUnavailable as error:
            created = self._was_created(run_id=new.run.id, error=error)
        if not created:
            return None
        if running is not None:
            running.give(RunSnapshot(run=new.run, graph=new.graph, steps={step.name: step for step in new.steps}))
        return Run(self, new.run.id, new.run.subject)

    def _was_created(self, *, run_id: str, error: StoreUnavailable) -> bool:
        """The answer to the commit was lost: look, instead of asking again. Raises StoreUnavailable when it can't be told."""
        if not error.is_unknown:
            raise error
        try:
            self.store.head(run_id)
        except (NotFound, StoreUnavailable):
            if self._running is not None:
                self._running.be_unsure()
            hint = "Start it again with the same input, or the same idempotency key: that gives back the run, if there is one."
            raise StoreUnavailable("The store did not say whether the run was recorded.", hint=hint, is_unknown=True) from error
        return True

    # the verbs

    def retry(
        self,
        subject: str | None = None,
        steps: str | Step[Any] | Iterable[str | Step[Any]] | None = None,
        input: Any = None,  # noqa: A002  the contract's word
        *,
        run_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Try again what failed; or the named steps and all that depend on them, compensated first where they can be.

        From ROLLED_BACK it provisions anew, from ROLLBACK_FAILED it runs the failed compensations again. ``input`` corrects
        the input.
        """
        run = self._find(subject, run_id)
        arguments: dict[str, Any] = {"steps": None if steps is None else step_names(steps)}
        if input is not None:
            given = self._arguments.input(self._arguments.plan_of(run), run.id, input)
            arguments |= {"input": given.text, "digest": given.digest}
        return self._request("retry", run, arguments, actor, reason)

    def continue_(
        self, subject: str | None = None, *, run_id: str | None = None, actor: str | None = None, reason: str | None = None
    ) -> Run:
        """Take up a run that stopped for any reason and do only what is not done. Refused once a rollback has begun."""
        return self._request("continue", self._find(subject, run_id), {}, actor, reason)

    def skip(
        self,
        subject: str | None = None,
        step: str | Step[Any] | None = None,
        *,
        output: Any = None,
        run_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """A failed step was done by hand: mark it as done, with this output."""
        run, arguments = self._find(subject, run_id), dict[str, Any](step=step_name(step))
        with self._refusing_first("skip", run, arguments):
            arguments |= {"output": self._arguments.output(run, step_name(step), output)}
        return self._request("skip", run, arguments, actor, reason)

    def resolve(
        self,
        subject: str | None = None,
        step: str | Step[Any] | None = None,
        *,
        as_: str,
        output: Any = None,
        run_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Settle a step IN_DOUBT (``succeeded``, ``failed``, ``compensated``) or COMPENSATION_FAILED (``compensated``)."""
        run = self._find(subject, run_id)
        arguments: dict[str, Any] = {"step": step_name(step), "as": as_}
        if as_ == "succeeded":
            with self._refusing_first("resolve", run, arguments):
                arguments["output"] = self._arguments.output(run, step_name(step), output)
        return self._request("resolve", run, arguments, actor, reason)

    def rollback(
        self,
        subject: str | None = None,
        *,
        to: str | Step[Any] | None = None,
        force: bool = False,
        run_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Undo what was done, in reverse order; down to the step ``to``, which stays. ``force`` crosses irreversible steps."""
        arguments = {"to": None if to is None else step_name(to), "force": force}
        return self._request("rollback", self._find(subject, run_id), arguments, actor, reason)

    def cancel(
        self,
        subject: str | None = None,
        *,
        rollback: bool = False,
        run_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Start nothing new, end when running steps have ended; then undo, if ``rollback``."""
        return self._request("cancel", self._find(subject, run_id), {"rollback": rollback}, actor, reason)

    def pause(
        self, subject: str | None = None, *, run_id: str | None = None, actor: str | None = None, reason: str | None = None
    ) -> Run:
        """Start nothing new and rest when running steps have ended; `continue_` goes on."""
        return self._request("pause", self._find(subject, run_id), {}, actor, reason)

    def signal(
        self,
        subject: str | None = None,
        step: str | Step[Any] | None = None,
        payload: Any = None,
        *,
        run_id: str | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Run:
        """Open a gate; the payload becomes its output. A signal that comes early is kept."""
        run, arguments = self._find(subject, run_id), dict[str, Any](step=step_name(step))
        with self._refusing_first("signal", run, arguments):
            arguments |= {"payload": self._arguments.payload(run, step_name(step), payload)}
        return self._request("signal", run, arguments, actor, reason)

    def deprovision(
        self, subject: str | None = None, *, run_id: str | None = None, actor: str | None = None, reason: str | None = None
    ) -> Run:
        """Undo a run that succeeded: the tenant's deletion, irreversible steps included as far as they can be."""
        return self._request("deprovision", self._find(subject, run_id), {}, actor, reason)

    def adopt_plan(
        self, subject: str | None = None, *, run_id: str | None = None, actor: str | None = None, reason: str | None = None
    ) -> Run:
        """Let a run go on by the plan that the code has now, whatever changed."""
        return self._request("adopt_plan", self._find(subject, run_id), {}, actor, reason)

    @contextmanager
    def _refusing_first(self, verb: str, run: RunRecord, arguments: Mapping[str, Any]) -> Iterator[None]:
        """What came with a verb does not matter where the verb is refused whatever came with it: then that is said."""
        try:
            yield
        except InvalidInput:
            check(self.store.load(run.id), self._new_request(verb, run, arguments), self._clock.now())
            raise

    def _new_request(self, verb: str, run: RunRecord, arguments: Mapping[str, Any], **teller: str | None) -> RequestRecord:
        return RequestRecord(id=uuid.uuid4().hex, run_id=run.id, verb=verb, arguments=arguments, at=self._clock.now(), **teller)

    def _request(self, verb: str, run: RunRecord, arguments: Mapping[str, Any], actor: str | None, reason: str | None) -> Run:
        check_teller(actor, reason)
        plan = self._arguments.plan_of(run)
        request = self._new_request(verb, run, arguments, actor=actor, reason=reason)
        running = self._running
        if running is None or not running.carries_out(request):
            self._record(request, plan)
        return self._asked_about(Run(self, run.id, run.subject))

    def _asked_about(self, run: Run) -> Run:
        if self._asked is not None and run.id not in self._asked:
            self._asked.add(run.id)
            if self._running is not None:
                self._running.nudge()
        return run

    def _record(self, request: RequestRecord, plan: Plan) -> None:
        """The run is another engine's: check as well as can be, and leave the verb for its owner."""
        snapshot = self.store.load(request.run_id)
        found = differences(plan, snapshot, self._vault)
        if request.verb != "adopt_plan" and any(difference.blocking for difference in found):
            raise PlanChanged(found, run_id=request.run_id, plan=plan.name)
        check(snapshot, request, request.at)
        self.store.request(request)
        if self._running is not None:
            self._running.nudge()

    # reading

    def plan(self, name: str) -> Plan:
        """A plan by its name. Raises NotFound."""
        return self._arguments.plan(name)

    def preview(self, plan: str | Plan, input: Any = None) -> Preview:  # noqa: A002  the contract's word
        """What a run would do, without running anything; durations from past runs."""
        self._ready()
        chosen = self.plan(plan if isinstance(plan, str) else plan.name)
        return chosen.preview(input, durations=self.store.durations(chosen.name))

    def run(self, subject: str | None = None, *, run_id: str | None = None) -> Run:
        """A handle on the subject's latest run, or on a run by its id. Raises NotFound."""
        record = self._find(subject, run_id)
        return self._asked_about(Run(self, record.id, record.subject))

    def status(self, subject: str | None = None, *, run_id: str | None = None) -> RunView:
        """The subject's latest run, or a run by its id, as it is recorded. Raises NotFound."""
        snapshot = self._snapshot(subject, run_id)
        return view_of(snapshot, self._plans.get(snapshot.run.plan), self._vault)

    def graph(self, subject: str | None = None, *, run_id: str | None = None) -> PlanGraph:
        """The graph that the subject's latest run keeps, or a run by its id: its steps as they were declared. Raises NotFound."""
        return self._snapshot(subject, run_id).graph

    def wait(self, subject: str | None = None, *, run_id: str | None = None, timeout: float | None = None) -> RunView:
        """The view when the run rests: any status in which nothing moves. Raises TimeoutError after ``timeout`` seconds."""
        run_id = self._opened(run_id) if run_id is not None else self._find(subject, None).id
        deadline = Deadline(timeout)
        with self._waiters.watching(run_id, for_rest=True) as changed:
            is_told = False
            while (view := self._at_rest(run_id, is_told)) is None:
                if deadline.is_over:
                    raise TimeoutError(f"run {run_id} is still {self.store.head(run_id).status} after {timeout:g} s; it goes on.")
                is_told = changed.wait(deadline.within(self._settings.poll))
                changed.clear()
            return view

    def _at_rest(self, run_id: str, is_told: bool) -> RunView | None:
        """The view, if the run rests. Where its commit told so it is read at once; else its head is asked first, it may be large."""
        if not is_told and not self.store.head(run_id).is_resting:
            return None
        view = self.status(run_id=run_id)
        return view if view.is_resting else None

    def wait_change(self, subject: str | None = None, *, run_id: str | None = None, after: int, timeout: float) -> RunView:
        """The view as soon as its version is greater than ``after``; after ``timeout`` seconds as it is then."""
        run_id = self._opened(run_id) if run_id is not None else self._find(subject, None).id
        deadline = Deadline(timeout)
        with self._waiters.watching(run_id) as changed:
            while True:
                changed.clear()
                if self.store.head(run_id).version > after or deadline.is_over:
                    return self.status(run_id=run_id)
                changed.wait(deadline.within(self._settings.poll))

    def watch(self) -> Watch:
        """Many runs watched at once, for a face that tells many callers of them: see :class:`Watch`."""
        return Watch(self.store, self._waiters, poll=self._settings.poll, ready=self._ready)

    def heads(self, run_ids: Collection[str]) -> Mapping[str, RunHead]:
        """The little that tells whether to look closer, of many runs at once; runs that don't exist are left out."""
        self._ready()
        return self.store.heads(run_ids)

    def runs(
        self,
        *,
        status: str | Collection[str] | None = None,
        plan: str | None = None,
        subject: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> RunPage:
        """One page of runs, newest first; at most 1,000. Raises InvalidInput for a cursor that is none."""
        self._ready()
        wanted = (status,) if isinstance(status, str) else tuple(status or ())
        where = RunFilter(status=tuple(str(each).upper() for each in wanted), plan=plan, subject=subject)
        page = self.store.runs(where, limit=min(max(limit, 1), _LONGEST_PAGE), cursor=cursor)
        return RunPage(items=tuple(summary_of(run) for run in page.items), next_cursor=page.next_cursor)

    def events(self, subject: str | None = None, *, run_id: str | None = None, after: int = 0) -> Iterator[Event]:
        """The run's history in order, from number ``after + 1`` on, as far as it is recorded now."""
        run_id = self._opened(run_id) if run_id is not None else self._find(subject, None).id
        return self._all_events(run_id, after)

    def _all_events(self, run_id: str, after: int) -> Iterator[Event]:
        while page := self.store.events(run_id, after=after, limit=_LONGEST_PAGE):
            yield from map(event_of, page)
            after = page[-1].seq

    def events_page(self, subject: str | None = None, *, run_id: str | None = None, after: int = 0, limit: int = 100) -> list[Event]:
        """One page of the run's history. Empty beyond its end, and for a ``run_id`` that does not exist."""
        run_id = self._opened(run_id) if run_id is not None else self._find(subject, None).id
        return [event_of(event) for event in self.store.events(run_id, after=after, limit=min(max(limit, 1), _LONGEST_PAGE))]

    def counts(self) -> Mapping[str, int]:
        """How many runs there are of each status."""
        self._ready()
        return self.store.counts()

    def stats(self) -> EngineStats:
        """How this engine stands: queues, commits, lease. Asks nothing of the store and holds nothing up."""
        running = self._running
        workers, lease = self._settings.max_workers, self._settings.lease
        return running.stats() if running is not None else EngineStats(is_working=False, workers=workers, lease=lease)

    def standing(self) -> Standing:
        """How all runs of the store stand; counted by the store each time."""
        self._ready()
        return self.store.standing(self._clock.now())

    def diagnose(self) -> tuple[Finding, ...]:
        """What is right and wrong with this set-up: store, host, settings, and whether they fit. Changes nothing."""
        return tuple(diagnose(self._settings, self._vault, self._webhooks))

    def check(self) -> None:
        """Raise StoreUnavailable or SchemaMismatch when the store can't be worked with."""
        self._ready()
        self.store.counts()

    def verify(self, subject: str | None = None, *, run_id: str | None = None, limit: int = 1000) -> tuple[Violation, ...]:
        """What does not hold of what is recorded, though it must: of one run, of a subject's runs, or of all; ``limit`` at the most.

        Empty when all is well. Changes nothing; reads run after run with its whole history. Raises NotFound.
        """
        found = (violation for verified in self.verify_each(subject, run_id=run_id) for violation in verified.violations)
        return tuple(islice(found, limit))

    def verify_each(self, subject: str | None = None, *, run_id: str | None = None) -> Iterator[Verified]:
        """The same, run by run, newest first, as they are read."""
        if run_id is not None:
            return verify_runs(self.store, [self._opened(run_id)])
        self._ready()
        return verify_all(self.store, subject)

    def drawing(
        self,
        subject: str | None = None,
        *,
        run_id: str | None = None,
        format: Literal["mermaid", "dot", "svg", "text"] = "mermaid",  # noqa: A002  the field's own word
    ) -> str:
        """The run's graph with where each step stands."""
        snapshot = self._snapshot(subject, run_id)
        return self._arguments.draw(snapshot.graph, step_statuses(snapshot), format)

    def timeline(self, subject: str | None = None, *, run_id: str | None = None) -> Timeline:
        """When what happened: a bar for each attempt, wait and compensation; it draws itself, too. Raises NotFound."""
        run = self._find(subject, run_id)
        found = timeline_of(self._all_events(run.id, 0))
        return replace(found, run_id=run.id, subject=run.subject, plan=run.plan, plan_version=run.plan_version)

    def _opened(self, run_id: str) -> str:
        self._ready()
        return run_id

    def _snapshot(self, subject: str | None, run_id: str | None) -> RunSnapshot:
        return self.store.load(self._find(subject, None).id if run_id is None else self._opened(run_id))

    def _find(self, subject: str | None, run_id: str | None) -> RunRecord:
        self._ready()
        if run_id is not None:
            return self.store.load(run_id).run
        if subject is None:
            raise TypeError("name a subject, or a run by run_id=")
        latest = self.store.latest(subject)
        if latest is None:
            raise NotFound(f"{subject!r} has no run.", code="run_not_found", hint="`start` provisions it.")
        return latest
