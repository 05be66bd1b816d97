"""One run of the plan in virtual time, with a fault on its way: what a :class:`~._matrix_faults.Fault` has to work with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Plan, RunSnapshot, RunStatus, StepStatus
from provisioning_core.ports import Store
from provisioning_core.testing._faulty_store import FaultyStore
from provisioning_core.testing._matrix_calls import UNTOUCHED, Deed, Meddling, meddled
from provisioning_core.testing._matrix_witness import Ledger, Witness, World, counted
from provisioning_core.testing._virtual import Call, VirtualEngine, VirtualWorld

_MOST_ROUNDS = 5_000
_STRIDE = 5.0
"""Seconds by which the clock goes on while a deadline passes: less than an engine needs to renew its lease."""


class NoRest(Exception):
    """The run did not come to rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a plan's author hands in: the same for all cells."""

    plan: Plan
    input: Any = None
    subject: str = "acme"
    world: World | None = None
    fresh: Callable[[], object] | None = None
    signals: Mapping[str, Any] = field(default_factory=dict)
    store: Callable[[], Store] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.world is not None and self.fresh is None:
            raise ProvisioningError(
                "without fresh= one run's things are still there in the next one.",
                code="bad_matrix",
                hint="Hand in fresh=, which makes the world as it was before; it is called before every run.",
            )

    def new_store(self) -> Store | None:
        """A store of its own for a cell; None where one in memory will do."""
        if self.store is not None:
            return self.store()
        if not self.plan.has_transactional:
            return None
        from provisioning_core.stores import SqlStore

        return SqlStore("sqlite://")

    def engine_options(self) -> dict[str, Any]:
        """Options of every engine; a plan with secrets gets a throw-away key."""
        key = {"secrets_key": bytes(32)} if self.plan.has_secrets else {}
        return key | dict(self.options)


class Scene:
    """A world with one run in it."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.plan = setting.plan
        if setting.fresh is not None:
            setting.fresh()
        own_store = setting.new_store()
        self.world = VirtualWorld(own_store)
        self.store = FaultyStore(self.world.store)
        self.on_call: Callable[[Call], bool] = lambda _: False
        """Offered each call first; True when it dealt with it."""
        self.on_gate: Callable[[str], bool] = lambda _: False
        """Offered each gate that waits first; True when it dealt with it."""
        self.is_held_back: Callable[[Call], bool] = lambda _: False
        """Calls that wait until nothing else can be called."""
        self.run_id = ""
        ledger = Ledger(self._resources) if setting.world is None else None
        self._world = setting.world or cast("World", ledger)
        self.engine = self._new_engine()
        self.witness = Witness(self._look, ledger)

    def close(self) -> None:
        """Let go of the store."""
        self.world.store.close()

    def _new_engine(self) -> VirtualEngine:
        return self.world.engine(self.plan, store=self.store, **self.setting.engine_options())

    def _look(self) -> Counter[str]:
        return counted(self._world(), self.run_id or "no run yet")

    def _resources(self) -> Any:
        return self.snapshot().resources if self.run_id else ()

    # the run

    def start(self) -> None:
        """Start it and go on until it rests."""
        run = self.engine.engine.start(self.plan.name, subject=self.setting.subject, input=self.setting.input)
        self.run_id = run.id
        self.settle()

    def snapshot(self) -> RunSnapshot:
        """All that is recorded of it."""
        return self.world.store.load(self.run_id)

    @property
    def status(self) -> RunStatus:
        return self.snapshot().run.status

    def ask(self, verb: str, *words: Any, **arguments: Any) -> None:
        """A person asks for something; then until it rests."""
        getattr(self.engine.engine, verb)(self.setting.subject, *words, **arguments)
        self.settle()

    def settle(self) -> None:
        """Go on until the run rests and no gate of it waits for a signal. Raises NoRest."""
        for _ in range(_MOST_ROUNDS):
            self.world.turn()
            if calls := self.world.calls:
                self._take(min(calls, key=self.is_held_back))
            elif self.world.is_at_rest:
                if not self._open_gates():
                    return
            elif not any(engine.quiet_for == 0.0 for engine in self.world.engines if engine.is_alive):
                self.world.advance()
        raise NoRest

    def _take(self, call: Call) -> None:
        if not self.on_call(call):
            self.perform(call)

    def _open_gates(self) -> bool:
        """Signal what waits; whether anything did."""
        snapshot = self.snapshot()
        if snapshot.run.status is not RunStatus.WAITING:
            return False
        waiting = [name for name, step in snapshot.steps.items() if step.status is StepStatus.WAITING]
        for name in waiting:
            if not self.on_gate(name):
                self._signal(name)
        return bool(waiting)

    def _signal(self, gate: str) -> None:
        try:
            self.engine.engine.signal(self.setting.subject, gate, self.setting.signals.get(gate))
        except ProvisioningError as error:
            hint = f"Hand in what it carries: signals={{{gate!r}: ...}}."
            raise ProvisioningError(f"gate {gate!r} could not be signalled: {error.message}", code="bad_signal", hint=hint) from error

    # what happens to it

    def act(self, call: Call, meddling: Meddling = UNTOUCHED) -> Deed:
        """The function runs, with this happening to it; its engine has not heard of it yet."""
        deed = Deed(step=call.step, direction=call.direction)
        binding = call.attempt.binding
        assert binding is not None  # noqa: S101  the plan is the one that the run was started with
        call.act(meddled(binding, deed, meddling))
        self.witness.saw(deed)
        return deed

    def perform(self, call: Call, meddling: Meddling = UNTOUCHED) -> None:
        """The function runs, and its engine hears of the outcome at its next turn."""
        self.act(call, meddling)
        call.report()

    def crash(self) -> None:
        """``kill -9``."""
        self.engine.crash()

    def reopen(self) -> None:
        """Another process in place of the one that has ended."""
        self.engine = self._new_engine()

    def pass_deadline(self, call: Call) -> None:
        """The time goes on until the attempt's is up; whatever else can run, runs."""
        deadline = call.attempt.deadline_at or 0.0
        while self.world.clock.now() <= deadline:
            self.world.clock.advance(_STRIDE)
            self.world.turn()
            for other in self.world.calls:
                if other is not call:
                    self.perform(other)

    def pass_gate(self, gate: str) -> None:
        """Nobody signals the gate, until it has waited too long."""
        deadline = self.snapshot().steps[gate].deadline_at or 0.0
        self.world.clock.advance(max(deadline - self.world.clock.now(), 0.0) + 1.0)
