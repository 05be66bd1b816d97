"""The scheduler loop: one thread for all runs of the process.

Theory of operation. A turn is taken by the loop's thread, when something wakes it, or by a worker whose attempt has just ended; by
one at a time. Each turn drains what has happened, lets the machines decide, writes all that changed of all runs in one transaction,
and only then launches: *commit before launch*, and *finish and start share a commit*. It commits what is there and does not wait for
more, so batches come from load and never from a timer. While the store is away everything stays in memory: results are kept, nothing
is launched, and the commit is tried again.

A run is in memory only while it moves. When it comes to rest it is released in the same commit that says so; a verb, a timer or
another engine takes it up again from the store.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from typing import assert_never

from provisioning_core.engine._attempts import BrokenOff, Checkpointed, Ended, Key, Progressed, Recorded, Stale
from provisioning_core.engine._capacity import Capacity
from provisioning_core.engine._committer import Committed, Committer
from provisioning_core.engine._custody import Custody
from provisioning_core.engine._inbox import Inbox, Message, Nudged, RunGiven, VerbPosted, refuse
from provisioning_core.engine._live import LiveRun
from provisioning_core.engine._lookout import Lookout
from provisioning_core.engine._notifier import Notifier
from provisioning_core.engine._promises import Promise, Promises
from provisioning_core.engine._quarantine import Quarantine
from provisioning_core.engine._reports import report
from provisioning_core.engine._roster import Roster
from provisioning_core.engine._staging import attempt_for
from provisioning_core.engine._turning import Turning
from provisioning_core.engine._workshop import Workshop
from provisioning_core.errors import LeaseLost, StoreUnavailable
from provisioning_core.machine import CapacityOffered, Launch, TimePassed
from provisioning_core.model import CommitStats, EngineRecord, Plan, ResourceRecord, RunStatus, Vault, maker
from provisioning_core.ports import Clock, Store

_log = logging.getLogger("provisioning_core.engine")

_offered = maker(CapacityOffered, ("at", "slots", "limits"))

_SOON = 0.001
"""Seconds that a timer may be late by because the loop's thread was not woken for it."""
_HOOK_WAIT = 1.0
"""Seconds until a commit whose hook failed is tried again."""


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
        lookout: Lookout,
        quarantine: Quarantine,
        is_trusted: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._me = identity
        self._inbox = inbox
        self._workshop = workshop
        self._capacity = capacity
        self._committer = committer
        self._notifier = notifier
        self._lookout = lookout
        self._is_trusted = is_trusted
        self._quarantine = quarantine
        self._has_stepped_down = False
        self._roster = Roster(clock)
        self._promises = Promises()
        self._custody = Custody(
            store=store,
            clock=clock,
            plans=plans,
            vault=vault,
            engine_id=identity.id,
            roster=self._roster,
            promises=self._promises,
            committer=committer,
            lookout=lookout,
            quarantine=quarantine,
            workshop=workshop,
            capacity=capacity,
        )
        self._thread = threading.Thread(target=self._serve, name="provisioning-loop", daemon=True)
        self._closing = threading.Event()
        self._turning = Turning()
        self._sleeps_until = 0.0
        self._grace = 0.0

    # from outside

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Put a message in; from the loop's own thread (an inline step) a ledger entry is taken, and committed, at once."""
        if self.is_current_thread and isinstance(message, Recorded | Checkpointed):
            self._take(message)
            self._commit()
            self._promises.break_one(message, StoreUnavailable())
        elif not self._inbox.put(message):
            self._take_too_late(message)

    def finish(self, ended: Ended) -> None:
        """A worker's attempt has ended, and the worker has nothing else to do: it takes the loop's turn itself, if nobody is at it.

        So the next step need not wait until another thread has woken up. Whoever holds the turn finds the message behind it.
        """
        if not self._inbox.put(ended, wake=self._closing.is_set()):
            self._take_too_late(ended)
        elif self._turning.acquire(blocking=False):
            try:
                self._take_turn_for(ended)
            finally:
                self._turning.release()
            if len(self._inbox) > 0 or self._clock.monotonic() + self.quiet_for() < self._sleeps_until - _SOON:
                self._inbox.wake()

    def close(self, timeout: float) -> bool:
        """Launch nothing more, let what runs end for ``timeout`` seconds, and let the runs go. True when nothing is left alive."""
        self._closing.set()
        self._grace = timeout
        self._inbox.put(Nudged())
        self._thread.join()
        return self._workshop.in_flight == 0

    @property
    def is_current_thread(self) -> bool:
        """Whether the caller is at its turn (an inline step is). A loop without a thread is turned by whoever asks."""
        return self._thread.ident is None or self._turning.is_mine

    @property
    def has_news(self) -> bool:
        """Whether the next turn has something to do, whatever the time."""
        return len(self._inbox) > 0 or (self._roster.has_dirty and not self._committer.is_held)

    def next_timer_in(self, longest: float) -> float:
        """Seconds, at most ``longest``, until a timer of a run in memory goes off; looks at the store don't count."""
        if self._committer.is_held:
            return min(longest, self._committer.held_for)
        return self._roster.quiet_for(self._clock.now(), longest)

    @property
    def runs_in_memory(self) -> int:
        """Runs that move, or were moving a moment ago."""
        return len(self._roster)

    @property
    def ready(self) -> int:
        """Steps that could begin if there were a worker for them. Counted when it is asked for, by any thread."""
        return sum(live.wanting for live in list(self._roster))

    @property
    def quarantined(self) -> int:
        """Steps left alone because an attempt of another engine may still be alive."""
        return len(self._quarantine)

    @property
    def is_held(self) -> bool:
        """Whether the store was away a moment ago."""
        return self._committer.is_held

    @property
    def commits(self) -> CommitStats:
        """All commits so far."""
        return self._committer.meter.read()

    # the loop

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self.turn(self.quiet_for())
            except Exception:  # noqa: BLE001  one bad turn must not end the loop
                _log.exception("a turn of the loop broke; it goes on")
                self._closing.wait(1.0)
        self.wind_up(grace=self._grace)

    def turn(self, nap: float) -> None:
        """One turn; waits up to ``nap`` seconds for something to happen. Called by the loop's thread, or by a test that has none."""
        self._sleeps_until = self._clock.monotonic() + nap
        self._inbox.wait(nap)
        with self._turning:
            self._take_turn()

    def _take_turn_for(self, ended: Ended) -> None:
        """A turn in a worker's thread, which must not break by it."""
        try:
            if not self._closing.is_set():
                self._take_turn()
        except Exception:  # noqa: BLE001  one bad turn must not end the worker
            _log.exception("a turn of the loop broke, after %s; it goes on", ended.key)

    def _take_turn(self) -> None:
        for message in self._inbox.take():
            self._take(message)
        self._step_down_or_up()
        self._fire_timers()
        if self._lookout.due_in(self._capacity.slots) <= 0:
            self._look_at_store()
        self._roster.hurry(self._clock.now())
        self._offer_capacity()
        self._commit()

    def _look_at_store(self) -> None:
        """Not while it is away, or while what is ours may be another's: a look that can't be had now is put off."""
        if self._is_trusted() and not self._committer.is_held:
            self._custody.look_at_store(self._capacity.slots)
        else:
            self._lookout.put_off()

    def quiet_for(self) -> float:
        """Seconds in which nothing needs doing, if nothing happens."""
        if self._committer.is_held:
            return self._committer.held_for
        if self._roster.has_dirty:
            return 0.0
        return self._roster.quiet_for(self._clock.now(), self._lookout.due_in(self._capacity.slots))

    def _step_down_or_up(self) -> None:
        """Past the time it trusts its lease an engine launches nothing, and asks what runs to end: others may own its runs."""
        if self._is_trusted():
            self._has_stepped_down = False
        elif not self._has_stepped_down:
            self._has_stepped_down = True
            _log.warning("engine %s: its lease may have run out; it launches nothing and asks %d attempts to end", *self._standing())
            self._workshop.break_off_all()

    def _standing(self) -> tuple[str, int]:
        return self._me.id, self._workshop.in_flight

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
                self._custody.open(message.snapshot)
            case VerbPosted():
                self._custody.take_verb(message)
            case Nudged():
                self._lookout.hasten(is_unsure=message.is_unsure)
            case _:
                assert_never(message)

    def _take_too_late(self, message: Message) -> None:
        """The loop has ended. What attempts did is not recorded any more, but that they ended counts."""
        if isinstance(message, Ended):
            self._workshop.forget(message.key)

    # attempts

    def _take_end(self, ended: Ended) -> None:
        self._workshop.forget(ended.key)
        self._capacity.give_back(ended.key)
        live = self._roster.get(ended.key.run_id)
        if live is None:
            self._custody.say_farewell(ended.key)
        elif isinstance(ended.result, Stale):
            self._custody.say_farewell(ended.key)
            self._custody.drop(live, LeaseLost())
        else:
            self._custody.guarded(live, report, live, ended, self._clock.now(), random.random())  # noqa: S311  jitter

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

    def _wait_for_commit(self, live: LiveRun, message: Promise) -> None:
        self._roster.touch(live)
        self._promises.add(message)

    # time, capacity, store

    def _fire_timers(self) -> None:
        now = self._clock.now()
        for live in self._roster.due(now):
            self._custody.guarded(live, self._pass_time, live, now)

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
            self._custody.guarded(live, self._offer, live, max(1, slots // (self._roster.wanting + 1)))

    def _offer(self, live: LiveRun, share: int) -> None:
        decision = live.handle(_offered(self._clock.now(), share, self._capacity.room))
        for command in decision.commands:
            if isinstance(command, Launch):
                live.write(command.step, engine=self._me.id)
                node = live.graph.nodes[live.graph.index[command.step]]
                self._capacity.plan(Key(live.id, command.step, command.token), node.limit)

    # committing

    def _commit(self) -> None:
        dirty = self._roster.take_dirty()
        if not dirty:
            self._promises.keep()
            return
        if self._committer.is_held:
            return
        committed = self._committer.commit(dirty)
        self._after_commit(committed)

    def _after_commit(self, committed: Committed) -> None:
        for live, error in committed.refused:
            self._custody.drop(live, error)
        for live, failure in committed.failed:
            self._promises.fail_verbs_of(live.id, _unconfirmed(failure))
            if not self._committer.is_held:
                self._roster.put_off(live.id, _HOOK_WAIT)
        written = {live.id for live, _ in committed.written}
        self._promises.keep(written)
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
        if self._is_trusted() and not self._closing.is_set():
            self._workshop.launch(attempt_for(live, command))
        else:
            self._inbox.put(Ended(key=key, direction=command.direction, result=BrokenOff()))

    # winding up

    def wind_up(self, *, grace: float) -> None:
        """Launch nothing more; let what runs end for ``grace`` seconds, record how it ended, and let the runs go."""
        self._closing.set()
        try:
            self._let_end(self._clock.monotonic() + grace)
            with self._turning:
                self._release_all()
        except Exception:  # noqa: BLE001  whatever it was, the lease runs out
            _log.exception("the engine could not let all its runs go; they are taken over when its lease has run out")
        finally:
            for message in self._inbox.close():
                self._take_too_late(message)
            self._promises.break_all(_unconfirmed(StoreUnavailable("The engine was closed before the store took it.")))

    def _let_end(self, grace_until: float) -> None:
        while self._workshop.in_flight and self._clock.monotonic() < grace_until:
            self.turn(min(0.05, max(0.0, grace_until - self._clock.monotonic())))
        if self._workshop.in_flight:
            self._workshop.break_off_all()
            until = self._clock.monotonic() + 1.0
            while self._workshop.in_flight and self._clock.monotonic() < until:
                self.turn(0.05)
        self.turn(0.0)
        if len(self._inbox) > 0:  # what was decided before and recorded only now was not begun
            self.turn(0.0)

    def _release_all(self) -> None:
        idle = [live for live in self._roster if live.machine.live == 0]
        for live in idle:
            live.hurry()
        self._committer.commit(idle, release=True)
        kept = [live for live in self._roster if live.machine.live > 0]
        for live in kept:
            live.vindicate()
        if kept:
            self._committer.commit(kept)


def _unconfirmed(failure: Exception) -> Exception:
    """What a verb's caller is told whose commit did not come through: it stays in memory, and is tried again."""
    if not isinstance(failure, StoreUnavailable):
        return failure
    hint = "It may still be recorded and carried out: look at the run's status before you ask again."
    return StoreUnavailable(failure.message, hint=hint, is_unknown=True)
