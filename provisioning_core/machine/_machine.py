"""The machine: one run's state and what follows from what has happened. Pure: no clock, no dice, no threads, no I/O.

Theory of operation. A run is a :class:`Board` (graph, cells, counters) on which two sets of rules work: :class:`Forward` launches
steps whose needs are settled, :class:`Back` undoes steps whose dependents are undone. :class:`Course` says after every event where
the run stands, and lets it turn round; :class:`Verbs` says what a person may ask for. Nothing is launched by itself: what is ready
queues (:class:`ReadyQueue`) until the engine offers capacity, because the intent of an attempt is recorded only when there is a
worker for it. Everything is counted as it happens, so a whole run costs O(steps + edges).

Attempts are told apart by their token. A result that carries another token than the cell's is of an attempt that was given up long
ago, and is dropped. An attempt that is given up (its time was up) but may still be alive is a *zombie*: the step is neither run again
nor undone until its end is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, assert_never

from provisioning_core.errors import IllegalMove
from provisioning_core.machine._back import Back
from provisioning_core.machine._board import CELL_FIELDS, Board, Cell
from provisioning_core.machine._commands import Decision, Launch, Note
from provisioning_core.machine._course import Course
from provisioning_core.machine._events import (
    AttemptFailed,
    AttemptLost,
    AttemptNotReady,
    AttemptSucceeded,
    CapacityOffered,
    MachineEvent,
    ProbeFound,
    ProbeMissed,
    Report,
    TakenUp,
    TimePassed,
    Verb,
)
from provisioning_core.machine._forward import Forward
from provisioning_core.machine._ready import ReadyQueue
from provisioning_core.machine._timers import Timer, Timers
from provisioning_core.machine._verbs import Verbs
from provisioning_core.model import Direction, Phase, PlanGraph, RunRecord, RunStatus, StepRecord, StepStatus, maker

_ENDS: Mapping[Direction, tuple[type[Report], ...]] = {
    Direction.FORWARD: (AttemptSucceeded, AttemptFailed, AttemptLost, AttemptNotReady),
    Direction.COMPENSATE: (AttemptSucceeded, AttemptFailed, AttemptLost, AttemptNotReady),
    Direction.PROBE: (ProbeFound, ProbeMissed, AttemptFailed, AttemptLost, AttemptNotReady),
}

_RUN_FIELDS = ("status", "phase", "token", "pausing", "cancel_rollback", "rollback_to", "forced", "started_at", "finished_at")
_launch = maker(Launch, ("step", "direction", "token", "attempt", "deadline_at"))
_run_values, _cell_values = attrgetter(*_RUN_FIELDS), attrgetter(*CELL_FIELDS)


class Machine:
    """One run. Feed it events in the order they happened; the first is :class:`TakenUp`."""

    __slots__ = ("_back", "_board", "_course", "_forward", "_ready", "_timers", "_verbs")

    def __init__(
        self, graph: PlanGraph, run: RunRecord, steps: Mapping[str, StepRecord], weights: Mapping[str, float] | None = None
    ) -> None:
        self._board = Board(graph, run, steps, weights or {})
        self._ready = ReadyQueue(self._board)
        self._timers = Timers(self._board)
        self._forward = Forward(self._board, self._ready, self._timers)
        self._back = Back(self._board, self._ready, self._timers)
        self._course = Course(self._board, self._ready, self._forward, self._back)
        self._verbs = Verbs(self._board, self._ready, self._forward, self._course)

    # what the engine reads

    @property
    def graph(self) -> PlanGraph:
        return self._board.graph

    @property
    def status(self) -> RunStatus:
        return self._board.status

    @property
    def wanting(self) -> int:
        """How many attempts could be launched now."""
        return len(self._ready) if self._course.launches else 0

    @property
    def live(self) -> int:
        """Attempts that have not ended, zombies included."""
        return self._board.live

    @property
    def next_timer_at(self) -> float | None:
        """When :class:`TimePassed` must be told at the latest."""
        return self._timers.next_at

    @property
    def progress(self) -> float:
        return self._board.progress

    def weight_share(self, step: str) -> float:
        """The share of the whole run that one step is."""
        return self._board.weight_share(step)

    def cell(self, step: str) -> Cell:
        """A step's present state; to be read only."""
        return self._board.cells[self._board.position(step)]

    def step_values(self, step: str) -> tuple[Any, ...]:
        """What the machine decides of the step's :class:`StepRecord`: the values of ``CELL_FIELDS``."""
        values: tuple[Any, ...] = _cell_values(self.cell(step))
        return values

    def run_fields(self) -> dict[str, object]:
        """The fields of the :class:`RunRecord` that the machine decides."""
        return dict(zip(_RUN_FIELDS, _run_values(self._board), strict=True))

    def allowed_actions(self) -> tuple[str, ...]:
        """The verbs that would be accepted now."""
        return self._verbs.allowed()

    # what happens

    def handle(self, event: MachineEvent) -> Decision:
        """Take an event in; gives back what to record and what to do then.

        Raises Conflict, NotFound or InvalidInput for a verb that is refused (nothing changed), and IllegalMove when the event can't
        be: the run must then be set aside.
        """
        match event:
            case TakenUp():
                self._take_up(event)
            case CapacityOffered():
                self._launch(event)
            case TimePassed():
                self._pass_time(event)
            case AttemptSucceeded() | AttemptFailed() | AttemptLost() | AttemptNotReady() | ProbeFound() | ProbeMissed():
                self._report(event)
            case _:
                self._handle_verb(event)
        return self._board.take_decision()

    def _handle_verb(self, verb: Verb) -> None:
        self._verbs.handle(verb)

    # taking up

    def _take_up(self, event: TakenUp) -> None:
        board = self._board
        if event.only_look:
            self._course.look(event.at)
            return
        if board.status is RunStatus.PENDING:
            board.move_run(RunStatus.RUNNING, event.at)
        for i, cell in enumerate(board.cells):
            if cell.live is not None:
                self._lose_with_engine(i, event)
        self._course.look(event.at)
        if board.status.moves:
            self._course.settle(event.at)

    def _lose_with_engine(self, i: int, event: TakenUp) -> None:
        cell, direction = self._board.cells[i], self._board.cells[i].live
        name = self._board.nodes[i].name
        is_completed = name in event.completed
        if is_completed or name not in event.zombies:
            self._board.end(i)
        elif not cell.zombie:
            self._board.give_up_on(i)
        if direction is Direction.PROBE:
            self._lose_probe(i, event.at)
        elif cell.status is StepStatus.RUNNING and is_completed:
            self._forward.succeed(i, event.at)
        elif cell.status is StepStatus.RUNNING:
            self._forward.doubt(i, event.at, Note.ENGINE_LOST, event.chance)

    def _lose_probe(self, i: int, at: float) -> None:
        """What it would have answered is not known. One before a compensation is planned anew with that."""
        if self._board.cells[i].status is StepStatus.IN_DOUBT:
            self._forward.ask_again(i, at)

    # launching

    def _launch(self, event: CapacityOffered) -> None:
        if not self._course.launches:
            return
        for i, direction in self._ready.take(event.slots, event.limits):
            if self._goes_back(i):
                self._back.launch(i, direction, event.at)
            elif direction is Direction.PROBE:
                self._forward.launch_probe(i, event.at)
            else:
                self._forward.launch(i, event.at)
            self._command_launch(i, direction)

    def _command_launch(self, i: int, direction: Direction) -> None:
        cell = self._board.cells[i]
        self._board.command(_launch(self._board.nodes[i].name, direction, cell.token, cell.attempt, cell.deadline_at))

    def _goes_back(self, i: int) -> bool:
        return self._board.phase is not Phase.FORWARD and self._back.covers(i)

    # time

    def _pass_time(self, event: TimePassed) -> None:
        for i, kind in self._timers.due(event.at):
            self._go_off(i, kind, event)
            self._course.settle(event.at)

    def _go_off(self, i: int, kind: Timer, event: TimePassed) -> None:
        match kind:
            case Timer.DEADLINE:
                self._time_is_up(i, event.at, event.chance)
            case Timer.AGAIN:
                if self._board.cells[i].status is StepStatus.COMPENSATING:
                    self._back.retry_timer(i, event.at)
                else:
                    self._forward.schedule(i, event.at)
            case Timer.GATE:
                if self._board.status in (RunStatus.RUNNING, RunStatus.WAITING):
                    self._forward.gate_timer(i, event.at)
            case _:
                assert_never(kind)

    def _time_is_up(self, i: int, at: float, chance: float) -> None:
        direction = self._board.cells[i].live
        self._board.give_up_on(i)
        if direction is Direction.FORWARD:
            self._forward.doubt(i, at, Note.TIMEOUT, chance)

    # how attempts end

    def _report(self, event: Report) -> None:
        i = self._board.position(event.step)
        cell = self._board.cells[i]
        if cell.live is None or cell.token != event.token:
            return
        if not isinstance(event, _ENDS[cell.live]):
            raise IllegalMove(f"an attempt to {cell.live} {event.step!r} can't end with {type(event).__name__}.")
        chance = getattr(event, "chance", 0.5)
        if not cell.zombie and cell.deadline_at is not None and event.at > cell.deadline_at:
            self._time_is_up(i, event.at, chance)
        direction, was_zombie = cell.live, cell.zombie
        self._board.end(i)
        if direction is Direction.FORWARD and was_zombie:
            self._forward.zombie_gone(i, event.at)
        elif direction is Direction.FORWARD:
            self._report_forward(i, event)
        elif isinstance(event, AttemptLost):
            self._lose_probe(i, event.at)
        else:
            self._report_other(i, _refused(event, chance) if was_zombie else event)
        if self._goes_back(i):
            self._back.look_at([i], event.at)
        self._course.settle(event.at)

    def _report_forward(self, i: int, event: Report) -> None:
        match event:
            case AttemptSucceeded():
                self._forward.succeed(i, event.at)
            case AttemptFailed(interrupted=True):
                self._forward.doubt(i, event.at, Note.INTERRUPTED, event.chance)
            case AttemptFailed():
                self._forward.fail(i, event.at, retryable=event.retryable, retry_after=event.retry_after, chance=event.chance)
            case AttemptLost():
                self._forward.doubt(i, event.at, Note.ENGINE_LOST, event.chance)
            case AttemptNotReady():
                self._forward.poll(i, event.at, event.after)

    def _report_other(self, i: int, event: Report) -> None:
        """A compensation, or a probe: of what is undone, or of what is in doubt."""
        if self._board.cells[i].status is StepStatus.COMPENSATING:
            self._report_back(i, event)
        else:
            self._report_probe(i, event)

    def _report_probe(self, i: int, event: Report) -> None:
        match event:
            case ProbeFound():
                self._forward.succeed(i, event.at, Note.PROBED)
            case ProbeMissed():
                self._forward.probe_missed(i, event.at)
            case AttemptFailed():
                self._forward.probe_failed(i, event.at, retryable=event.retryable, chance=event.chance)
            case AttemptNotReady():
                self._forward.probe_failed(i, event.at, retryable=True, chance=0.5)

    def _report_back(self, i: int, event: Report) -> None:
        match event:
            case AttemptSucceeded():
                self._back.undone(i, event.at)
            case ProbeFound():
                self._back.found(i)
            case ProbeMissed():
                self._back.undone(i, event.at, Note.NOTHING_FOUND)
            case AttemptFailed():
                self._back.fail(i, event.at, retryable=event.retryable, retry_after=event.retry_after, chance=event.chance)
            case AttemptNotReady():
                self._back.again(i, event.at, event.after)


def _refused(event: Report, chance: float) -> AttemptFailed:
    """The result of an attempt that was given up: it does not count, whatever it is."""
    return AttemptFailed(at=event.at, step=event.step, token=event.token, chance=chance)
