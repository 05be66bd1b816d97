"""The short form of ``make mutations``: every fault still has its place in the source, and one of them is tried.

Not beside the tests of the machine: those run in each broken copy, where a fault has no place any more.
"""

from __future__ import annotations

import subprocess
import sys

import pytest
from tooling import TOOLS, tool

mutations = tool("mutations")


def test_every_fault_has_its_place_in_the_source() -> None:
    assert mutations.misplaced() == [], "the source has moved on: rewrite these faults in tools/mutations.py"


def test_faults_have_names_of_their_own_and_change_something() -> None:
    assert len({fault.name for fault in mutations.FAULTS}) == len(mutations.FAULTS)
    assert [fault.name for fault in mutations.FAULTS if fault.old == fault.new] == []


def test_a_fault_is_noticed_and_named_with_the_test_that_notices_it() -> None:
    done = subprocess.run(
        [sys.executable, TOOLS / "mutations.py", "hold is treated as rerun"], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "test_hold_waits_for_a_person" in done.stdout


def test_a_fault_that_is_not_known_is_an_error_that_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert mutations.main(["nonsense"]) == 1
    assert "no such fault: nonsense. There are: needs are ignored, " in capsys.readouterr().err
