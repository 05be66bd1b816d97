"""The state of one run, and the one gate through which every change of status goes.

The board counts as it goes (steps per status, live attempts, weight that is done), so that whoever asks "what now?" never has to
look at all steps again: a whole run costs O(steps + edges).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter

from provisioning_core.errors import IllegalMove, NotFound
from provisioning_core.machine._commands import Command, Decision, Move, Note, RunMoved, StepMoved, Stop
from provisioning_core.machine._states import RUN_MOVES, STEP_MOVES
from provisioning_core.model import DONE, Direction, Node, PlanGraph, RunRecord, RunStatus, StepRecord, StepStatus, maker


@dataclass(slots=True)
class Cell:
    """What the machine knows of one step: first the fields of :class:`StepRecord` of the same name, then its own."""

    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    failures: int = 0
    token: int = 0
    live: Direction | None = None
    zombie: bool = False
    round: int = 1
    effect: bool = False
    redo: bool = False
    half_done: bool = False
    skip_reason: str = ""
    signalled: bool = False
    started_at: float | None = None
    finished_at: float | None = None
    next_attempt_at: float | None = None
    deadline_at: float | None = None
    has_output: bool = False
    doubted: bool = False
    """Before the live attempt another one ended with an unknown outcome."""
    queued: Direction | None = None
    """What it waits for a worker for."""


CELL_FIELDS = tuple(field.name for field in fields(Cell) if field.name not in {"has_output", "queued", "doubted"})
"""Fields that a cell and a :class:`StepRecord` share."""
_shared = attrgetter(*CELL_FIELDS)
_step_moved = maker(StepMoved, ("step", "old", "new", "at", "attempt", "note"))
_decision = maker(Decision, ("moves", "commands", "touched"))


class Board:
    """One run's graph, cells and run-level facts."""

    __slots__ = (
        "_commands",
        "_done",
        "_done_weight",
        "_members",
        "_moves",
        "_total_weight",
        "_touched",
        "_weights",
        "cancel_rollback",
        "cells",
        "dependents",
        "failed_required",
        "finished_at",
        "forced",
        "graph",
        "live",
        "needs",
        "nodes",
        "pausing",
        "phase",
        "rollback_to",
        "started_at",
        "status",
        "token",
        "zombies",
    )

    def __init__(self, graph: PlanGraph, run: RunRecord, steps: Mapping[str, StepRecord], weights: Mapping[str, float]) -> None:
        self.graph = graph
        self.nodes: tuple[Node, ...] = graph.nodes
        self.needs = graph.needs_of
        self.dependents = graph.dependents_of
        self.cells = [_cell(steps.get(node.name), node) for node in graph.nodes]
        self.status = run.status
        self.phase = run.phase
        self.token = run.token
        self.pausing = run.pausing
        self.cancel_rollback = run.cancel_rollback
        self.rollback_to = run.rollback_to
        self.forced = run.forced
        self.started_at = run.started_at
        self.finished_at = run.finished_at
        self._members: defaultdict[StepStatus, set[int]] = defaultdict(set)
        for i, cell in enumerate(self.cells):
            self._members[cell.status].add(i)
        self.live = sum(cell.live is not None for cell in self.cells)
        self.zombies: dict[int, None] = dict.fromkeys(i for i, cell in enumerate(self.cells) if cell.zombie)
        self.failed_required = 0
        self._weights = [max(weights.get(node.name, 1.0 if node.weight is None else node.weight), 0.0) for node in graph.nodes]
        self._total_weight = sum(self._weights)
        self._done, self._done_weight = 0, 0.0
        for i in range(len(self.cells)):
            self._count(i, 1)
        self._moves: list[Move] = []
        self._commands: list[Command] = []
        self._touched: dict[int, None] = {}

    # the gate

    def move_step(self, i: int, new: StepStatus, at: float, note: Note = Note.NONE) -> None:
        """Change a step's status, if the table allows it."""
        cell = self.cells[i]
        old = cell.status
        if new not in STEP_MOVES[old]:
            raise IllegalMove(f"step {self.nodes[i].name!r} can't go from {old} to {new} (run is {self.status}).")
        self._count(i, -1)
        cell.status = new
        self._count(i, 1)
        self._members[old].discard(i)
        self._members[new].add(i)
        self.touch(i)
        self._moves.append(_step_moved(self.nodes[i].name, old, new, at, cell.attempt, note))

    def move_run(self, new: RunStatus, at: float, note: Note = Note.NONE) -> None:
        """Change the run's status, if the table allows it. Staying where it is, is no move."""
        if new is self.status:
            return
        if new not in RUN_MOVES[self.status]:
            raise IllegalMove(f"the run can't go from {self.status} to {new}.")
        if new is RunStatus.ROLLED_BACK and any(cell.effect for cell in self.cells):
            raise self._refuse(new, "undone", (i for i, cell in enumerate(self.cells) if cell.effect))
        if new is RunStatus.SUCCEEDED and not self.is_done:
            raise self._refuse(new, "done", (i for i in range(len(self.cells)) if not self.is_settled(i)))
        self._moves.append(RunMoved(old=self.status, new=new, at=at, note=note))
        self.status = new
        self.started_at = self.started_at or (at if new is RunStatus.RUNNING else None)
        self.finished_at = None if new.moves or new in _UNFINISHED else at

    def _refuse(self, new: RunStatus, what: str, left: Iterable[int]) -> IllegalMove:
        return IllegalMove(f"the run can't be {new} while these are not {what}: {', '.join(self.names(left))}.")

    # attempts

    def begin(self, i: int, direction: Direction, at: float, timeout: float | None) -> None:
        """Note the intent of an attempt."""
        cell = self.cells[i]
        self.token += 1
        cell.token = self.token
        cell.live = direction
        cell.queued = None
        cell.next_attempt_at = None
        cell.deadline_at = None if timeout is None else at + timeout
        self.live += 1
        self.touch(i)

    def end(self, i: int) -> None:
        """Note that the live attempt of a step has ended."""
        cell = self.cells[i]
        self.live -= 1
        self.zombies.pop(i, None)
        cell.live = None
        cell.zombie = False
        cell.deadline_at = None
        self.touch(i)

    def give_up_on(self, i: int) -> None:
        """The live attempt's result will be refused, but it may still be alive."""
        cell = self.cells[i]
        cell.zombie = True
        cell.deadline_at = None
        self.zombies[i] = None
        self.command(Stop(step=self.nodes[i].name, token=cell.token))
        self.touch(i)

    def stop_live(self, among: Iterable[int] | None = None) -> None:
        """Ask running forward attempts to end."""
        for i in range(len(self.cells)) if among is None else among:
            cell = self.cells[i]
            if cell.live is Direction.FORWARD and not cell.zombie:
                self.command(Stop(step=self.nodes[i].name, token=cell.token))

    # what others read

    def position(self, step: str) -> int:
        """The index of a step. Raises NotFound."""
        try:
            return self.graph.index[step]
        except KeyError:
            known = ", ".join(node.name for node in self.nodes[:20])
            raise NotFound(f"the run has no step {step!r}.", code="step_not_found", hint=f"Its steps: {known}.") from None

    def names(self, indices: Iterable[int]) -> list[str]:
        return [self.nodes[i].name for i in indices]

    def count(self, *statuses: StepStatus) -> int:
        """How many steps have one of these statuses."""
        return sum(len(self._members.get(status, ())) for status in statuses)

    def where(self, *statuses: StepStatus) -> list[int]:
        """Indices of the steps in these statuses, in order; looks at no others."""
        return sorted(i for status in statuses for i in self._members.get(status, ()))

    @property
    def has_plans(self) -> bool:
        """Whether a step in doubt is to be settled, or a gate opens, without a person."""
        members = (i for status in _WAIT for i in self._members.get(status, ()))
        return any(self.cells[i].next_attempt_at is not None for i in members)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is alive but attempts that were given up."""
        return self.live == len(self.zombies)

    def behind(self, steps: Iterable[int]) -> set[int]:
        """All that need these steps, directly or not, and they themselves."""
        names = self.graph.descendants(self.names(steps))
        return {self.graph.index[name] for name in names}

    def delivers(self, i: int) -> bool:
        """Whether a step hands an output (possibly None) to those that need it."""
        cell = self.cells[i]
        return cell.status is StepStatus.SUCCEEDED or (cell.status is StepStatus.SKIPPED and cell.skip_reason == "person")

    def is_settled(self, i: int) -> bool:
        """Whether those that need a step need not wait for it any more: it is done, or failed and is optional."""
        status = self.cells[i].status
        return status in DONE or (status is StepStatus.FAILED and self.nodes[i].optional)

    @property
    def is_done(self) -> bool:
        """Whether every step is settled."""
        return self._done == len(self.cells)

    @property
    def is_halted(self) -> bool:
        """A required step failed, and the plan does not let other branches go on."""
        return self.failed_required > 0 and self.graph.on_failure != "finish"

    @property
    def progress(self) -> float:
        """Share of the work that is done, by weight: 0.0 to 1.0."""
        if self.is_done:
            return 1.0
        if self._total_weight <= 0:
            return self._done / len(self.cells)
        return min(max(self._done_weight / self._total_weight, 0.0), 0.9999)

    def weight_share(self, step: str) -> float:
        """The share of the whole that one step is."""
        return self._weights[self.graph.index[step]] / self._total_weight if self._total_weight > 0 else 0.0

    # collecting a decision

    def touch(self, i: int) -> None:
        self._touched[i] = None

    def command(self, command: Command) -> None:
        self._commands.append(command)

    def take_decision(self) -> Decision:
        """All that was decided since the last call."""
        decision = _decision(tuple(self._moves), tuple(self._commands), tuple([self.nodes[i].name for i in self._touched]))
        self._moves, self._commands, self._touched = [], [], {}
        return decision

    def _count(self, i: int, sign: int) -> None:
        """Take a step into the counts by what its status is now (1), or out of them (-1)."""
        if self.is_settled(i):
            self._done += sign
            self._done_weight += sign * self._weights[i]
        elif self.cells[i].status is StepStatus.FAILED:
            self.failed_required += sign


_WAIT = (StepStatus.IN_DOUBT, StepStatus.WAITING)
_UNFINISHED = frozenset({RunStatus.WAITING, RunStatus.PAUSED})


def _cell(record: StepRecord | None, node: Node) -> Cell:
    if record is None:
        return Cell()
    cell = Cell(*_shared(record))
    cell.has_output = _has_output(record, node)
    return cell


def _has_output(record: StepRecord, node: Node) -> bool:
    """Whether it is done, or was when its undoing began; a person may have said so without giving an output."""
    by_hand = record.status is StepStatus.SKIPPED and record.skip_reason == "person"
    if record.output is not None or record.status is StepStatus.SUCCEEDED or by_hand:
        return True
    is_being_undone = record.status in (StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED)
    return is_being_undone and node.compensate_on == "succeeded" and record.effect and not record.half_done
