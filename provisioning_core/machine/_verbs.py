"""What people and callers may ask for, and when. A verb is refused before anything is changed."""

from __future__ import annotations

from typing import assert_never

from provisioning_core.errors import Conflict, InvalidInput
from provisioning_core.machine._again import Again
from provisioning_core.machine._board import Board
from provisioning_core.machine._commands import Note
from provisioning_core.machine._course import Course
from provisioning_core.machine._events import (
    CancelRequested,
    ContinueRequested,
    DeprovisionRequested,
    PauseRequested,
    ResolveRequested,
    RetryRequested,
    RollbackRequested,
    SignalReceived,
    SkipRequested,
    Verb,
)
from provisioning_core.machine._forward import Forward
from provisioning_core.machine._ready import ReadyQueue
from provisioning_core.model import Phase
from provisioning_core.model import RunStatus as R
from provisioning_core.model import StepStatus as S

_STOPPED = (R.FAILED, R.CANCELLED, R.PAUSED, R.WAITING)
_ROLLS_BACK = (R.PENDING, R.RUNNING, R.WAITING, R.PAUSED, R.SUCCEEDED, R.FAILED, R.CANCELLING, R.CANCELLED, R.ROLLBACK_FAILED)
_CANCELS = (R.PENDING, R.RUNNING, R.WAITING, R.PAUSED)
_PAUSES = (R.PENDING, R.RUNNING, R.WAITING)
_SKIPS = (R.RUNNING, R.WAITING, R.PAUSED, R.FAILED, R.CANCELLED)
_TAKES_SIGNALS = (R.PENDING, R.RUNNING, R.WAITING, R.PAUSED, R.FAILED, R.CANCELLED)


