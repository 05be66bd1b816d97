"""Breaks the machine on purpose, one fault at a time, and sees that a test notices each. Run by ``make mutations``.

A fault is a textual replacement in a copy of the tree; the working tree is not touched. When a text is not found exactly once, the
source has moved on and the fault must be rewritten: that is an error too, not a fault that was caught.

Arguments name the faults to try, on tests that are known to pass; without any, all are tried, and the tests without a fault first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MACHINE = Path("provisioning_core", "machine")
COPIED = ("provisioning_core", "adapters", "tests/machine", "tests/properties", "tools", "docs")
TESTS = ("tests/machine", "tests/properties")


@dataclass(frozen=True, slots=True)
class Fault:
    """``old`` stands in ``file`` exactly once, and becomes ``new``."""

    name: str
    file: str
    old: str
    new: str


FAULTS = (
    Fault("needs are ignored", "_forward.py", "len(needs) - sum([settled[need] for need in needs])", "0"),
    Fault(
        "only what succeeded is undone",
        "_back.py",
        "        if not cell.effect:\n",
        "        if not (cell.effect and cell.has_output):\n            cell.effect = False\n",
    ),
    Fault(
        "a rollback does not wait for what runs",
        "_back.py",
        "if cell.live is not None or cell.status is StepStatus.COMPENSATION_FAILED:",
        "if cell.status is StepStatus.COMPENSATION_FAILED:",
    ),
    Fault(
        "a given-up attempt is not waited for",
        "_forward.py",
        "        if cell.live is not None or cell.next_attempt_at is None:\n",
        "        if cell.next_attempt_at is None:\n",
    ),
    Fault(
        "retry runs again what succeeded",
        "_again.py",
        "            case S.CANCELLED | S.COMPENSATED:\n",
        "            case S.CANCELLED | S.COMPENSATED | S.SUCCEEDED:\n",
    ),
    Fault(
        "the order of compensations is ignored",
        "_back.py",
        "len(board.dependents[i])",
        "0",
    ),
    Fault(
        "one attempt too many",
        "_forward.py",
        "elif retryable and cell.failures < node.retry.attempts and",
        "elif retryable and cell.failures <= node.retry.attempts and",
    ),
    Fault(
        "one compensation attempt too few",
        "_back.py",
        "cell.failures < node.compensation_retry.attempts",
        "cell.failures + 1 < node.compensation_retry.attempts",
    ),
    Fault(
        "polling uses up attempts",
        "_forward.py",
        "        elif self.may_retry:\n            self.again(i, at, wait)\n",
        "        elif self.may_retry:\n            self._board.cells[i].failures += 1\n            self.again(i, at, wait)\n",
    ),
    Fault(
        "a late result is accepted",
        "_machine.py",
        "        if direction is Direction.FORWARD and was_zombie:\n",
        "        if direction is Direction.FORWARD and was_zombie and cell.status is not StepStatus.IN_DOUBT:\n",
    ),
    Fault("the token of a result is not looked at", "_machine.py", " or cell.token != event.token:", ":"),
    Fault(
        "a deadline holds only when its timer goes off",
        "_machine.py",
        "cell.deadline_at is not None and event.at > cell.deadline_at:",
        "cell.deadline_at is not None and event.at > cell.deadline_at + 1e9:",
    ),
    Fault("irreversible steps are crossed", "_verbs.py", "pivots = [] if force else self", "pivots = [] if True else self"),
    Fault(
        "a step may have had its effect, and is crossed",
        "_course.py",
        "cells[i].effect and (cells[i].has_output or cells[i].half_done)",
        "cells[i].effect and cells[i].has_output",
    ),
    Fault(
        "continue frees nothing that is blocked",
        "_forward.py",
        "            if i not in behind:\n                board.move_step(i, StepStatus.PENDING, at)\n",
        "            pass\n",
    ),
    Fault(
        "a false ROLLED_BACK",
        "_course.py",
        "        if board.count(StepStatus.COMPENSATION_FAILED):\n            board.move_run(RunStatus.ROLLBACK_FAILED, at)\n",
        "        if board.count(StepStatus.COMPENSATION_FAILED):\n"
        "            for cell in board.cells:\n                cell.effect = False\n"
        "            board.move_run(RunStatus.ROLLED_BACK, at)\n",
    ),
    Fault("the gate does not check ROLLED_BACK", "_board.py", "new is RunStatus.ROLLED_BACK and any(", "False and any("),
    Fault("the gate does not check SUCCEEDED", "_board.py", "new is RunStatus.SUCCEEDED and not", "False and not"),
    Fault("the gate lets every move of a step pass", "_board.py", "if new not in STEP_MOVES[old]:", "if False:"),
    Fault("the gate lets every move of a run pass", "_board.py", "if new not in RUN_MOVES[self.status]:", "if False:"),
    Fault(
        "the deadline of a gate is ignored",
        "_timers.py",
        "for moment in (cell.next_attempt_at, cell.deadline_at) if",
        "for moment in (cell.next_attempt_at,) if",
    ),
    Fault(
        "hold is treated as rerun",
        "_forward.py",
        'cell.next_attempt_at = None if node.in_doubt == "hold" else at + wait',
        "cell.next_attempt_at = at + wait",
    ),
    Fault(
        "hold ends with the engine that held",
        "_machine.py",
        "        if direction is Direction.PROBE:\n            self._lose_probe(i, event.at)\n",
        "        if cell.status is StepStatus.IN_DOUBT:\n            self._lose_probe(i, event.at)\n",
    ),
    Fault(
        "probe is treated as rerun",
        "_forward.py",
        'asks = cell.status is StepStatus.IN_DOUBT and self._board.nodes[i].in_doubt == "probe"',
        "asks = False",
    ),
    Fault(
        "what the conditions leave out runs all the same",
        "_again.py",
        'return self._board.cells[i].skip_reason != "condition"',
        "return True",
    ),
    Fault(
        "a consumer that needs a value runs without it",
        "_forward.py",
        "        if self._absent[i]:\n",
        "        if self._absent[i] and self._board.nodes[i].is_gate:\n",
    ),
    Fault(
        "an optional failure fails the run",
        "_board.py",
        "return status in DONE or (status is StepStatus.FAILED and self.nodes[i].optional)",
        "return status in DONE",
    ),
    Fault(
        "a pause is ignored",
        "_course.py",
        "return board.status is RunStatus.RUNNING and not board.pausing and not",
        "return board.status is RunStatus.RUNNING and not",
    ),
    Fault(
        "halt lets other branches go on",
        "_board.py",
        'self.failed_required > 0 and self.graph.on_failure != "finish"',
        'self.failed_required > 0 and self.graph.on_failure == "never"',
    ),
    Fault(
        "cancel does not wait for what runs",
        "_course.py",
        "case RunStatus.CANCELLING if self._board.live == 0:",
        "case RunStatus.CANCELLING:",
    ),
    Fault(
        "the backoff is forgotten when the run is taken up",
        "_forward.py",
        "        if cell.next_attempt_at > at:\n            self._timers",
        "        if cell.next_attempt_at > at and self._board.live:\n            self._timers",
    ),
    Fault(
        "a partial rollback goes all the way",
        "_course.py",
        "return [i for i, node in enumerate(self._board.nodes) if node.name not in kept]",
        "return [i for i, node in enumerate(self._board.nodes) if node.name not in kept or True]",
    ),
    Fault(
        "what only may be alive elsewhere counts as ended",
        "_machine.py",
        "if is_completed or name not in event.zombies:",
        "if True:",
    ),
    Fault(
        "every step is looked at after every event",
        "_course.py",
        "any(self._board.cells[i].status is status for i in self._board.zombies)",
        "any(cell.zombie and cell.status is status for cell in self._board.cells)",
    ),
)


def misplaced() -> list[str]:
    """Faults whose text does not stand exactly once in the source."""
    return [fault.name for fault in FAULTS if (ROOT / MACHINE / fault.file).read_text().count(fault.old) != 1]


def main(names: Sequence[str] = ()) -> int:
    """Try the faults of these names, or all. 0 when each was noticed."""
    faults = [fault for fault in FAULTS if not names or fault.name in names]
    if unknown := set(names) - {fault.name for fault in faults}:
        return _say(f"no such fault: {', '.join(sorted(unknown))}. There are: {', '.join(fault.name for fault in FAULTS)}")
    if moved := misplaced():
        return _say(f"the source has moved on; rewrite these faults: {', '.join(moved)}")
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        tree = Path(folder) / "tree"
        for name in COPIED:
            if (ROOT / name).exists():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", tree)
        if not names and _first_failure(tree) is not None:
            return _say("the tests fail without any fault")
        survivors = [fault.name for fault in faults if not _is_caught(fault, tree)]
    return _say(f"{len(survivors)} of {len(faults)} faults survived: {', '.join(survivors)}") if survivors else 0


def _is_caught(fault: Fault, tree: Path) -> bool:
    source = tree / MACHINE / fault.file
    whole = source.read_text()
    source.write_text(whole.replace(fault.old, fault.new))
    try:
        caught_by = _first_failure(tree)
    finally:
        source.write_text(whole)
    sys.stdout.write(f"{fault.name:<55} {caught_by or 'SURVIVED'}\n")
    sys.stdout.flush()
    return caught_by is not None


def _first_failure(tree: Path) -> str | None:
    """The first test that fails, by name."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "300", *TESTS]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) \S*/(\S+)", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"the tests did not run:\n{done.stdout}{done.stderr}")
    return found[1]


def _say(trouble: str) -> int:
    sys.stderr.write(f"{trouble}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
