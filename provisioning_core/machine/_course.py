"""Which way the run goes: after every event it is settled where it stands now; here it turns round, and here it ends."""

from __future__ import annotations

from provisioning_core.machine._back import Back
from provisioning_core.machine._board import Board
from provisioning_core.machine._commands import Note
from provisioning_core.machine._forward import Forward
from provisioning_core.machine._ready import ReadyQueue
from provisioning_core.model import Phase, RunStatus, StepStatus


class Course:
    """The run's own status, and its turns."""

    __slots__ = ("_back", "_board", "_forward", "_ready")

    def __init__(self, board: Board, ready: ReadyQueue, forward: Forward, back: Back) -> None:
        self._board = board
        self._ready = ready
        self._forward = forward
        self._back = back

    @property
    def launches(self) -> bool:
        """Whether anything new may start now."""
        board = self._board
        if board.status is RunStatus.ROLLING_BACK:
            return True
        return board.status is RunStatus.RUNNING and not board.pausing and not (board.phase is Phase.FORWARD and board.is_halted)

    def settle(self, at: float) -> None:
        """Move the run to where it stands now."""
        match self._board.status:
            case RunStatus.RUNNING | RunStatus.WAITING if self._board.phase is Phase.REDO:
                self._settle_redo(at)
            case RunStatus.RUNNING | RunStatus.WAITING:
                self._settle_forward(at)
            case RunStatus.CANCELLING if self._board.live == 0:
                self._end_cancelling(at)
            case RunStatus.ROLLING_BACK:
                self._settle_back(at)

    def _settle_forward(self, at: float) -> None:
        board = self._board
        if board.failed_required and board.graph.on_failure == "rollback" and self._turn_back(at):
            return
        if board.pausing and board.is_idle:
            self.rest_paused(at)
        elif self._moves_forward():
            board.move_run(RunStatus.RUNNING, at)
        elif not board.is_halted and board.count(StepStatus.WAITING, StepStatus.IN_DOUBT):
            board.move_run(RunStatus.WAITING, at)
        elif board.failed_required:
            board.move_run(RunStatus.FAILED, at, Note.IRREVERSIBLE if board.graph.on_failure == "rollback" else Note.NONE)
        else:
            board.move_run(RunStatus.SUCCEEDED, at)

    def _moves_forward(self) -> bool:
        """Whether the engine itself, or time, takes the run on."""
        board = self._board
        if not board.is_idle or self._waits_for_zombie(StepStatus.IN_DOUBT):
            return True
        if board.is_halted or board.pausing:
            return False
        if len(self._ready) > 0 or board.count(StepStatus.RETRYING) > 0 or board.has_plans:
            return True
        return self._waits_for_zombie(StepStatus.PENDING)

    def _waits_for_zombie(self, status: StepStatus) -> bool:
        """Whether a step of this status goes on as soon as its given-up attempt has ended."""
        return any(self._board.cells[i].status is status for i in self._board.zombies)

    def rest_paused(self, at: float) -> None:
        self._board.pausing = False
        self._board.move_run(RunStatus.PAUSED, at)

    def _turn_back(self, at: float) -> bool:
        """The plan says: roll back when a step fails. Not over an irreversible step: then the run halts and fails."""
        if self.pivots(range(len(self._board.nodes))):
            self._forward.halt(at)
            return False
        self.begin_rollback(at, note=Note.STEP_FAILED)
        return True

    def _end_cancelling(self, at: float) -> None:
        if self._board.cancel_rollback:
            self.begin_rollback(at, note=Note.CANCELLED)
        else:
            self._board.move_run(RunStatus.CANCELLED, at)

    # the way back

    def pivots(self, scope: range | list[int]) -> list[int]:
        """Irreversible steps of the scope that have, or may have, had their effect."""
        cells, nodes = self._board.cells, self._board.nodes
        return [i for i in scope if nodes[i].irreversible and cells[i].effect and (cells[i].has_output or cells[i].half_done)]

    def scope(self, to: str | None) -> list[int]:
        """What a rollback undoes: everything, or everything but ``to`` and what it depends on."""
        if to is None:
            return list(range(len(self._board.nodes)))
        kept = self._board.graph.ancestors([to])
        return [i for i, node in enumerate(self._board.nodes) if node.name not in kept]

    def begin_rollback(self, at: float, *, to: str | None = None, force: bool = False, note: Note = Note.NONE) -> None:
        """Turn round. Attempts under way are asked to end; what stands behind them is undone meanwhile."""
        board = self._board
        board.phase, board.rollback_to, board.forced = Phase.BACK, to, force or board.forced
        board.pausing = board.cancel_rollback = False
        self._ready.clear()
        self._mark_redo(set())
        board.move_run(RunStatus.ROLLING_BACK, at, note)
        scope = self.scope(to)
        board.stop_live(scope)
        self._back.begin(scope, at)
        self._settle_back(at)

    def look(self, at: float) -> None:
        """Find out from the cells what is ready, what waits, and what is to be undone."""
        board = self._board
        self._ready.clear()
        if board.phase is Phase.FORWARD:
            self._forward.rebuild(at)
            self._forward.wake(at)
        elif board.status.moves:
            self._back.begin(self._redo_scope() if board.phase is Phase.REDO else self.scope(board.rollback_to), at)

    def resume_back(self, at: float) -> None:
        """Take a rollback, or a redo, up again."""
        self.look(at)
        self.settle(at)

    def look_back(self, i: int, at: float) -> None:
        """A person said how a step stands that is being undone."""
        self._back.look_at([i], at)
        self.settle(at)

    def _settle_back(self, at: float) -> None:
        board = self._board
        if board.live or len(self._ready) or board.count(StepStatus.COMPENSATING):
            return
        if board.count(StepStatus.COMPENSATION_FAILED):
            board.move_run(RunStatus.ROLLBACK_FAILED, at)
        elif board.rollback_to is not None:
            board.phase, board.rollback_to, board.forced = Phase.FORWARD, None, False
            board.move_run(RunStatus.PAUSED, at, Note.AS_FAR_AS_ASKED)
        else:
            board.move_run(RunStatus.ROLLED_BACK, at)

    # running again

    def begin_redo(self, steps: set[int], at: float) -> None:
        """Undo these steps, and then go forward again. Each that succeeded is compensated first, where it can be."""
        board = self._board
        self._mark_redo(steps)
        board.phase = Phase.REDO
        board.move_run(RunStatus.RUNNING, at)
        self.resume_back(at)

    def _mark_redo(self, steps: set[int]) -> None:
        for i in {*self._redo_scope(), *steps}:
            self._board.cells[i].redo = i in steps
            self._board.touch(i)

    def _redo_scope(self) -> list[int]:
        return [i for i, cell in enumerate(self._board.cells) if cell.redo]

    def _settle_redo(self, at: float) -> None:
        board = self._board
        if self._back.is_clear:
            self._end_redo(at)
        elif board.pausing and board.is_idle:
            self.rest_paused(at)
        elif not board.live and not len(self._ready) and not board.count(StepStatus.COMPENSATING):
            board.move_run(RunStatus.FAILED, at, Note.COMPENSATION_FAILED)

    def _end_redo(self, at: float) -> None:
        for i in self._redo_scope():
            self._board.cells[i].redo = False
            self.reset(i, at)
        self._board.phase = Phase.FORWARD
        self.go_forward(at)

    def reset(self, i: int, at: float) -> None:
        """Let a step run again, with a fresh budget; anew, under another key, if it had been undone."""
        board, cell = self._board, self._board.cells[i]
        if cell.status is StepStatus.PENDING:
            return
        if cell.status in (StepStatus.COMPENSATED, StepStatus.SUCCEEDED):
            cell.round += 1
            cell.signalled = False
        cell.attempt = cell.failures = 0
        cell.has_output, cell.skip_reason = False, ""
        cell.started_at = cell.finished_at = cell.next_attempt_at = cell.deadline_at = None
        board.move_step(i, StepStatus.PENDING, at)
        if board.nodes[i].retired:
            cell.skip_reason = "retired"
            board.move_step(i, StepStatus.SKIPPED, at)

    def go_forward(self, at: float) -> None:
        """Go on with what is not done."""
        self._board.move_run(RunStatus.RUNNING, at)
        self.look(at)
        self.settle(at)
