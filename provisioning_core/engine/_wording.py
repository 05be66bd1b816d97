"""What people are told about failures: one stable code, one sentence for the product's user, a hint for operators."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning_core.engine._outcomes import Raised
from provisioning_core.machine import Note, StepMoved, Violation
from provisioning_core.model import Direction, EngineRecord, ErrorInfo, Node, StepStatus

GENERIC = "This step could not be completed."
GENERIC_UNDO = "This step could not be undone yet."
_MOST_TOLD = 5


def failure(node: Node, raised: Raised, direction: Direction, at: float) -> ErrorInfo:
    """A failure as it is stored."""
    generic = GENERIC_UNDO if direction is Direction.COMPENSATE else (node.user_message or GENERIC)
    hint = raised.hint or (
        "Later attempts may succeed." if raised.retryable else "Another attempt will not help before the cause is mended."
    )
    return ErrorInfo(
        code=raised.code,
        message=raised.user_message or generic,
        detail=raised.detail,
        traceback=raised.traceback,
        hint=hint,
        at=at,
    )


def timeout(node: Node, seconds: float | None, at: float, *, undo: bool = False) -> ErrorInfo:
    """An attempt's time was up."""
    after = f" after {seconds:g} s" if seconds is not None else ""
    return ErrorInfo(
        code="timeout",
        message=GENERIC_UNDO if undo else (node.user_message or "This step took too long."),
        detail=f"The attempt was given up{after}; whether it had its effect is not known.",
        hint="It is neither run again nor undone before the attempt has ended.",
        at=at,
    )


def engine_lost(node: Node, at: float) -> ErrorInfo:
    """The process that ran the attempt is gone."""
    return ErrorInfo(
        code="engine_lost",
        message=node.user_message or "This step was interrupted.",
        detail="The process that ran the attempt ended before its result was recorded.",
        hint="Resolve it by hand once you know how it stands." if node.in_doubt == "hold" else "It goes on by itself.",
        at=at,
    )


def left_alone(node: Node, engine: EngineRecord, at: float) -> ErrorInfo:
    """The engine that began the attempt does not answer, but the attempt may still be alive."""
    where = f"process {engine.pid} on host {engine.host}"
    return ErrorInfo(
        code="engine_silent",
        message=node.user_message or "This step was interrupted.",
        detail=f"The engine that began the attempt ({where}) does not answer, and the attempt may still be under way there.",
        hint=f"It is neither run again nor undone before that has ended. If {where} hangs, end it (kill -9).",
        at=at,
    )


def gate_timeout(node: Node, at: float) -> ErrorInfo:
    """A gate's signal did not come."""
    return ErrorInfo(
        code="gate_timeout",
        message=node.user_message or "An expected confirmation did not arrive in time.",
        detail=f"No signal came within {node.timeout:g} s." if node.timeout is not None else "No signal came.",
        hint="`retry` waits for it again.",
        at=at,
    )


def by_hand(node: Node, at: float) -> ErrorInfo:
    """A person resolved the step as failed."""
    return ErrorInfo(code="resolved_as_failed", message=node.user_message or GENERIC, detail="Resolved as failed by hand.", at=at)


def interrupted(node: Node, at: float) -> ErrorInfo:
    """It was stopped because the run was cancelled."""
    return ErrorInfo(code="cancelled", message=node.user_message or GENERIC, detail="Cancelled before it ended.", at=at)


def explain_move(node: Node, move: StepMoved) -> ErrorInfo | None:
    """The error that a move itself tells of, when no attempt reported one."""
    if move.note is Note.TIMEOUT and move.new in (StepStatus.IN_DOUBT, StepStatus.FAILED):
        return timeout(node, node.timeout, move.at)
    if move.note is Note.ENGINE_LOST:
        return engine_lost(node, move.at)
    if move.note is Note.GATE_TIMEOUT:
        return gate_timeout(node, move.at)
    if move.note is Note.BY_HAND and move.new is StepStatus.FAILED:
        return by_hand(node, move.at)
    return None


def attention(code: str, detail: str, at: float, hint: str = "") -> ErrorInfo:
    """Why the engine set a run aside."""
    return ErrorInfo(
        code=code,
        message="Provisioning was stopped and needs a person's attention.",
        detail=detail,
        hint=hint or "Mend the cause, then `continue` the run.",
        at=at,
    )


def impossible_record(violations: Sequence[Violation], at: float) -> ErrorInfo:
    """What is recorded of a run breaks what always holds."""
    told = " ".join(str(violation) for violation in violations[:_MOST_TOLD])
    more = len(violations) - _MOST_TOLD
    detail = f"{told} And {more} more." if more > 0 else told
    hint = "`verify` lists all that is wrong with it. Mend what is recorded, or take it as it is: then `continue` the run."
    return attention("impossible_record", detail, at, hint)
