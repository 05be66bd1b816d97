"""Searches every state of small runs, all shapes of up to four steps, and writes docs/explorer.md. Run by ``make explore``.

With ``--mutations`` only the broken rules, and how each is found.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from explorer.families import FAMILIES, shapes_of  # noqa: E402  tests/ must be on the path first
from explorer.mutations import MUTATIONS  # noqa: E402
from explorer.report import Broken, Searched, page  # noqa: E402
from explorer.shapes import describe  # noqa: E402
from explorer.story import told  # noqa: E402

TARGET = ROOT / "docs" / "explorer.md"
MOST = 1_000_000
"""States of one search; what is larger is not searched to the end, and the page says so."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", action="store_true", help="only the broken rules")
    options = parser.parse_args()
    broken = _break()
    if options.mutations:
        return _verdict([], broken)
    searched = _search()
    TARGET.write_text(page(searched, broken), encoding="utf-8")
    _say(f"wrote {TARGET}")
    return _verdict(searched, broken)


def _break() -> Broken:
    broken = []
    for mutation in MUTATIONS:
        found = mutation.search()
        broken.append((mutation, found))
        _say("\n".join(["", mutation.name, *told(found), *([] if found.breaks_promise else ["NOT FOUND"])]))
    return broken


def _search() -> Searched:
    searched: Searched = []
    for family in FAMILIES:
        for needs in shapes_of(family, long=True):
            found = family.search(needs).run(most=MOST)
            searched.append((family, needs, found))
            counts = f"{found.states:>10,} states {found.transitions:>10,} transitions {found.seconds:>7.1f} s"
            _say(f"{family.name:<45} {describe(needs):<24} {counts}")
            if found.broken:
                _say("\n".join(told(found)))
    return searched


def _verdict(searched: Searched, broken: Broken) -> int:
    """0 when no promise breaks and every broken rule is found."""
    is_clean = not any(found.broken for _, _, found in searched)
    return 0 if is_clean and all(found.breaks_promise for _, found in broken) else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
