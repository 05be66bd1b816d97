"""The way back: a step is undone when nothing that depends on it is left.

A step of the scope is *clear* when it has no effect, no attempt of it is alive, and all its dependents are clear. ``unclear[i]``
counts the dependents that are not; each edge is looked at once per rollback. The scope is all steps, all but the ancestors of
``to``, or those to be run again. The last leaves out what did nothing, also where it stands between two steps that did: nothing is
done about such a step, but it is clear only when all its dependents are, so that the order holds across it.
"""

from __future__ import annotations

from collections.abc import Iterable

from provisioning_core.machine._board import Board
from provisioning_core.machine._commands import Note
from provisioning_core.machine._ready import ReadyQueue
from provisioning_core.machine._timers import Timer, Timers
from provisioning_core.model import Direction, StepStatus

_NEVER_MORE = (StepStatus.PENDING, StepStatus.WAITING)
_NOTHING: frozenset[int] = frozenset()


class Back:
    """What happens to steps while they are undone."""

    __slots__ = ("_board", "_clear", "_ready", "_scope", "_timers", "_unclear")

    def __init__(self, board: Board, ready: ReadyQueue, timers: Timers) -> None:
        self._board = board
        self._ready = ready
        self._timers = timers
        self._scope = _NOTHING
        self._unclear: dict[int, int] = {}
        self._clear: dict[int, None] = {}

    @property
    def is_clear(self) -> bool:
        """Whether the whole scope is undone."""
        return len(self._clear) == len(self._unclear)

    def covers(self, i: int) -> bool:
        return i in self._scope

    def begin(self, scope: Iterable[int], at: float) -> None:
        """Start undoing, or take it up again after loading or after a person's verb."""
        board = self._board
        self._scope = frozenset(scope)
        self._clear = {}
        self._unclear = {i: len(board.dependents[i]) for i in board.behind(self._scope)}
        for i in sorted(self._scope):
            if board.cells[i].status in _NEVER_MORE:
                self._ready.discard(i)
                board.move_step(i, StepStatus.CANCELLED, at)
        self.look_at([i for i in sorted(self._unclear, reverse=True) if self._unclear[i] == 0], at)

    def look_at(self, steps: Iterable[int], at: float) -> None:
        """Do what can be done for these steps now."""
        todo = [i for i in steps if self._unclear.get(i) == 0 and i not in self._clear]
        while todo:
            i = todo.pop()
            if i not in self._clear and self._undo(i, at):
                self._clear[i] = None
                todo.extend(self._count_clear(i))

    def _count_clear(self, i: int) -> list[int]:
        found = []
        for need in self._board.needs[i]:
            if need in self._unclear:
                self._unclear[need] -= 1
                if self._unclear[need] == 0:
                    found.append(need)
        return found

    def _undo(self, i: int, at: float) -> bool:
        """Take the next step towards undoing; True when there is nothing left to undo."""
        cell = self._board.cells[i]
        if i not in self._scope:
            return True
        if cell.live is not None or cell.status is StepStatus.COMPENSATION_FAILED:
            return False
        if not cell.effect:
            self._ready.discard(i)
            if cell.status in (StepStatus.RETRYING, StepStatus.IN_DOUBT):
                cell.next_attempt_at = None
                self._board.move_step(i, StepStatus.CANCELLED, at)
            return True
        if cell.status is StepStatus.COMPENSATING and cell.next_attempt_at is not None:
            self._timers.set(cell.next_attempt_at, i, Timer.AGAIN)
            return False
        return self._plan_undo(i, at)

    def _plan_undo(self, i: int, at: float) -> bool:
        node, cell = self._board.nodes[i], self._board.cells[i]
        if not node.has_compensation and not node.retired:
            return self._nothing_to_undo(i, at, Note.NOTHING_TO_UNDO)
        if cell.has_output or node.compensate_on == "started":
            self._ready.push(i, Direction.COMPENSATE)
        elif node.compensate_on == "probe" or (cell.half_done and node.has_probe):
            self._ready.push(i, Direction.PROBE)
        elif cell.half_done:
            self._ready.push(i, Direction.COMPENSATE)
        else:
            return self._nothing_to_undo(i, at, Note.LEFT_NOTHING)
        return False

    def _nothing_to_undo(self, i: int, at: float, note: Note) -> bool:
        cell = self._board.cells[i]
        cell.effect = cell.half_done = cell.has_output = False
        cell.next_attempt_at = None
        self._ready.discard(i)
        self._board.move_step(i, StepStatus.COMPENSATED, at, note)
        return True

    # attempts

    def launch(self, i: int, direction: Direction, at: float) -> None:
        """Note the intent of a compensation, or of the probe before it."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        if cell.status is not StepStatus.COMPENSATING:
            cell.attempt = cell.failures = 0
        cell.attempt += direction is Direction.COMPENSATE
        cell.finished_at = None
        timeout = node.compensation_timeout if direction is Direction.COMPENSATE else node.timeout
        self._board.begin(i, direction, at, timeout)
        if cell.status is not StepStatus.COMPENSATING:
            self._board.move_step(i, StepStatus.COMPENSATING, at)
        if cell.deadline_at is not None:
            self._timers.set(cell.deadline_at, i, Timer.DEADLINE)

    def undone(self, i: int, at: float, note: Note = Note.NONE) -> None:
        """Its compensation is done, or there turned out to be nothing to undo."""
        cell = self._board.cells[i]
        cell.effect = cell.half_done = cell.has_output = False
        cell.finished_at, cell.next_attempt_at = at, None
        self._board.move_step(i, StepStatus.COMPENSATED, at, note)
        self.look_at([i], at)

    def found(self, i: int) -> None:
        """The probe found the effect: undo it."""
        self._board.cells[i].has_output = True
        self._ready.push(i, Direction.COMPENSATE)

    def fail(self, i: int, at: float, *, retryable: bool, retry_after: float | None, chance: float) -> None:
        """A compensation, or the probe before it, raised."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        cell.failures += 1
        if retryable and cell.failures < node.compensation_retry.attempts:
            self.again(i, at, max(node.compensation_retry.delay(cell.failures, chance), retry_after or 0.0))
            return
        cell.finished_at, cell.next_attempt_at = at, None
        self._board.move_step(i, StepStatus.COMPENSATION_FAILED, at)

    def again(self, i: int, at: float, wait: float) -> None:
        """Wait for the next attempt, without a worker."""
        cell = self._board.cells[i]
        cell.next_attempt_at = at + wait
        self._board.touch(i)
        self._timers.set(cell.next_attempt_at, i, Timer.AGAIN)

    def retry_timer(self, i: int, at: float) -> None:
        """The wait is over."""
        self._board.cells[i].next_attempt_at = None
        self._board.touch(i)
        self.look_at([i], at)
