"""Writes docs/states.md from the machine's tables of legal moves, so that picture and code can't differ. Run by ``make docs``."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from provisioning_core.machine import RUN_MOVES, STEP_MOVES
from provisioning_core.model import RunStatus, StepStatus

TARGET = Path(__file__).parents[1] / "docs" / "states.md"

RUN_MEANINGS: Mapping[RunStatus, str] = {
    RunStatus.PENDING: "Recorded; no engine has taken it up yet.",
    RunStatus.RUNNING: "Steps are carried out, or wait for the time of their next attempt.",
    RunStatus.WAITING: "Nothing can go on until a person or a signal acts: a gate without a time, or a step in doubt.",
    RunStatus.PAUSED: "Stopped on request, or rolled back as far as was asked; `continue` takes it up again.",
    RunStatus.SUCCEEDED: "Everything is done.",
    RunStatus.FAILED: "A step failed for good; what did not depend on it is done, or the plan halts then.",
    RunStatus.CANCELLING: "Nothing new starts; it ends when what is under way has ended.",
    RunStatus.CANCELLED: "Stopped on request; what was done is still there.",
    RunStatus.ROLLING_BACK: "What was begun is undone, in reverse order.",
    RunStatus.ROLLED_BACK: "Nothing that was begun is left.",
    RunStatus.ROLLBACK_FAILED: "A compensation failed: something is left that a person must look at.",
}

STEP_MEANINGS: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "Not begun.",
    StepStatus.RUNNING: "An attempt is under way.",
    StepStatus.RETRYING: "Waits for the time of its next attempt; holds no worker.",
    StepStatus.WAITING: "A gate that waits for its signal or its time.",
    StepStatus.SUCCEEDED: "Done.",
    StepStatus.FAILED: "Its attempts are used up, or it can't be tried again.",
    StepStatus.IN_DOUBT: "It was begun, and how it ended is not known.",
    StepStatus.SKIPPED: "Its condition is false, something it needs delivered nothing, or a person did it by hand.",
    StepStatus.BLOCKED: "Something it depends on failed.",
    StepStatus.CANCELLED: "Not carried out, or broken off, because the run was stopped.",
    StepStatus.COMPENSATING: "It is being undone.",
    StepStatus.COMPENSATED: "Undone, or there was nothing to undo.",
    StepStatus.COMPENSATION_FAILED: "It could not be undone.",
}


def page() -> str:
    """All of docs/states.md."""
    return "\n".join([*_HEAD, *_runs(), "", *_steps(), ""])


_HEAD = [
    "# States",
    "",
    "Written by `make docs` from the tables in `provisioning_core/machine/_states.py`: every change of status goes through one gate,",
    "which knows these and no others. Anything else is an error that changes nothing.",
    "",
]


def _runs() -> Iterable[str]:
    yield from ["## A run", "", *_diagram(RUN_MOVES, RunStatus.PENDING), ""]
    yield from ["| status | what it means | the engine takes it on | may change to |", "| --- | --- | --- | --- |"]
    for status, targets in RUN_MOVES.items():
        yield f"| `{status}` | {RUN_MEANINGS[status]} | {'yes' if status.moves else 'no'} | {_listed(RunStatus, targets)} |"


def _steps() -> Iterable[str]:
    yield from ["## A step", "", *_diagram(STEP_MOVES, StepStatus.PENDING), ""]
    yield from ["| status | what it means | may change to |", "| --- | --- | --- |"]
    for status, targets in STEP_MOVES.items():
        yield f"| `{status}` | {STEP_MEANINGS[status]} | {_listed(StepStatus, targets)} |"


def _diagram(
    moves: Mapping[RunStatus, frozenset[RunStatus]] | Mapping[StepStatus, frozenset[StepStatus]], first: str
) -> Iterable[str]:
    yield from ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for status, targets in moves.items():
        yield from (f"    {status} --> {target}" for target in type(status) if target in targets)
    yield "```"


def _listed(all_of_them: Iterable[str], targets: Iterable[str]) -> str:
    return ", ".join(f"`{status}`" for status in all_of_them if status in targets)


def main() -> None:
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")


if __name__ == "__main__":
    main()
