"""A symbol, a word and a colour for every status. The word always stands there: a colour alone tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provisioning_core import RunStatus, StepStatus
from provisioning_core.model import SYMBOLS


@dataclass(frozen=True, slots=True)
class Mark:
    """How a status looks."""

    symbol: str
    plain: str
    """In place of the symbol, where the terminal's encoding has none."""
    style: str


STEP_MARKS: Mapping[StepStatus, Mark] = {
    StepStatus.PENDING: Mark("○", ".", "dim"),
    StepStatus.RUNNING: Mark("▶", ">", "cyan"),
    StepStatus.RETRYING: Mark("↻", "~", "yellow"),
    StepStatus.WAITING: Mark("◷", "w", "yellow"),
    StepStatus.SUCCEEDED: Mark("✓", "+", "green"),
    StepStatus.FAILED: Mark("✗", "x", "bold red"),
    StepStatus.IN_DOUBT: Mark("?", "?", "bold yellow"),
    StepStatus.SKIPPED: Mark("–", "-", "dim"),
    StepStatus.BLOCKED: Mark("■", "#", "dim red"),
    StepStatus.CANCELLED: Mark("⊘", "/", "dim"),
    StepStatus.COMPENSATING: Mark("◀", "<", "magenta"),
    StepStatus.COMPENSATED: Mark("↩", "u", "magenta"),
    StepStatus.COMPENSATION_FAILED: Mark("!", "!", "bold red"),
}

RUN_MARKS: Mapping[RunStatus, Mark] = {
    RunStatus.PENDING: Mark("○", ".", "dim"),
    RunStatus.RUNNING: Mark("▶", ">", "cyan"),
    RunStatus.WAITING: Mark("◷", "w", "yellow"),
    RunStatus.PAUSED: Mark("‖", "=", "yellow"),
    RunStatus.SUCCEEDED: Mark("✓", "+", "green"),
    RunStatus.FAILED: Mark("✗", "x", "bold red"),
    RunStatus.CANCELLING: Mark("⊘", "/", "yellow"),
    RunStatus.CANCELLED: Mark("⊘", "/", "dim"),
    RunStatus.ROLLING_BACK: Mark("◀", "<", "magenta"),
    RunStatus.ROLLED_BACK: Mark("↩", "u", "magenta"),
    RunStatus.ROLLBACK_FAILED: Mark("!", "!", "bold red"),
}


def mark_of(status: RunStatus | StepStatus) -> Mark:
    """How this status looks."""
    return RUN_MARKS[status] if isinstance(status, RunStatus) else STEP_MARKS[status]


def labelled(status: RunStatus | StepStatus) -> str:
    """Symbol and word."""
    return f"{mark_of(status).symbol} {status}"


_DRAWN = {"…": "~", "·": "-", "–": "-", "•": "*", "←": "<-", "█": "#", "░": ":", "▓": "u"}
_PLAIN = str.maketrans(
    {SYMBOLS[status]: mark.plain for status, mark in STEP_MARKS.items()}
    | {mark.symbol: mark.plain for mark in (*STEP_MARKS.values(), *RUN_MARKS.values())}
    | _DRAWN
)


def fitting(text: str, encoding: str | None) -> str:
    """The same text, with plain letters for symbols that the encoding doesn't have, and a ``?`` for what is nothing of ours."""
    known = encoding or "utf-8"
    try:
        text.encode(known)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(known, "replace").decode(known)
    return text
