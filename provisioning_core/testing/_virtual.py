"""Engines without threads, in a world whose time is set by hand: the real loop, store and machine, one step after another.

What an engine does in its threads happens here when the test says so: :meth:`VirtualEngine.turn` takes one turn of the scheduler
loop, and each attempt that was launched waits in :attr:`VirtualEngine.calls` until it is :meth:`~Call.run`. In between an engine can
crash, be paused for longer than its lease and wake up again, and the clock can jump. Nothing here sleeps: hours pass in milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from provisioning_core.engine import Engine
from provisioning_core.engine._attempts import Attempt, AttemptMessage, BrokenOff, Ended, Key, Sink
from provisioning_core.engine._inbox import Inbox, Nudged, RunGiven, VerbPosted
from provisioning_core.engine._loop import Loop
from provisioning_core.engine._notifier import Notifier
from provisioning_core.engine._running import RunningEngine, new_loop
from provisioning_core.engine._settings import Settings
from provisioning_core.engine._workshop import Running, Workshop
from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import Binding, Direction, EngineRecord, EventRecord, Plan, RequestRecord, RunRecord, RunSnapshot
from provisioning_core.ports import Store
from provisioning_core.stores.memory import MemoryStore
from provisioning_core.testing._clock import FakeClock, OwnClock

_PATIENCE = 200
"""Turns that a verb's caller waits for."""
_LONGEST_QUIET = 10.0
"""Seconds of the world's time between two looks at an engine that has nothing to do."""


@dataclass(slots=True, eq=False)
class Call:
    """An attempt that was launched and has not ended yet.

    :meth:`run` carries it out at once; or :meth:`act` first, so that its effect is there, and :meth:`report` later, so that the
    engine hears of it: in between the time can pass, and the engine can crash.
    """

    attempt: Attempt
    perform: Callable[[Callable[..., Any] | None], None] = field(repr=False)
    _engine: VirtualEngine = field(repr=False)
    has_acted: bool = False

    @property
    def step(self) -> str:
        return self.attempt.key.step

    @property
    def direction(self) -> Direction:
        return self.attempt.direction

    @property
    def key(self) -> Key:
        """Which attempt it is: run, step, token."""
        return self.attempt.key

    def act(self, instead: Callable[..., Any] | None = None) -> None:
        """Call the step's function now, or another ``instead``; its engine does not hear of the outcome yet."""
        self.has_acted = True
        self.perform(instead)

    def report(self) -> None:
        """Let its engine hear of the outcome at its next turn; nothing, if the engine crashed meanwhile."""
        if self in self._engine.calls:
            self._engine.calls.remove(self)
            self._engine.hear_end_of(self.key)

    def run(self, instead: Callable[..., Any] | None = None) -> None:
        """Both."""
        self.act(instead)
        self.report()


class _Workshop(Workshop):
    """Launches nothing: it keeps what is to be called."""

    engine: VirtualEngine
    is_in_transaction = False
    """Whether a transactional step runs: on this one thread nothing else can be committed then."""

    def launch(self, attempt: Attempt) -> None:
        running = Running(attempt, Sink(attempt, self._tell))
        self._running[attempt.key] = running
        self.engine.calls.append(Call(attempt, self._performer(running), self.engine))

    def _performer(self, running: Running) -> Callable[[Callable[..., Any] | None], None]:
        def perform(instead: Callable[..., Any] | None) -> None:
            binding = running.attempt.binding
            if binding is not None and instead is not None:
                binding = replace(binding, fn=instead)
            if binding is not None and binding.is_async:
                asyncio.run(self._carry_out_async(running, binding))
            else:
                self._carry_out(running, binding)

        return perform

    def _in_transaction(self, running: Running, binding: Binding, materials: Any) -> Any:
        self.is_in_transaction = True
        try:
            return super()._in_transaction(running, binding, materials)
        finally:
            self.is_in_transaction = False


class _Notifier(Notifier):
    """Tells nobody, and learns at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def notify(self, run: RunRecord, events: Iterable[EventRecord]) -> None:
        """Nobody listens."""

    def learn(self, plan: str, seconds: Any) -> None:
        """Durations depend on nothing but the world's clock."""


