"""The scheduler loop: one thread for all runs of the process.

Theory of operation. Each turn drains what has happened, lets the machines decide, writes all that changed of all runs in one
transaction, and only then launches: *commit before launch*, and *finish and start share a commit*. It commits what is there and does
not wait for more, so batches come from load and never from a timer. While the store is away everything stays in memory: results
are kept, nothing is launched, and the commit is tried again.

A run is in memory only while it moves. When it comes to rest it is released in the same commit that says so; a verb, a timer or
another engine takes it up again from the store.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, assert_never

from provisioning_core.engine import _wording
from provisioning_core.engine._adopting import adopt
from provisioning_core.engine._attempts import Checkpointed, Ended, Key, Progressed, Recorded, Stale
from provisioning_core.engine._capacity import Capacity
from provisioning_core.engine._committer import Committed, Committer
from provisioning_core.engine._inbox import Inbox, Message, Nudged, RunGiven, VerbPosted, refuse
from provisioning_core.engine._live import LiveRun
from provisioning_core.engine._notifier import Notifier
from provisioning_core.engine._reports import report, take_up
from provisioning_core.engine._roster import Roster
from provisioning_core.engine._staging import attempt_for
from provisioning_core.engine._verbs import carry_out
from provisioning_core.engine._workshop import Workshop
from provisioning_core.errors import LeaseLost, PlanChanged, ProvisioningError, StoreUnavailable
from provisioning_core.machine import CapacityOffered, Launch, PauseRequested, TimePassed
from provisioning_core.model import EngineRecord, Plan, RequestRecord, ResourceRecord, RunSnapshot, RunStatus, Vault
from provisioning_core.ports import Clock, Store

_log = logging.getLogger("provisioning_core.engine")

_CLAIM_AT_ONCE = 200
_HOOK_WAIT = 1.0
"""Seconds until a commit whose hook failed is tried again."""
_KILLS = "Its engine died {} times in a row while it worked on this run."
_MOST_TAKEOVERS = 5
"""A run whose engine died so many times in a row is set aside."""


class Loop:
    """Drives all runs that this engine owns."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        plans: Mapping[str, Plan],
        vault: Vault | None,
        identity: EngineRecord,
        inbox: Inbox,
        workshop: Workshop,
        capacity: Capacity,
        committer: Committer,
        notifier: Notifier,
        is_trusted: Callable[[], bool],
        dead_engines: Callable[[], frozenset[str]],
        poll: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._plans = plans
        self._vault = vault
        self._me = identity
        self._inbox = inbox
        self._workshop = workshop
        self._capacity = capacity
        self._committer = committer
        self._notifier = notifier
        self._is_trusted = is_trusted
        self._dead_engines = dead_engines
        self._poll = poll
        self._roster = Roster()
        self._waiting: list[Recorded | Checkpointed | VerbPosted] = []
        self._poll_at = 0.0
        self._thread = threading.Thread(target=self._serve, name="provisioning-loop", daemon=True)
        self._closing = threading.Event()
        self._grace_until = 0.0

    # from outside

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Put a message in; from the loop's own thread (an inline step) a ledger entry is taken, and committed, at once."""
        if self.is_current_thread and isinstance(message, Recorded | Checkpointed):
            self._take(message)
            self._commit()
        else:
            self._inbox.put(message)

    def close(self, timeout: float) -> bool:
        """Launch nothing more, let what runs end for ``timeout`` seconds, and let the runs go. True when nothing is left alive."""
        self._grace_until = time.monotonic() + timeout
        self._closing.set()
        self._inbox.put(Nudged())
        self._thread.join()
        return self._workshop.in_flight == 0

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller runs on the loop's own thread (an inline step)."""
        return threading.current_thread() is self._thread

    @property
    def runs_in_memory(self) -> int:
        """Runs that move, or were moving a moment ago."""
        return len(self._roster)

    # the loop

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self._turn(self._nap())
            except Exception:  # noqa: BLE001  one bad turn must not end the loop
                _log.exception("a turn of the loop broke; it goes on")
                self._closing.wait(1.0)
        self._wind_up()

    def _turn(self, nap: float) -> None:
        for message in self._inbox.drain(nap):
            self._take(message)
        self._fire_timers()
        if time.monotonic() >= self._poll_at:
            self._poll_at = time.monotonic() + self._poll
            self._look_at_store()
        self._roster.hurry(self._clock.now())
        self._offer_capacity()
        self._commit()

    def _nap(self) -> float:
        """How long nothing needs doing."""
        if self._committer.is_held:
            return self._committer.held_for
        if self._roster.has_dirty:
            return 0.0
        return self._roster.quiet_for(self._clock.now(), max(0.0, self._poll_at - time.monotonic()))

    def _take(self, message: Message) -> None:
        match message:
            case Ended():
                self._take_end(message)
            case Progressed():
                if live := self._roster.get(message.key.run_id):
                    live.told_progress(message.key.step, message.fraction, message.message, self._clock.now())
                    self._roster.be_lazy(live)
            case Recorded() | Checkpointed():
                self._take_note(message)
            case RunGiven():
                self._open(message.snapshot)
            case VerbPosted():
                self._take_verb(message)
            case Nudged():
                self._poll_at = 0.0
            case _:
                assert_never(message)

    # attempts

    def _take_end(self, ended: Ended) -> None:
        self._workshop.forget(ended.key)
        self._capacity.give_back(ended.key)
        live = self._roster.get(ended.key.run_id)
        if live is None or live.record.owner != self._me.id:
            return
        if isinstance(ended.result, Stale):
            self._drop(live, LeaseLost())
        else:
            self._guarded(live, report, live, ended, self._clock.now(), random.random())  # noqa: S311  jitter

    def _take_note(self, note: Recorded | Checkpointed) -> None:
        live = self._roster.get(note.key.run_id)
        if live is None:
            refuse(note)
        elif isinstance(note, Checkpointed):
            live.told_checkpoint(note.key.step, note.text)
            self._wait_for_commit(live, note)
        else:
            live.add_resource(self._entry(note), is_durable=note.is_durable)
            self._wait_for_commit(live, note)

    def _entry(self, note: Recorded) -> ResourceRecord:
        resource = note.resource
        return ResourceRecord(
            step=note.key.step,
            kind=resource.kind,
            id=resource.id,
            details=resource.details,
            attempt=note.attempt,
            token=note.key.token,
            at=self._clock.now(),
        )

    def _wait_for_commit(self, live: LiveRun, message: Recorded | Checkpointed | VerbPosted) -> None:
        self._roster.touch(live)
        self._waiting.append(message)

    # runs come and go

    def _open(self, snapshot: RunSnapshot, asked: RequestRecord | None = None) -> LiveRun | None:
        """Take a run that this engine owns into memory, and up; ``asked`` is the verb for which it was claimed."""
        try:
            live = LiveRun(self._plans[snapshot.run.plan], snapshot)
        except Exception as error:  # noqa: BLE001  whatever is wrong with one run must not stop the others
            _log.exception("run %s can't be read; it is set aside", snapshot.run.id)
            self._committer.set_aside(snapshot.run, _wording.attention("unreadable_run", str(error), self._clock.now()))
            return None
        self._roster.add(live)
        if snapshot.run.attention is not None:
            return live
        if snapshot.run.takeovers >= _MOST_TAKEOVERS:
            live.set_attention(_wording.attention("kills_its_engine", _KILLS.format(snapshot.run.takeovers), self._clock.now()))
            self._roster.touch(live)
        else:
            self._guarded(live, self._take_up, live, snapshot, asked)
        return self._roster.get(live.id)

    def _take_up(self, live: LiveRun, snapshot: RunSnapshot, asked: RequestRecord | None) -> None:
        at = self._clock.now()
        verbs = [request.verb for request in (*snapshot.requests, *([asked] if asked else []))]
        if live.status.moves or live.status is RunStatus.WAITING:
            try:
                adopt(live, self._vault, at, accept="adopt_plan" in verbs)
            except PlanChanged as changed:
                if asked is None:
                    self._stop_for_changed_plan(live, changed, at)
                return
        take_up(live, at, random.random())  # noqa: S311  jitter
        for request in snapshot.requests:
            self._carry_out_recorded(live, request)
        self._roster.touch(live)

    def _stop_for_changed_plan(self, live: LiveRun, changed: PlanChanged, at: float) -> None:
        take_up(live, at, 0.5)
        if live.status in (RunStatus.RUNNING, RunStatus.WAITING):
            live.handle(PauseRequested(at=at))
        live.set_attention(_wording.attention(changed.code, changed.message, at, changed.hint))
        self._roster.touch(live)

    def _drop(self, live: LiveRun, error: ProvisioningError) -> None:
        """Another engine has it now, or it can't go on here: forget it, and ask what is alive of it to stop."""
        self._workshop.stop_run(live.id)
        self._capacity.drop_planned(live.id)
        self._roster.forget(live.id)
        for message in [each for each in self._waiting if _run_of(each) == live.id]:
            self._waiting.remove(message)
            _future_of(message).set_exception(error)

    def _guarded(self, live: LiveRun, action: Callable[..., None], *arguments: Any) -> None:
        """What breaks one run sets that run aside, loudly; the others go on."""
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001  an invariant broke, a step's text can't be read, …
            _log.exception("run %s is set aside", live.id)
            self._drop(live, LeaseLost())
            detail = f"{type(error).__name__}: {error}"
            self._committer.set_aside(live.record, _wording.attention("set_aside", detail, self._clock.now()))
            return
        self._roster.touch(live)

    # verbs

    def _take_verb(self, posted: VerbPosted) -> None:
        live = self._roster.get(posted.request.run_id)
        was_here = live is not None
        try:
            live = live or self._claim_for(posted)
            if live is None:
                posted.done.set_result(False)
                return
            carry_out(live, posted.request, self._clock.now(), self._vault)
        except ProvisioningError as error:
            posted.done.set_exception(error)
            if live is not None and not was_here:
                live.hurry()
                self._roster.touch(live)
        except Exception as error:  # noqa: BLE001  an invariant broke: the run is set aside, the caller learns of it
            posted.done.set_exception(error)
            if live is not None:
                self._guarded(live, _raise, error)
        else:
            self._wait_for_commit(live, posted)

    def _claim_for(self, posted: VerbPosted) -> LiveRun | None:
        snapshot = self._store.claim_run(self._me.id, posted.request.run_id, dead=self._dead_engines())
        return None if snapshot is None else self._open(snapshot, posted.request)

    def _carry_out_recorded(self, live: LiveRun, request: RequestRecord) -> None:
        at = self._clock.now()
        try:
            carry_out(live, request, at, self._vault)
        except ProvisioningError as error:
            data = {"verb": request.verb, "code": error.code, "message": error.message}
            live.add_event("request.refused", at, data=data, actor=request.actor)
        live.request_done(request.id)
        self._roster.touch(live)

    # time, capacity, store

    def _fire_timers(self) -> None:
        now = self._clock.now()
        for live in self._roster.due(now):
            self._guarded(live, self._pass_time, live, now)

    @staticmethod
    def _pass_time(live: LiveRun, now: float) -> None:
        live.handle(TimePassed(at=now, chance=random.random()))  # noqa: S311  jitter

    def _offer_capacity(self) -> None:
        """Share the free workers out among the runs that want some, in turn."""
        if not self._is_trusted() or self._committer.is_held or self._closing.is_set():
            return
        for _ in range(self._roster.wanting):
            slots = self._capacity.slots
            live = self._roster.next_wanting() if slots > 0 else None
            if live is None:
                return
            self._guarded(live, self._offer, live, max(1, slots // (self._roster.wanting + 1)))

    def _offer(self, live: LiveRun, share: int) -> None:
        decision = live.handle(CapacityOffered(at=self._clock.now(), slots=share, limits=self._capacity.room))
        for command in decision.commands:
            if isinstance(command, Launch):
                node = live.graph.nodes[live.graph.index[command.step]]
                self._capacity.plan(Key(live.id, command.step, command.token), node.limit)

    def _look_at_store(self) -> None:
        """Take up runs that nobody owns, and verbs that were recorded for ours."""
        if self._committer.is_held or not self._is_trusted():
            return
        try:
            for request in self._store.requests(self._me.id):
                if live := self._roster.get(request.run_id):
                    self._guarded(live, self._carry_out_recorded, live, request)
            claimed = self._store.claim(
                self._me.id, plans=tuple(self._plans), now=self._clock.now(), limit=_CLAIM_AT_ONCE, dead=self._dead_engines()
            )
        except StoreUnavailable as error:
            _log.warning("the store is away: %s", error.message)
            return
        for snapshot in claimed:
            if self._roster.get(snapshot.run.id) is None:
                self._open(snapshot)
        if len(claimed) == _CLAIM_AT_ONCE:
            self._poll_at = 0.0

    # committing

    def _commit(self) -> None:
        dirty = self._roster.take_dirty()
        if not dirty:
            self._answer()
            return
        if self._committer.is_held:
            return
        committed = self._committer.commit(dirty)
        self._after_commit(committed)

    def _after_commit(self, committed: Committed) -> None:
        for live, error in committed.refused:
            self._drop(live, error)
        for live, failure in committed.failed:
            self._fail_waiting(live.id, failure)
            if not self._committer.is_held:
                self._roster.put_off(live.id, _HOOK_WAIT)
        written = {live.id for live, _ in committed.written}
        self._answer(written)
        for live, change in committed.written:
            self._roster.settled(live.id)
            commands = live.committed(change)
            if change.release:
                self._roster.forget(live.id)
            if change.status_change is not None and live.status is RunStatus.SUCCEEDED:
                self._notifier.learn(live.plan.name, live.durations())
            for command in commands:
                if isinstance(command, Launch):
                    self._launch(live, command)
                else:
                    key = Key(live.id, command.step, command.token)
                    self._workshop.stop(key, kill=live.machine.cell(command.step).zombie)

    def _launch(self, live: LiveRun, command: Launch) -> None:
        key = Key(live.id, command.step, command.token)
        self._capacity.begun(key)
        self._workshop.launch(attempt_for(live, command))

    def _answer(self, written: set[str] | None = None) -> None:
        """Tell those who waited for a commit that it is done."""
        left = []
        for message in self._waiting:
            if written is None or _run_of(message) in written:
                future = _future_of(message)
                if not future.done():
                    future.set_result(isinstance(message, VerbPosted))
            else:
                left.append(message)
        self._waiting = left

    def _fail_waiting(self, run_id: str, error: Exception) -> None:
        """A verb's caller must not wait for a store that is away; ledger entries do."""
        for message in [each for each in self._waiting if isinstance(each, VerbPosted) and _run_of(each) == run_id]:
            self._waiting.remove(message)
            message.done.set_exception(error)

    # winding up

    def _wind_up(self) -> None:
        """Let what runs end, record how it ended, and let the runs go."""
        try:
            self._let_end()
            self._release_all()
        except Exception:  # noqa: BLE001  whatever it was, the lease runs out
            _log.exception("the engine could not let all its runs go; they are taken over when its lease has run out")
        finally:
            self._inbox.close()

    def _let_end(self) -> None:
        while self._workshop.in_flight and time.monotonic() < self._grace_until:
            self._turn(min(0.05, max(0.0, self._grace_until - time.monotonic())))
        if self._workshop.in_flight:
            self._workshop.stop_all(kill=True)
            until = time.monotonic() + 1.0
            while self._workshop.in_flight and time.monotonic() < until:
                self._turn(0.05)
        self._turn(0.0)

    def _release_all(self) -> None:
        idle = [live for live in self._roster if live.machine.live == 0]
        for live in idle:
            live.hurry()
        self._committer.commit(idle, release=True)


def _run_of(message: Recorded | Checkpointed | VerbPosted) -> str:
    return message.request.run_id if isinstance(message, VerbPosted) else message.key.run_id


def _future_of(message: Recorded | Checkpointed | VerbPosted) -> Future[Any]:
    return message.done if isinstance(message, VerbPosted) else message.durable


def _raise(error: Exception) -> None:
    raise error
