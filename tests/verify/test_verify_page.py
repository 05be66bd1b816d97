"""The page of invariants is what the code says, and every invariant is one that can be found broken."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from provisioning_core.machine import INVARIANTS

ROOT = Path(__file__).parents[2]


def test_the_page_of_invariants_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("invariants", ROOT / "tools" / "invariants.py")
    assert spec is not None
    assert spec.loader is not None
    invariants = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(invariants)
    assert (ROOT / "docs" / "invariants.md").read_text(encoding="utf-8") == invariants.page(), "run `make docs`"


def test_every_invariant_is_broken_in_some_test() -> None:
    here = Path(__file__)
    tests = "".join(path.read_text(encoding="utf-8") for path in here.parent.glob("*.py") if path != here)
    assert [code for code in INVARIANTS if f'"{code}"' not in tests] == []
