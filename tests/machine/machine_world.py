"""A world around one machine: its records, its fake clock, the attempts that are under way, and what exists outside.

It does what an engine does (record what was touched, only then carry out), but all at once and without threads. After every event
the invariants of ``machine_invariants`` are checked.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import machine_invariants as invariants

from provisioning_core import machine as m
from provisioning_core.errors import Conflict
from provisioning_core.model import Direction, Node, PlanGraph, Retry, RunRecord, StepRecord, StepStatus

SIGNS = {Direction.FORWARD: "", Direction.COMPENSATE: "-", Direction.PROBE: "?"}


def node(name: str, needs: Iterable[str] = (), **options: Any) -> Node:
    """A step that can be undone, unless the options say otherwise."""
    undoable = options.get("kind") != "gate" and not options.get("irreversible")
    return Node(**{"name": name, "needs": tuple(needs), "has_compensation": undoable, **options})


def gate(**options: Any) -> dict[str, Any]:
    return {"kind": "gate", **options}


def plan(drawing: str, on_failure: str = "finish", **options: Mapping[str, Any]) -> PlanGraph:
    """``plan("a, b: a, c: a b", b={"optional": True})``: every step with what it needs, in topological order."""
    lines = [line.partition(":") for line in drawing.split(",")]
    nodes = [node(name.strip(), needs.split(), **options.get(name.strip(), {})) for name, _, needs in lines]
    return PlanGraph(plan="p", version="1", on_failure=on_failure, nodes=tuple(nodes))


def twice(**changes: Any) -> Retry:
    """Two attempts, ten seconds apart, without jitter."""
    return Retry(**{"attempts": 2, "initial": 10.0, "jitter": 0.0, **changes})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt under way outside."""

    step: str
    direction: Direction
    token: int

    def __str__(self) -> str:
        return f"{SIGNS[self.direction]}{self.step}"


