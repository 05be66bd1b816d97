"""Writes docs/invariants.md from the invariants themselves, so that page and code can't differ. Run by ``make docs``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from provisioning_core.machine import INVARIANTS

TARGET = Path(__file__).parents[1] / "docs" / "invariants.md"

RECORDS = """Of a run's record, its plan and its steps, in O(steps + edges). All but `one_active_run` are checked by an engine, too,
whenever it takes a run up."""
HISTORY = "Of all its events, in order, against the [tables of moves](states.md). O(events + edges)."
LEDGER = "Of a ledger that steps write outside the store (`LedgerFile`), compared with the history. No clock is trusted."
SECTIONS = (
    ("Of what is recorded", "readable", RECORDS),
    ("Of a run's history", "events_gapless", HISTORY),
    ("Of what the steps did", "ledger_intent_recorded", LEDGER),
)
"""Title, first code, and what is told of them."""

HEAD = """# Invariants

Written by `make docs` from `provisioning_core/machine/_violations.py`. What must hold of every recorded run, whatever happened; each
has a stable code. They are written from the promises, not from the code that keeps them, and are looked at from four sides:

- **by operators**: `provision verify SUBJECT`, `--run ID` or `--all`; `engine.verify()` gives the same in Python. It only reads, page
  by page, and can be run while engines work. Exit code 1 means that something does not hold.
- **in production**: an engine that takes up a run which can't be sets it aside: with the code `impossible_record`, a `run.set_aside`
  line in the history and an error in the log. It does nothing about it, and refuses what was asked of it; the other runs go on. Mend
  what is recorded, or take it as it is: `continue` takes the run up again.
- **in your tests**: `provisioning_core.testing.verify_history(engine)`, with `ledger=` if your steps write one, gives an empty list.
- **in ours**: after each kind of run, after random ones, after faults and kills.
"""


def page() -> str:
    """All of docs/invariants.md."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterable[str]:
    starts = [first for _, first, _ in SECTIONS]
    codes = list(INVARIANTS)
    ends = [*(codes.index(first) for first in starts[1:]), len(codes)]
    for (title, first, told), end in zip(SECTIONS, ends, strict=True):
        yield from (f"## {title}", "", told, "", "| code | what holds |", "| --- | --- |")
        yield from (f"| `{code}` | {INVARIANTS[code]} |" for code in codes[codes.index(first) : end])
        yield ""


def main() -> None:
    TARGET.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")


if __name__ == "__main__":
    main()