class VirtualEngine:
    """One engine process of a :class:`VirtualWorld`. ``engine`` is its front: verbs and reads work, and take turns by themselves."""

    def __init__(self, world: VirtualWorld, plans: Iterable[Plan], *, name: str, host: str, store: Store, **options: Any) -> None:
        self.world = world
        self.name = name
        self.is_alive = True
        self.is_paused = False
        self.host = host
        self.clock = OwnClock(world.clock)
        self.engine = Engine(store=store, plans=plans, clock=self.clock, **{"poll": 1.0} | options)
        self._settings: Settings = self.engine._settings  # noqa: SLF001  this is the engine, put together in another way
        self._record = EngineRecord(id=name, host=host, boot_id=host, pid=world.new_pid(), process_started=name)
        self._inbox = Inbox()
        self._workshop = _Workshop(
            store=store,
            clock=self.clock,
            vault=self._settings.vault(),
            executor=None,
            max_workers=self._settings.max_workers,
            tell=self._hear_worker,
            audience=self.engine._audience,  # noqa: SLF001  likewise
            finish=self._hear_worker,
        )
        self._workshop.engine = self
        self.calls: list[Call] = []
        self._ends: dict[Key, Ended] = {}
        self._trusted_until = 0.0
        self._renew_at = 0.0
        self.loop: Loop = new_loop(
            self._settings,
            self._settings.vault(),
            me=self._record,
            inbox=self._inbox,
            workshop=self._workshop,
            notifier=_Notifier(store),
            wake=lambda _: None,
            is_trusted=lambda: world.clock.monotonic() < self._trusted_until,
            is_dead=lambda other, _: not world.is_process_there(other),
        )
        store.prepare()
        self._register()
        self.engine._running = cast("RunningEngine", _Front(self))  # noqa: SLF001  it works, without threads

    # what the world does with it

    def turn(self) -> None:
        """One turn of its loop, renewing its lease if that is due. A paused or dead engine does nothing."""
        if not self.is_alive or self.is_paused:
            return
        if self.world.clock.monotonic() >= self._renew_at:
            self._renew()
        self.loop.turn(0.0)

    def crash(self) -> None:
        """``kill -9``: whatever it knew, and every call that has not run, is gone."""
        self.is_alive = False
        self.calls.clear()

    def pause(self) -> None:
        """``SIGSTOP``: it does nothing, and its lease runs out."""
        self.is_paused = True

    def resume(self) -> None:
        """``SIGCONT``: it goes on where it stood, calls included."""
        self.is_paused = False

    def ask_to_end(self) -> None:
        """The process is about to be closed: what runs sees that it is asked to end, and what it raises is no failure."""
        self._workshop.break_off_all()

    def close(self) -> None:
        """A clean end: what was launched and has not run is broken off, and recorded so; its runs are let go."""
        self._workshop.break_off_all()
        for call in list(self.calls):
            if not call.has_acted:
                self._ends[call.key] = Ended(key=call.key, direction=call.direction, result=BrokenOff())
            call.report()
        self.loop.wind_up(grace=0.0)
        with contextlib.suppress(StoreUnavailable):  # then its row expires by itself
            self._settings.store.retire(self._record.id)
        self.is_alive = False

    @property
    def wakes_in(self) -> float:
        """Seconds until its loop's thread would take a turn by itself, or its lease is due to be renewed."""
        renews_in = max(self._renew_at - self.clock.monotonic(), 0.0)
        return 0.0 if self.loop.has_news else min(self.loop.quiet_for(), renews_in)

    @property
    def quiet_for(self) -> float:
        """Seconds of the world's time until it has something to do by itself."""
        if not self.is_alive or self.is_paused:
            return _LONGEST_QUIET
        return 0.0 if self.loop.has_news else self.loop.next_timer_in(_LONGEST_QUIET)

    # its lease

    def _register(self) -> None:
        begun = self.world.clock.monotonic()
        self._settings.store.register(self._record, self._settings.lease)
        self._trust(begun)

    @property
    def last_renewed_at(self) -> float:
        """When, on the world's clock, the renewal of its lease began that it knows of."""
        return self._last_renewed_at

    def _trust(self, begun: float) -> None:
        self._last_renewed_at = begun
        self._trusted_until = begun + self._settings.lease * 0.9
        self._renew_at = begun + self._settings.renew_every

    def _renew(self) -> None:
        begun = self.world.clock.monotonic()
        try:
            if self._settings.store.heartbeat(self._record.id, self._settings.lease):
                self._trust(begun)
            else:
                self._trusted_until = 0.0
                self.post(Nudged(is_unsure=True))
                self.loop.turn(0.0)
                self._register()
        except StoreUnavailable:
            self._renew_at = begun + self._settings.lease / 20

    # its front

    def _hear_worker(self, message: AttemptMessage) -> None:
        if isinstance(message, Ended):
            self._ends[message.key] = message
        elif self._workshop.is_in_transaction:
            self._inbox.put(message)
        elif self.is_alive:
            self.loop.tell(message)

    def hear_end_of(self, key: Key) -> None:
        """Take in how an attempt ended that has acted."""
        ended = self._ends.pop(key)
        if self.is_alive:
            self.loop.tell(ended)

    def post(self, message: RunGiven | Nudged | VerbPosted) -> None:
        """Into the inbox."""
        self._inbox.put(message)