class World:
    """One run. ``launched`` reads like ``["a", "-a", "?a"]``: forward, undone, asked."""

    def __init__(self, graph: PlanGraph, *, skipped: Iterable[str] = (), checks: bool = True) -> None:
        self.graph = graph
        self.now = 1000.0
        self.checks = checks
        self.run = RunRecord(id="r", plan="p", plan_version="1", fingerprint="", subject="s")
        self.records = {name: StepRecord(name=name, status=StepStatus.SKIPPED, skip_reason="condition") for name in skipped}
        self.alive: dict[int, Attempt] = {}
        self.effects: set[str] = set()
        self.stopped: list[str] = []
        self.launched: list[str] = []
        self.moves: list[m.Move] = []
        self.run_states = [str(self.run.status)]
        self.load()

    # what an engine does

    def load(self, *, completed: Iterable[str] = (), zombies: Iterable[str] = ()) -> m.Decision:
        """Take the run up from its records."""
        self.machine = m.Machine(self.graph, self.run, self.records)
        self.beginning = (self.run, dict(self.records))
        self.history: list[tuple[m.MachineEvent, m.Decision]] = []
        return self.handle(m.TakenUp(at=self.now, completed=frozenset(completed), zombies=frozenset(zombies)))

    def handle(self, event: m.MachineEvent, *, outside: Any = None) -> m.Decision:
        """Tell the machine, record what it decided, carry out its commands. ``outside`` is what the event did to the world."""
        self.history.append((event, m.Decision()))
        decision = self.machine.handle(event)
        self.history[-1] = (event, decision)
        before = dict(self.alive)
        if outside is not None:
            outside()
        self.record(decision)
        for command in decision.commands:
            self._carry_out(command)
        if self.checks:
            invariants.check(self, decision, before)
        return decision

    def record(self, decision: m.Decision) -> None:
        self.moves.extend(decision.moves)
        self.run_states.extend(str(move.new) for move in decision.moves if isinstance(move, m.RunMoved))
        self.run = replace(self.run, **self.machine.run_fields())
        for step in decision.touched:
            output = "1" if self.machine.cell(step).has_output else None
            decided = dict(zip(m.CELL_FIELDS, self.machine.step_values(step), strict=True))
            self.records[step] = StepRecord(name=step, **decided, output=output)

    def _carry_out(self, command: m.Command) -> None:
        if isinstance(command, m.Launch):
            attempt = Attempt(command.step, command.direction, command.token)
            self.alive[command.token] = attempt
            self.launched.append(str(attempt))
        else:
            self.stopped.append(command.step)

    def crash(self, *, left: Iterable[str] = (), completed: Iterable[str] = ()) -> None:
        """The engine dies with all its attempts; those ``left`` had their effect. Another one takes the run up."""
        self.die(left=left)
        self.load(completed=completed)

    def take_over(self) -> None:
        """Another engine takes the run up, while the attempts of the old one may still be alive."""
        self.load(zombies=[attempt.step for attempt in self.alive.values()])

    def die(self, *, left: Iterable[str] = ()) -> None:
        for attempt in self.alive.values():
            if attempt.direction is Direction.COMPENSATE and attempt.step in left:
                self.effects.discard(attempt.step)
            elif attempt.direction is Direction.FORWARD and attempt.step in left:
                self.effects.add(attempt.step)
        self.alive.clear()

    # what happens

    def offer(self, slots: int = 1000, **limits: int) -> list[str]:
        """Offer workers; gives back what was launched."""
        before = len(self.launched)
        self.handle(m.CapacityOffered(at=self.now, slots=slots, limits=limits))
        return self.launched[before:]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.handle(m.TimePassed(at=self.now))

    def attempt(self, step: str) -> Attempt:
        """The attempt of a step that began last."""
        return max((each for each in self.alive.values() if each.step == step), key=lambda each: each.token)

    def ok(self, *steps: str) -> None:
        """Their attempts return."""
        for step in steps:
            attempt = self.attempt(step)
            forward = attempt.direction is Direction.FORWARD
            self.report(m.AttemptSucceeded, attempt, effect=forward)

    def fail(self, step: str, *, effect: bool | None = None, **options: Any) -> None:
        """Its attempt raises; ``effect`` True: half of it was done."""
        self.report(m.AttemptFailed, self.attempt(step), effect=effect, **options)

    def not_ready(self, step: str, after: float) -> None:
        self.report(m.AttemptNotReady, self.attempt(step), after=after)

    def found(self, step: str) -> None:
        self.report(m.ProbeFound, self.attempt(step), effect=True)

    def missed(self, step: str) -> None:
        self.report(m.ProbeMissed, self.attempt(step), effect=False)

    def report(self, kind: type[Any], attempt: Attempt, *, effect: bool | None = None, **options: Any) -> m.Decision:
        """An attempt ends; with ``effect`` True or False its step's effect exists outside, or does not, from now on."""
        return self.handle(
            kind(at=self.now, step=attempt.step, token=attempt.token, **options), outside=lambda: self._ended(attempt, effect)
        )

    def _ended(self, attempt: Attempt, effect: bool | None) -> None:
        del self.alive[attempt.token]
        self.set_effect(attempt.step, effect=effect)

    def set_effect(self, step: str, *, effect: bool | None) -> None:
        if effect is True:
            self.effects.add(step)
        elif effect is False:
            self.effects.discard(step)

    def finish(self, slots: int = 1000) -> str:
        """Everything succeeds from now on, and time passes where it must; gives back the run's status at rest."""
        for _ in range(40 * (len(self.graph.nodes) + 3)):
            self.offer(slots)
            if self.alive:
                self._end_well(min(self.alive.values(), key=lambda each: each.token))
            elif self.machine.status.moves and self.machine.next_timer_at is not None:
                self.wait(max(self.machine.next_timer_at - self.now, 0.0))
            else:
                return self.status
        raise AssertionError(f"the run never rests: {self.status} {self.steps}")

    def _end_well(self, attempt: Attempt) -> None:
        if attempt.direction is not Direction.PROBE:
            self.report(m.AttemptSucceeded, attempt, effect=attempt.direction is Direction.FORWARD)
        elif attempt.step in self.effects:
            self.report(m.ProbeFound, attempt)
        else:
            self.report(m.ProbeMissed, attempt)

    # verbs

    def retry(self, *steps: str) -> None:
        self.handle(m.RetryRequested(at=self.now, steps=steps or None))

    def go_on(self) -> None:
        self.handle(m.ContinueRequested(at=self.now))

    def skip(self, step: str) -> None:
        self.handle(m.SkipRequested(at=self.now, step=step), outside=lambda: self.set_effect(step, effect=True))

    def resolve(self, step: str, as_: str) -> None:
        effect = {"succeeded": True, "compensated": False}.get(as_)
        self.handle(m.ResolveRequested(at=self.now, step=step, as_=as_), outside=lambda: self.set_effect(step, effect=effect))

    def rollback(self, *, to: str | None = None, force: bool = False) -> None:
        self.handle(m.RollbackRequested(at=self.now, to=to, force=force))

    def deprovision(self) -> None:
        self.handle(m.DeprovisionRequested(at=self.now))

    def cancel(self, *, rollback: bool = False) -> None:
        self.handle(m.CancelRequested(at=self.now, rollback=rollback))

    def pause(self) -> None:
        self.handle(m.PauseRequested(at=self.now))

    def signal(self, step: str) -> None:
        self.handle(m.SignalReceived(at=self.now, step=step))

    def refuses(self, verb: m.Verb) -> Conflict | None:
        """The refusal, after checking that it changed nothing; None when the verb would be accepted. Nothing changes here."""
        twin = self.twin()
        before = state_of(twin)
        try:
            twin.handle(verb)
        except Conflict as refusal:
            assert state_of(twin) == before, f"{verb} was refused but changed something"
            return refusal
        return None

    # what is asserted on

    @property
    def status(self) -> str:
        return str(self.machine.status)

    @property
    def steps(self) -> dict[str, str]:
        return {each.name: str(self.machine.cell(each.name).status) for each in self.graph.nodes}

    def is_(self, **expected: str) -> bool:
        """Whether these steps have these statuses (in any case)."""
        return {name: self.steps[name].lower() for name in expected} == expected

    @property
    def living(self) -> list[str]:
        return sorted(str(attempt) for attempt in self.alive.values())

    def twin(self) -> m.Machine:
        """A copy of the machine, to try something on."""
        return self.copy_of(self.machine)

    def copy_of(self, machine: m.Machine) -> m.Machine:
        graph = self.graph
        shared = (graph, graph.nodes, graph.needs_of, graph.dependents_of)
        return copy.deepcopy(machine, {id(each): each for each in shared})

    def reloaded(self) -> m.Machine:
        """A machine from the records, as another engine would make it."""
        return m.Machine(self.graph, self.run, self.records)


def state_of(machine: m.Machine) -> tuple[Any, ...]:
    """All that a machine knows, for comparing."""
    board = machine._board
    cells = tuple(repr(cell) for cell in board.cells)
    forward = (tuple(machine._forward._unmet), tuple(machine._forward._absent))
    back = (machine._back._scope, dict(machine._back._unclear), set(machine._back._clear))
    return cells, machine.run_fields(), tuple(machine._timers._heap), len(machine._ready), forward, back
