"""What comes from outside can't steer the terminal."""

from __future__ import annotations

import pytest
from provisioning_cli._marks import RUN_MARKS, STEP_MARKS, fitting, labelled
from provisioning_cli._text import as_word, clean, clean_block, listed, several, shortened, span

from provisioning_core import RunStatus, StepStatus


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bPq device \x1b\\x", "x"),
        ("\x1bc", ""),
        ("unfinished \x1b]0;title", "unfinished "),
        ("a\r\nb\tc", "a b c"),
        ("bell\x07 back\x08space\x7f", "bell backspace"),
        ("abc\u202edcba", "abcdcba"),
        ("half \ud800", "half \ufffd"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
        ("ä – 漢字", "ä – 漢字"),
        (None, "None"),
    ],
)
def test_a_text_loses_what_a_terminal_would_obey(text: str, safe: str) -> None:
    assert clean(text) == safe


def test_a_block_keeps_its_lines() -> None:
    assert clean_block("a\x1b[2J\nb\n") == "a\nb"


def test_a_word_is_safe_for_the_shell() -> None:
    assert [as_word("acme"), as_word("a b"), as_word("$(reboot)\x1b[0m")] == ["acme", "'a b'", "'$(reboot)'"]


def test_a_long_text_is_cut() -> None:
    assert [shortened("abcdef", 6), shortened("abcdef", 4)] == ["abcdef", "abc…"]


def test_times_are_said_as_people_say_them() -> None:
    seconds = [0.04, 1.26, 9.96, 61, 119.6, 3_599, 8_000, 200_000, -5]
    assert [span(each) for each in seconds] == [
        "0.0 s", "1.3 s", "10 s", "61 s", "120 s", "59 min 59 s", "2 h 13 min", "2 d 7 h", "0.0 s",
    ]  # fmt: skip


def test_counts_and_lists_read_like_language() -> None:
    assert [several(1, "step"), several(0, "step"), several(2, "step stands", "steps stand")] == [
        "1 step",
        "0 steps",
        "2 steps stand",
    ]
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"


def test_every_status_has_a_symbol_and_a_word() -> None:
    assert set(STEP_MARKS) == set(StepStatus)
    assert set(RUN_MARKS) == set(RunStatus)
    assert labelled(StepStatus.FAILED) == "✗ FAILED"


def test_no_two_step_statuses_look_alike() -> None:
    assert len({mark.symbol for mark in STEP_MARKS.values()}) == len(STEP_MARKS)
    assert len({mark.plain for mark in STEP_MARKS.values()}) == len(STEP_MARKS)


def test_an_encoding_without_the_symbols_gets_letters() -> None:
    assert fitting("✗ FAILED · a…", "ascii") == "x FAILED - a~"
    assert fitting("✗ FAILED", "utf-8") == "✗ FAILED"