class Verbs:
    """The verbs of one run."""

    __slots__ = ("_again", "_board", "_course", "_forward", "_ready")

    def __init__(self, board: Board, ready: ReadyQueue, forward: Forward, course: Course) -> None:
        self._board = board
        self._ready = ready
        self._forward = forward
        self._course = course
        self._again = Again(board, forward, course)

    def handle(self, verb: Verb) -> None:
        """Carry it out, or refuse it with Conflict, NotFound or InvalidInput."""
        match verb:
            case RetryRequested():
                self._retry(verb)
            case ContinueRequested():
                self._continue(verb)
            case SkipRequested():
                self._skip(verb)
            case ResolveRequested():
                self._resolve(verb)
            case RollbackRequested():
                self._rollback(verb)
            case DeprovisionRequested():
                self._require("deprovision", (R.SUCCEEDED,), "Only what succeeded is deprovisioned; `rollback` undoes the rest.")
                self._course.begin_rollback(verb.at, force=True, note=Note.DEPROVISIONED)
            case CancelRequested():
                self._cancel(verb)
            case PauseRequested():
                self._pause(verb)
            case SignalReceived():
                self._signal(verb)
            case _:
                assert_never(verb)

    # what is allowed

    def allowed(self) -> tuple[str, ...]:
        """The verbs that would be accepted now in some form: for one step, or with ``force``; ``retry`` without named steps."""
        possible = {
            "retry": self._can_retry(),
            "continue": self._can_continue(),
            "skip": self._board.status in _SKIPS and self._board.phase is Phase.FORWARD and self._board.count(S.FAILED) > 0,
            "resolve": self._can_resolve(),
            "rollback": self._board.status in _ROLLS_BACK,
            "cancel": self._board.status in _CANCELS,
            "pause": self._board.status in _PAUSES and not self._board.pausing,
            "signal": self._can_signal(),
            "deprovision": self._board.status is R.SUCCEEDED,
        }
        return tuple(verb for verb, is_possible in possible.items() if is_possible)

    def _can_retry(self) -> bool:
        if self._board.status is R.WAITING:
            unasked = any(self._forward.is_unasked(i) for i in self._board.where(S.IN_DOUBT))
            return unasked or self._board.failed_required > 0
        return self._board.status in (R.FAILED, R.CANCELLED, R.PAUSED, R.ROLLED_BACK, R.ROLLBACK_FAILED)

    def _can_continue(self) -> bool:
        if self._board.status is R.WAITING:
            return self._board.failed_required > 0 or len(self._ready) > 0 or self._board.is_done
        return self._board.status in _STOPPED or self._board.pausing

    def _can_resolve(self) -> bool:
        if self._board.status in (R.ROLLED_BACK, R.SUCCEEDED):
            return False
        cells = self._board.cells
        doubts = any(cells[i].live is None for i in self._board.where(S.IN_DOUBT))
        return doubts or self._board.count(S.COMPENSATION_FAILED) > 0

    def _can_signal(self) -> bool:
        if self._board.status not in _TAKES_SIGNALS:
            return False
        return any(self._awaits_signal(i) for i, node in enumerate(self._board.nodes) if node.is_gate)

    def _awaits_signal(self, i: int) -> bool:
        cell = self._board.cells[i]
        return not cell.signalled and cell.status in (S.WAITING, S.PENDING, S.BLOCKED, S.CANCELLED)

    def _refuse(self, verb: str, why: str, *, code: str = "not_allowed", hint: str | None = None) -> Conflict:
        return Conflict(
            f"`{verb}` is not allowed: {why}", code=code, hint=hint, status=self._board.status, allowed_actions=self.allowed()
        )

    def _require(self, verb: str, statuses: tuple[R, ...], why: str = "") -> None:
        if self._board.status not in statuses:
            raise self._refuse(verb, f"the run is {self._board.status}. {why}".strip())

    # going on

    def _retry(self, verb: RetryRequested) -> None:
        if verb.steps is not None:
            self._retry_steps(verb, [self._board.position(step) for step in verb.steps])
            return
        if not self._can_retry():
            raise self._refuse("retry", f"the run is {self._board.status}, and nothing in it waits for another try.")
        match self._board.status:
            case R.ROLLBACK_FAILED:
                self._again.compensations(verb.at)
                self._board.move_run(R.ROLLING_BACK, verb.at)
                self._course.resume_back(verb.at)
            case R.ROLLED_BACK:
                self._again.anew(verb.at)
            case _:
                self._again.go_on(verb.at)

    def _retry_steps(self, verb: RetryRequested, steps: list[int]) -> None:
        if not steps:
            raise InvalidInput("`retry` got an empty list of steps.", hint="Name at least one step, or none at all.")
        if self._board.status is R.ROLLED_BACK:
            hint = "Retry without names: that provisions anew."
            raise self._refuse("retry", "everything was undone, so there are no steps to name.", hint=hint)
        self._require("retry", (*_STOPPED, R.SUCCEEDED), "Named steps are run again when the run rests.")
        if self._board.phase is not Phase.FORWARD:
            raise self._refuse("retry", "steps can't be named while others are being undone.", hint="Retry without names first.")
        absent = [i for i in steps if not self._again.takes_part(i)]
        if absent:
            names = ", ".join(self._board.names(absent))
            raise self._refuse("retry", f"the run does without {names}: the condition is false.", code="step_not_in_run")
        self._again.steps(steps, verb.at)

    def _continue(self, verb: ContinueRequested) -> None:
        if self._board.phase is Phase.BACK:
            raise self._refuse("continue", "a rollback has begun; it can only be finished.", code="rollback_begun")
        if not self._can_continue():
            raise self._refuse("continue", f"the run is {self._board.status}{self._what_it_waits_for()}.")
        if self._board.pausing:
            self._board.pausing = False
            self._course.settle(verb.at)
        else:
            self._again.go_on(verb.at)

    def _what_it_waits_for(self) -> str:
        waiting = self._board.names(self._board.where(S.WAITING, S.IN_DOUBT)[:10])
        return f" and waits for {', '.join(waiting)}" if waiting else ""

    # by hand

    def _skip(self, verb: SkipRequested) -> None:
        i = self._board.position(verb.step)
        self._require("skip", _SKIPS)
        if self._board.phase is not Phase.FORWARD:
            raise self._refuse("skip", "other steps are being undone.")
        cell = self._board.cells[i]
        if cell.status is not S.FAILED:
            why = f"step {verb.step!r} is {cell.status}; only a FAILED step is skipped."
            raise self._refuse("skip", why, code="step_not_failed")
        cell.skip_reason, cell.has_output, cell.half_done = "person", True, False
        self._board.move_step(i, S.SKIPPED, verb.at, Note.BY_HAND)
        if self._board.status in (R.RUNNING, R.WAITING) and not self._board.is_halted:
            self._again.reopen(verb.at, failed=False)
        self._forward.rebuild(verb.at)
        self._settle_if_running(verb.at)

    def _resolve(self, verb: ResolveRequested) -> None:
        i = self._board.position(verb.step)
        cell = self._board.cells[i]
        if verb.as_ not in ("succeeded", "failed", "compensated"):
            raise InvalidInput(f"a step can't be resolved as {verb.as_!r}.", hint="Say succeeded, failed or compensated.")
        if cell.status is S.COMPENSATION_FAILED:
            self._resolve_compensation(i, verb)
        elif cell.status is S.IN_DOUBT and self._board.status not in (R.ROLLED_BACK, R.SUCCEEDED):
            self._resolve_doubt(i, verb)
        else:
            why = f"step {verb.step!r} is {cell.status}; only IN_DOUBT and COMPENSATION_FAILED are resolved."
            raise self._refuse("resolve", why, code="step_not_in_doubt")

    def _resolve_compensation(self, i: int, verb: ResolveRequested) -> None:
        if verb.as_ != "compensated":
            hint = "Resolve it as compensated, or `retry` its compensation."
            raise self._refuse("resolve", f"step {verb.step!r} is COMPENSATION_FAILED.", hint=hint)
        cell = self._board.cells[i]
        cell.effect = cell.half_done = cell.has_output = False
        self._board.move_step(i, S.COMPENSATED, verb.at, Note.BY_HAND)
        if self._board.status is R.ROLLBACK_FAILED:
            self._end_rollback_if_done(verb.at)
        elif self._board.status.moves:
            self._course.resume_back(verb.at)

    def _end_rollback_if_done(self, at: float) -> None:
        left = [i for i in self._course.scope(self._board.rollback_to) if self._board.cells[i].effect]
        if any(self._board.nodes[i].has_compensation or self._board.nodes[i].retired for i in left):
            return
        self._board.move_run(R.ROLLING_BACK, at)
        self._course.resume_back(at)

    def _resolve_doubt(self, i: int, verb: ResolveRequested) -> None:
        cell = self._board.cells[i]
        if cell.live is not None:
            raise self._refuse("resolve", f"an attempt of step {verb.step!r} may still be alive.", code="attempt_alive")
        if self._board.phase is Phase.BACK or cell.redo:
            self._resolve_what_is_undone(i, verb)
            return
        match verb.as_:
            case "succeeded":
                self._forward.succeed(i, verb.at, Note.BY_HAND)
                self._settle_if_running(verb.at)
            case "failed":
                self._forward.exhaust(i, verb.at, Note.BY_HAND)
                self._course.settle(verb.at)
            case _:
                cell.effect = cell.half_done = False
                cell.next_attempt_at = None
                self._ready.discard(i)
                self._board.move_step(i, S.COMPENSATED, verb.at, Note.BY_HAND)
                self._course.reset(i, verb.at)
                self._forward.rebuild(verb.at)
                self._settle_if_running(verb.at)

    def _resolve_what_is_undone(self, i: int, verb: ResolveRequested) -> None:
        cell = self._board.cells[i]
        if verb.as_ == "succeeded":
            self._forward.succeed(i, verb.at, Note.BY_HAND)
        else:
            cell.effect = cell.half_done = verb.as_ == "failed"
            cell.finished_at, cell.next_attempt_at = verb.at, None
            self._ready.discard(i)
            self._board.move_step(i, S.FAILED if cell.effect else S.COMPENSATED, verb.at, Note.BY_HAND)
        self._course.look_back(i, verb.at)

    def _settle_if_running(self, at: float) -> None:
        """A run that rests stays where it is until `continue`."""
        if self._board.status is R.RUNNING:
            self._course.settle(at)

    # stopping and turning round

    def _rollback(self, verb: RollbackRequested) -> None:
        self._require("rollback", _ROLLS_BACK)
        if verb.to is not None:
            self._check_target(verb.to)
        force = verb.force or self._board.forced
        pivots = [] if force else self._course.pivots(self._course.scope(verb.to))
        if pivots:
            raise self._crosses(pivots)
        self._again.compensations(verb.at)
        self._course.begin_rollback(verb.at, to=verb.to, force=verb.force)

    def _crosses(self, pivots: list[int]) -> Conflict:
        names = ", ".join(self._board.names(pivots))
        return self._refuse(
            "rollback",
            f"it would cross what can't be undone: {names}.",
            code="irreversible",
            hint="Use force to undo the rest all the same, or `rollback` to a step behind it.",
        )

    def _check_target(self, to: str) -> None:
        cell = self._board.cells[self._board.position(to)]
        if cell.status not in (S.SUCCEEDED, S.SKIPPED):
            raise self._refuse("rollback", f"step {to!r} is {cell.status}; a rollback stops at a step that is done.")
        undone = [name for name in self._board.graph.ancestors([to]) if not self._board.is_settled(self._board.graph.index[name])]
        if undone:
            raise self._refuse("rollback", f"what step {to!r} needs is not done: {', '.join(sorted(undone))}.")

    def _cancel(self, verb: CancelRequested) -> None:
        self._require("cancel", _CANCELS)
        pivots = self._course.pivots(range(len(self._board.nodes))) if verb.rollback else []
        if pivots:
            raise self._crosses(pivots)
        board = self._board
        board.cancel_rollback, board.pausing = verb.rollback, False
        board.move_run(R.CANCELLING, verb.at)
        self._ready.clear()
        for i in board.where(S.PENDING, S.RETRYING, S.WAITING):
            board.cells[i].next_attempt_at = None
            board.move_step(i, S.CANCELLED, verb.at)
        board.stop_live()
        self._course.settle(verb.at)

    def _pause(self, verb: PauseRequested) -> None:
        self._require("pause", _PAUSES)
        if self._board.pausing:
            raise self._refuse("pause", "it was asked for already; the run rests when what is under way has ended.")
        if self._board.status is R.RUNNING:
            self._board.pausing = True
            self._course.settle(verb.at)
        else:
            self._course.rest_paused(verb.at)

    def _signal(self, verb: SignalReceived) -> None:
        i = self._board.position(verb.step)
        if not self._board.nodes[i].is_gate:
            raise InvalidInput(f"step {verb.step!r} is no gate.", code="not_a_gate", hint="Only gates take signals.")
        self._require("signal", _TAKES_SIGNALS)
        if not self._awaits_signal(i):
            why = f"gate {verb.step!r} is {self._board.cells[i].status}, or its signal has come."
            raise self._refuse("signal", why, code="already_signalled")
        cell = self._board.cells[i]
        cell.signalled = True
        self._board.touch(i)
        if cell.status is S.WAITING:
            self._forward.open_gate(i, verb.at, Note.SIGNALLED)
            self._course.settle(verb.at)
