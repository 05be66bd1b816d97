"""The way forward: a step is ready when all it needs is settled; failures block, skips cascade, doubts are settled by policy.

``unmet[i]`` counts the needs of step *i* that are not settled, so that each edge is looked at once per run (dataflow, no levels).
"""

from __future__ import annotations

from collections import deque

from provisioning_core.machine._board import Board
from provisioning_core.machine._commands import Note
from provisioning_core.machine._ready import ReadyQueue
from provisioning_core.machine._timers import Timer, Timers, opens_at
from provisioning_core.model import Direction, Phase, RunStatus, StepStatus


class Forward:
    """What happens to steps while the run goes forward."""

    __slots__ = ("_absent", "_board", "_ready", "_timers", "_unmet")

    def __init__(self, board: Board, ready: ReadyQueue, timers: Timers) -> None:
        self._board = board
        self._ready = ready
        self._timers = timers
        self._unmet = [0] * len(board.nodes)
        self._absent = [False] * len(board.nodes)

    # the frontier

    def rebuild(self, at: float) -> None:
        """Count all needs, and what is blocked, anew: after loading, and after a person's verb."""
        board = self._board
        self._block_anew(at)
        settled = [board.is_settled(i) for i in range(len(board.nodes))]
        empty = {i for i, is_settled in enumerate(settled) if is_settled and not board.delivers(i)}
        for i, needs in enumerate(board.needs):
            self._unmet[i] = len(needs) - sum([settled[need] for need in needs])
            self._absent[i] = bool(empty) and any(self._lacks(i, need) for need in empty.intersection(needs))
        for i, cell in enumerate(board.cells):
            if cell.status is StepStatus.PENDING and self._unmet[i] == 0:
                self._become_ready(i, at)
            elif cell.status is StepStatus.PENDING:
                self._ready.discard(i)

    def wake(self, at: float) -> None:
        """Set the timers of what waits, and queue what is due."""
        for i in self._board.where(StepStatus.WAITING):
            self._set_gate_timer(i)
        for i in self._board.where(StepStatus.RETRYING, StepStatus.IN_DOUBT):
            self.schedule(i, at)

    def _lacks(self, i: int, need: int) -> bool:
        return not self._board.delivers(need) and self._board.nodes[need].name not in self._board.nodes[i].tolerates

    def _become_ready(self, i: int, at: float) -> None:
        todo = deque([i])
        while todo:
            todo.extend(self._take_up(todo.popleft(), at))

    def _take_up(self, i: int, at: float) -> list[int]:
        """A step whose needs are settled; gives back those that became ready because this one was skipped or opened."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        if cell.status is not StepStatus.PENDING or self._board.phase is not Phase.FORWARD or self._board.is_halted:
            return []
        if self._absent[i]:
            cell.skip_reason = "absent"
            self._board.move_step(i, StepStatus.SKIPPED, at, Note.ABSENT)
            return self._settled(i)
        if not node.is_gate:
            if cell.live is None:
                self._queue(i, Direction.FORWARD)
            return []
        return self._reach_gate(i, at)

    def _queue(self, i: int, direction: Direction) -> None:
        """Let it wait for a worker. Not while others are undone: what is ready is found anew when the run goes forward again."""
        if self._board.phase is Phase.FORWARD:
            self._ready.push(i, direction)

    def _settled(self, i: int) -> list[int]:
        """Count a settled step at its dependents; gives back those that are ready now."""
        found = []
        for dependent in self._board.dependents[i]:
            self._unmet[dependent] -= 1
            self._absent[dependent] = self._absent[dependent] or self._lacks(dependent, i)
            if self._unmet[dependent] == 0 and self._board.cells[dependent].status is StepStatus.PENDING:
                found.append(dependent)
        return found

    def deliver(self, i: int, at: float) -> None:
        """A step is settled: those that waited only for it are ready."""
        for dependent in self._settled(i):
            self._become_ready(dependent, at)

    # gates

    def _reach_gate(self, i: int, at: float) -> list[int]:
        node, cell = self._board.nodes[i], self._board.cells[i]
        cell.started_at = at
        if node.delay is not None:
            cell.next_attempt_at = at + node.delay
        if node.timeout is not None:
            cell.deadline_at = at + node.timeout
        self._board.move_step(i, StepStatus.WAITING, at)
        if cell.signalled:
            return self._open(i, at, Note.SIGNALLED_EARLY)
        self._set_gate_timer(i)
        return []

    def _set_gate_timer(self, i: int) -> None:
        moment = opens_at(self._board.cells[i])
        if moment is not None:
            self._timers.set(moment, i, Timer.GATE)

    def open_gate(self, i: int, at: float, note: Note = Note.NONE) -> None:
        """Its signal or its time came."""
        for dependent in self._open(i, at, note):
            self._become_ready(dependent, at)

    def _open(self, i: int, at: float, note: Note) -> list[int]:
        cell = self._board.cells[i]
        cell.finished_at, cell.next_attempt_at, cell.deadline_at, cell.has_output = at, None, None, True
        self._board.move_step(i, StepStatus.SUCCEEDED, at, note)
        return self._settled(i)

    def gate_timer(self, i: int, at: float) -> None:
        """A gate's moment came: it opens, or has waited too long."""
        cell = self._board.cells[i]
        if cell.next_attempt_at is not None and cell.next_attempt_at <= at:
            self.open_gate(i, at, Note.DELAY_OVER)
        else:
            cell.deadline_at = None
            self.exhaust(i, at, Note.GATE_TIMEOUT)

    # attempts

    def launch(self, i: int, at: float) -> None:
        """Note the intent of a forward attempt."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        cell.attempt += 1
        cell.started_at = cell.started_at or at
        cell.finished_at = None
        cell.doubted, cell.half_done, cell.effect = cell.half_done, True, True
        self._board.begin(i, Direction.FORWARD, at, node.timeout)
        self._board.move_step(i, StepStatus.RUNNING, at)
        self._set_deadline(i)

    def launch_probe(self, i: int, at: float) -> None:
        """Note that the outside world is asked."""
        self._board.begin(i, Direction.PROBE, at, self._board.nodes[i].timeout)
        self._set_deadline(i)

    def _set_deadline(self, i: int) -> None:
        cell = self._board.cells[i]
        if cell.deadline_at is not None:
            self._timers.set(cell.deadline_at, i, Timer.DEADLINE)

    def succeed(self, i: int, at: float, note: Note = Note.NONE) -> None:
        """The step is done, and has an output."""
        cell = self._board.cells[i]
        cell.half_done, cell.has_output, cell.finished_at, cell.next_attempt_at = False, True, at, None
        self._ready.discard(i)
        self._board.move_step(i, StepStatus.SUCCEEDED, at, note)
        self.deliver(i, at)

    def fail(self, i: int, at: float, *, retryable: bool, retry_after: float | None, chance: float) -> None:
        """An attempt raised: again, if policy and run allow it."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        cell.failures += 1
        cell.half_done = cell.doubted
        if self._board.status is RunStatus.CANCELLING:
            self.cancelled(i, at)
        elif retryable and cell.failures < node.retry.attempts and self.may_retry:
            self.again(i, at, max(node.retry.delay(cell.failures, chance), retry_after or 0.0))
        else:
            self.exhaust(i, at)

    def poll(self, i: int, at: float, wait: float) -> None:
        """It is not ready: again later, without using up its budget."""
        if self._board.status is RunStatus.CANCELLING:
            self.cancelled(i, at)
        elif self.may_retry:
            self.again(i, at, wait)
        else:
            self.exhaust(i, at, Note.HALTED)

    def again(self, i: int, at: float, wait: float) -> None:
        """Wait for the next attempt, without a worker."""
        cell = self._board.cells[i]
        cell.next_attempt_at = at + wait
        self._board.move_step(i, StepStatus.RETRYING, at)
        self.schedule(i, at)

    def schedule(self, i: int, at: float) -> None:
        """Queue the attempt that is planned, or set its timer. Not while an attempt that was given up may be alive."""
        cell = self._board.cells[i]
        if cell.live is not None or cell.next_attempt_at is None:
            return
        if cell.next_attempt_at > at:
            self._timers.set(cell.next_attempt_at, i, Timer.AGAIN)
        else:
            asks = cell.status is StepStatus.IN_DOUBT and self._board.nodes[i].in_doubt == "probe"
            self._queue(i, Direction.PROBE if asks else Direction.FORWARD)

    def exhaust(self, i: int, at: float, note: Note = Note.NONE) -> None:
        """The step failed for good."""
        cell = self._board.cells[i]
        cell.finished_at, cell.next_attempt_at = at, None
        self._ready.discard(i)
        self._board.move_step(i, StepStatus.FAILED, at, note)
        if self._board.nodes[i].optional:
            self.deliver(i, at)
        else:
            self.block_behind(i, at)
            if self._board.graph.on_failure == "halt" and self._goes_forward():
                self.halt(at)

    def _goes_forward(self) -> bool:
        return self._board.status in (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.WAITING)

    @property
    def may_retry(self) -> bool:
        """Whether the run lets a step have another attempt."""
        return self._goes_forward() and not self._board.is_halted

    def block_behind(self, i: int, at: float) -> None:
        """Everything that depends on a failed step is blocked. Each step is visited once per run: blocked ones stop the walk."""
        todo = list(self._board.dependents[i])
        while todo:
            dependent = todo.pop()
            if self._board.cells[dependent].status is StepStatus.PENDING:
                self._ready.discard(dependent)
                self._board.move_step(dependent, StepStatus.BLOCKED, at)
                todo.extend(self._board.dependents[dependent])

    def halt(self, at: float) -> None:
        """Nothing new starts: what waits for another attempt or for a signal waits no more."""
        for i in self._board.where(StepStatus.RETRYING):
            self._board.cells[i].next_attempt_at = None
            self._ready.discard(i)
            self._board.move_step(i, StepStatus.FAILED, at, Note.HALTED)
            if not self._board.nodes[i].optional:
                self.block_behind(i, at)
        for i in self._board.where(StepStatus.WAITING):
            self._board.move_step(i, StepStatus.CANCELLED, at, Note.HALTED)

    def _block_anew(self, at: float) -> None:
        """Free what no failed step stands before any more, and block what one stands before again."""
        board = self._board
        failed = [i for i in board.where(StepStatus.FAILED) if not board.nodes[i].optional]
        behind = board.behind(failed)
        for i in board.where(StepStatus.BLOCKED):
            if i not in behind:
                board.move_step(i, StepStatus.PENDING, at)
        for i in failed:
            self.block_behind(i, at)

    def zombie_gone(self, i: int, at: float) -> None:
        """A given-up attempt ended at last: whatever waited for that goes on."""
        status = self._board.cells[i].status
        if status is StepStatus.IN_DOUBT:
            self.schedule(i, at)
        elif status is StepStatus.PENDING and self._unmet[i] == 0:
            self._become_ready(i, at)

    # doubt

    def doubt(self, i: int, at: float, note: Note, chance: float) -> None:
        """The attempt's outcome is unknown. That counts as a failure, unless only its engine is to blame."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        counts = note is not Note.ENGINE_LOST
        cell.failures += counts
        reruns = node.in_doubt == "rerun"
        if reruns and self._board.status is RunStatus.CANCELLING:
            self.cancelled(i, at)
        elif reruns and counts and (cell.failures >= node.retry.attempts or not self.may_retry):
            self.exhaust(i, at, note)
        else:
            wait = node.retry.delay(cell.failures, chance) if reruns and counts else 0.0
            cell.next_attempt_at = None if node.in_doubt == "hold" else at + wait
            self._board.move_step(i, StepStatus.IN_DOUBT, at, note)
            self.schedule(i, at)

    def cancelled(self, i: int, at: float) -> None:
        """It ended, without success, in a run that is being cancelled."""
        cell = self._board.cells[i]
        cell.finished_at, cell.next_attempt_at = at, None
        self._board.move_step(i, StepStatus.CANCELLED, at)

    def ask_again(self, i: int, at: float) -> None:
        """The probe is to be sent (again), as soon as nothing of the step is alive."""
        self._board.cells[i].next_attempt_at = at
        self._board.touch(i)
        self.schedule(i, at)

    def is_unasked(self, i: int) -> bool:
        """Whether a step is in doubt, could be probed, and nobody does it any more."""
        cell = self._board.cells[i]
        in_doubt = cell.status is StepStatus.IN_DOUBT and self._board.nodes[i].in_doubt == "probe"
        return in_doubt and cell.live is None and cell.next_attempt_at is None

    def ask_anew(self, at: float) -> None:
        """A person wants the run to go on: probes that were given up get a fresh budget."""
        for i in self._board.where(StepStatus.IN_DOUBT):
            if self.is_unasked(i):
                self._board.cells[i].failures = 0
                self.ask_again(i, at)

    def probe_missed(self, i: int, at: float) -> None:
        """The attempt had no effect: run again, if budget and run allow it."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        cell.effect = cell.half_done = False
        if not self._goes_forward():
            self.cancelled(i, at)
        elif cell.failures >= node.retry.attempts:
            self.exhaust(i, at, Note.TIMEOUT)
        elif not self.may_retry:
            self.exhaust(i, at, Note.HALTED)
        else:
            self.again(i, at, 0.0)

    def probe_failed(self, i: int, at: float, *, retryable: bool, chance: float) -> None:
        """The outside world can't be asked: later again, or wait for a person."""
        node, cell = self._board.nodes[i], self._board.cells[i]
        cell.failures += 1
        cell.next_attempt_at = None
        if retryable and cell.failures < node.retry.attempts:
            cell.next_attempt_at = at + node.retry.delay(cell.failures, chance)
            self.schedule(i, at)
