"""Letting steps run again: what failed, what was named, what was undone."""

from __future__ import annotations

from collections.abc import Collection

from provisioning_core.machine._board import Board
from provisioning_core.machine._course import Course
from provisioning_core.machine._forward import Forward
from provisioning_core.model import Phase
from provisioning_core.model import RunStatus as R
from provisioning_core.model import StepStatus as S


class Again:
    """What a person's wish to go on means for each step. Whether it may be wished for now, was asked before."""

    __slots__ = ("_board", "_course", "_forward")

    def __init__(self, board: Board, forward: Forward, course: Course) -> None:
        self._board = board
        self._forward = forward
        self._course = course

    def steps(self, steps: list[int], at: float) -> None:
        """These, and all that depends on them, even if they had succeeded."""
        again = self._board.behind(steps)
        undo = self._undone_first(again)
        for i in sorted(again - undo):
            if self.takes_part(i):
                self._course.reset(i, at)
        self.reopen(at, failed=False, but=undo)
        self._course.begin_redo(undo, at)

    def _undone_first(self, again: set[int]) -> set[int]:
        """What succeeded, or is still under way; and what was only begun, if it stands behind that."""
        cells = self._board.cells
        done = {i for i in again if cells[i].effect and cells[i].has_output}
        under_way = {i for i in again if cells[i].status in (S.IN_DOUBT, S.RETRYING, S.WAITING)}
        return under_way | {i for i in self._board.behind(done | under_way) if cells[i].effect}

    def takes_part(self, i: int) -> bool:
        """Whether its condition is true."""
        return self._board.cells[i].skip_reason != "condition"

    def compensations(self, at: float) -> None:
        """Those that failed, with a fresh budget."""
        for i in self._board.where(S.COMPENSATION_FAILED):
            cell = self._board.cells[i]
            cell.attempt = cell.failures = 0
            cell.next_attempt_at = None
            self._board.move_step(i, S.COMPENSATING, at)

    def anew(self, at: float) -> None:
        """Everything, after a rollback."""
        board = self._board
        board.phase, board.forced, board.rollback_to = Phase.FORWARD, False, None
        for i in range(len(board.cells)):
            if self.takes_part(i):
                self._course.reset(i, at)
        self._course.go_forward(at)

    def go_on(self, at: float) -> None:
        """All that is not done, failures included."""
        if self._board.phase is Phase.REDO:
            self.reopen(at, failed=True, but={i for i, cell in enumerate(self._board.cells) if cell.redo})
            self.compensations(at)
            self._board.move_run(R.RUNNING, at)
            self._course.resume_back(at)
            return
        self.reopen(at, failed=True)
        self._forward.ask_anew(at)
        self._course.go_forward(at)

    def reopen(self, at: float, *, failed: bool, but: Collection[int] = ()) -> None:
        """Let everything that is not done run (again). Steps stand in topological order, so one pass sees all consequences."""
        held = self._done_without(but)
        for i in range(len(self._board.cells)):
            if i not in but and i not in held and self._is_open(i, failed=failed):
                self._course.reset(i, at)

    def _done_without(self, but: Collection[int]) -> set[int]:
        """Skipped steps that something under way does without: they stay so, or it would go on before what it needs."""
        board, held = self._board, set[int]()
        todo = [i for i in board.where(S.RUNNING, S.RETRYING, S.IN_DOUBT) if i not in but]
        while todo:
            for need in board.needs[todo.pop()]:
                cell = board.cells[need]
                if need not in held and cell.status is S.SKIPPED and cell.skip_reason == "absent":
                    held.add(need)
                    todo.append(need)
        return held

    def _is_open(self, i: int, *, failed: bool) -> bool:
        match self._board.cells[i].status:
            case S.FAILED:
                return failed and (not self._board.nodes[i].optional or self._nobody_went_on_without(i))
            case S.CANCELLED | S.COMPENSATED:
                return True
            case S.SKIPPED:
                return self._board.cells[i].skip_reason == "absent" and not self._stays_absent(i)
            case _:
                return False

    def _stays_absent(self, i: int) -> bool:
        """Whether something it needs is settled and delivers nothing, as before."""
        board, tolerates = self._board, self._board.nodes[i].tolerates
        needs = board.needs[i]
        if any(not board.is_settled(need) for need in needs):
            return False
        return any(not board.delivers(need) and board.nodes[need].name not in tolerates for need in needs)

    def _nobody_went_on_without(self, i: int) -> bool:
        """Neither those that need it, nor those behind them that do without what was skipped because it needs it."""
        todo, seen = [i], {i}
        while todo:
            for dependent in self._board.dependents[todo.pop()]:
                cell = self._board.cells[dependent]
                if cell.status is S.SKIPPED and cell.skip_reason == "absent":
                    todo.extend({dependent} - seen)
                    seen.add(dependent)
                elif cell.status not in (S.PENDING, S.BLOCKED, S.CANCELLED):
                    return False
        return True