class _Front:
    """What the engine's front asks of an engine at work; the same as :class:`RunningEngine`, without threads."""

    def __init__(self, virtual: VirtualEngine) -> None:
        self._virtual = virtual
        self.id = virtual.name
        self.is_anything_alive = False

    def give(self, snapshot: RunSnapshot) -> None:
        self._virtual.post(RunGiven(snapshot=snapshot))

    def nudge(self) -> None:
        self._virtual.post(Nudged())

    def be_unsure(self) -> None:
        self._virtual.post(Nudged(is_unsure=True))

    def carries_out(self, request: RequestRecord) -> bool:
        posted = VerbPosted(request=request)
        self._virtual.post(posted)
        for _ in range(_PATIENCE):
            self._virtual.turn()
            if posted.done.done():
                return posted.done.result()
            self._virtual.world.clock.advance(0.05)
        raise StoreUnavailable("The engine did not answer.", is_unknown=True)

    def close(self, timeout: float) -> None:  # noqa: ARG002  the front's signature
        self._virtual.close()


class VirtualWorld:
    """A clock, a store, and engines that share them. ``store`` is a new :class:`MemoryStore` on the world's clock by default."""

    def __init__(self, store: Store | None = None, *, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.memory = MemoryStore(self.clock)
        self.store: Store = store or self.memory
        self.engines: list[VirtualEngine] = []
        self._pids = itertools.count(1000)

    def new_pid(self) -> int:
        """Of another process."""
        return next(self._pids)

    def engine(self, *plans: Plan, host: str = "one", store: Store | None = None, **options: Any) -> VirtualEngine:
        """Another engine process, on this host; ``store`` if it sees the store through something (a wrapper that fails, say)."""
        name = f"engine-{len(self.engines) + 1}"
        made = VirtualEngine(self, plans, name=name, host=host, store=store or self.store, **options)
        self.engines.append(made)
        return made

    def is_process_there(self, record: EngineRecord) -> bool:
        """Whether the process of an engine exists, paused or not."""
        return any(each.name == record.id and each.is_alive for each in self.engines)

    @property
    def calls(self) -> list[Call]:
        """All attempts that could run now, of engines that are not paused."""
        return [call for engine in self.engines if engine.is_alive and not engine.is_paused for call in engine.calls]

    def turn(self) -> None:
        """One turn of every engine."""
        for engine in self.engines:
            engine.turn()

    def advance(self) -> float:
        """Let the time pass until something is due; gives the seconds."""
        quiet = min((engine.quiet_for for engine in self.engines if engine.is_alive), default=_LONGEST_QUIET)
        runnable_at = self.memory.next_runnable_at()
        if runnable_at is not None:
            quiet = min(quiet, max(runnable_at - self.clock.now(), 0.0) + 0.01)
        seconds = min(max(quiet, 0.01), _LONGEST_QUIET)
        self.clock.advance(seconds)
        return seconds

    def settle(self, *, until: Callable[[], bool] | None = None, most: int = 10_000) -> None:
        """Turn, call and advance until every run rests (or ``until`` says so). Raises TimeoutError after ``most`` rounds."""
        for _ in range(most):
            self.turn()
            if calls := self.calls:
                calls[0].run()
            elif until() if until is not None else self.is_at_rest:
                return
            elif not any(engine.quiet_for == 0.0 for engine in self.engines if engine.is_alive):
                self.advance()
        raise TimeoutError(f"the world did not come to rest in {most} rounds")

    @property
    def is_at_rest(self) -> bool:
        """Whether no run moves."""
        counts = self.memory.counts() if self.store is self.memory else self.store.counts()
        moving = ("PENDING", "RUNNING", "CANCELLING", "ROLLING_BACK")
        return not any(counts.get(status) for status in moving) and not any(
            not engine.is_paused and engine.loop.has_news for engine in self.engines if engine.is_alive
        )
