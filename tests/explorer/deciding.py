"""Asks the real machine. It is made anew from the records for each question, and each question is asked once.

That a machine made from the records decides like the one that wrote them is itself a promise, and is checked here as well: one
that only looks has nothing to decide.
"""

from __future__ import annotations

from typing import NamedTuple

from explorer.model import DUE, LATER, Moved, Order, Records, Run, Step
from provisioning_core import machine as m
from provisioning_core.errors import Conflict
from provisioning_core.model import PlanGraph, RunRecord, StepRecord

_RUN_FIELDS = Run._fields
_STEP_FIELDS = tuple(name for name in Step._fields if name not in ("has_output", "doubted"))


class Decided(NamedTuple):
    """What an event leads to."""

    records: Records
    moves: tuple[Moved, ...] = ()
    orders: tuple[Order, ...] = ()
    is_changed: bool = False
    is_refused: bool = False


class MachineBroke(Exception):
    """The machine raised what it must not."""


class Decider:
    """Machines of one plan. ``machine`` is the class; mutations hand in others."""

    def __init__(self, graph: PlanGraph, machine: type[m.Machine] = m.Machine) -> None:
        self.graph = graph
        self.needs = graph.needs_of
        self.dependents = graph.dependents_of
        self._class = machine
        self._known: dict[tuple[Records, m.MachineEvent | str], Decided] = {}

    def decide(self, records: Records, event: m.MachineEvent) -> Decided:
        """Let the machine handle an event. Raises MachineBroke."""
        key = (records, event)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._ask(records, event)
        return found

    def turn(self, records: Records) -> Decided:
        """Let timers go off that are due, and offer as many workers as there can be."""
        key = (records, "turn")
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._ask(records, m.TimePassed(at=DUE), m.CapacityOffered(at=DUE, slots=99))
        return found

    def _ask(self, records: Records, *events: m.MachineEvent) -> Decided:
        machine = self._machine(records)
        try:
            if not isinstance(events[0], m.TakenUp):
                looked = machine.handle(m.TakenUp(at=DUE, only_look=True))
                if looked.moves:
                    raise MachineBroke(f"made from its records it decides anew: {looked.moves}")
            decisions = [machine.handle(event) for event in events]
        except Conflict:
            return Decided(records, is_refused=True)
        except MachineBroke:
            raise
        except Exception as error:
            raise MachineBroke(f"{type(error).__name__}: {error}") from error
        return self._taken(machine, decisions)

    def _machine(self, records: Records) -> m.Machine:
        run = RunRecord(id="r", plan="explored", plan_version="1", fingerprint="", subject="s", **records.run._asdict())
        steps = {
            node.name: StepRecord(
                name=node.name, output="1" if step.has_output else None, **dict(zip(_STEP_FIELDS, _stored(step), strict=True))
            )
            for node, step in zip(self.graph.nodes, records.steps, strict=True)
        }
        machine = self._class(self.graph, run, steps)
        for i, step in enumerate(records.steps):
            machine._board.cells[i].doubted = step.doubted
            machine._forward._set_deadline(i)
        return machine

    def _taken(self, machine: m.Machine, decisions: list[m.Decision]) -> Decided:
        index = self.graph.index
        moves = tuple(
            Moved(index[move.step] if isinstance(move, m.StepMoved) else None, move.old, move.new)
            for decision in decisions
            for move in decision.moves
        )
        orders = tuple(
            Order(index[command.step], command.direction, command.token)
            for decision in decisions
            for command in decision.commands
            if isinstance(command, m.Launch)
        )
        is_changed = any(decision.moves or decision.touched or decision.commands for decision in decisions)
        run = machine.run_fields()
        steps = tuple(_step(cell) for cell in machine._board.cells)
        return Decided(Records(Run(*[run[name] for name in _RUN_FIELDS]), steps), moves, orders, is_changed)  # type: ignore[arg-type]


def _stored(step: Step) -> tuple[object, ...]:
    return step[:13]


def _step(cell: m.Cell) -> Step:
    fields = {name: getattr(cell, name) for name in Step._fields}
    if cell.next_attempt_at is not None:
        fields["next_attempt_at"] = DUE if cell.next_attempt_at <= DUE else LATER
    if cell.live is None:
        fields["doubted"] = False
    return Step(**fields)
