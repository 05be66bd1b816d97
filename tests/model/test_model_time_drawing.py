"""A run in time, drawn: bars where their time was, in SVG and in signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from provisioning_core import Bar, StepStatus, Timeline

BEGAN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def bar(step: str, kind: Any, begin: float, end: float | None, outcome: StepStatus | None = StepStatus.SUCCEEDED, **more: Any) -> Bar:
    finished = None if end is None else at(end)
    return Bar(step=step, kind=kind, attempt=1, started_at=at(begin), finished_at=finished, outcome=outcome, **more)


def timeline(*bars: Bar, end: float | None) -> Timeline:
    told = {"subject": "acme", "plan": "workspace", "plan_version": "3"}
    return Timeline(run_id="r", started_at=BEGAN, finished_at=None if end is None else at(end), bars=bars, **told)


UNDONE = timeline(
    bar("database", "attempt", 0, 4),
    bar("bucket", "attempt", 4, 5, StepStatus.RETRYING),
    bar("bucket", "wait", 5, 7, StepStatus.RUNNING),
    bar("bucket", "attempt", 7, 8, StepStatus.FAILED),
    bar("database", "undo", 8, 10, StepStatus.COMPENSATED),
    end=10,
)


def bars_in(svg: str) -> dict[str, tuple[str, float, float]]:
    """By what it says: its look, where it begins and how wide it is."""
    found = {}
    for group in ET.fromstring(svg).iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is not None and box is not None and box.get("class", "").startswith("bar "):
            found[title.text or ""] = (box.get("class", "")[4:], float(box.get("x", "")), float(box.get("width", "")))
    return found


# signs


def test_signs_stand_where_the_time_was() -> None:
    assert UNDONE.to_text(now=at(99), width=52).splitlines() == [
        "acme: workspace, version 3",
        "            0 s     2 s     4 s     6 s     8 s",
        "✓ database  █████████████████",
        "✗ bucket                    ████░░░░░░░░█████",
        "Undoing",
        "↩ database                                  ▓▓▓▓▓▓▓▓",
        "",
        "█ ran, ░ waited, ▓ undone",
    ]


def test_what_lasts_reaches_to_the_present() -> None:
    lasting = timeline(bar("a", "attempt", 0, None, None), bar("ok", "gate", 0, None, None), end=None)

    assert lasting.to_text(now=at(2), width=40).splitlines()[2:4] == [f"▶ a   {'█' * 34}", f"⧖ ok  {'░' * 34}"]


def test_time_in_which_nothing_ran_is_folded_and_named() -> None:
    found = timeline(bar("a", "attempt", 0, 10), bar("b", "attempt", 7210, 7220), end=7220).to_text(now=at(0), width=60)

    assert found.splitlines()[-2:] == ["█ ran, ░ waited, · folded", "folded, as nothing ran then: 2 h 00 min"]
    assert "█·" in found.splitlines()[2]


@pytest.mark.parametrize("width", [1, 40, 80, 200])
def test_no_line_is_longer_than_asked_for(width: int) -> None:
    long = timeline(bar("a step with a name that goes on and on", "attempt", 0, 10), end=10)
    lines = [line for each in (UNDONE, long) for line in each.to_text(now=at(10), width=width).splitlines()]

    assert max(map(len, lines)) <= max(width, 40)


def test_a_run_of_which_nothing_has_begun_says_so() -> None:
    assert timeline(end=None).to_text(now=at(0)) == "acme: workspace, version 3\nnothing has begun\n"
    assert "nothing has begun" in timeline(end=None).to_svg(now=at(0))


# SVG


def test_bars_have_their_place_and_say_what_they_are() -> None:
    assert bars_in(UNDONE.to_svg(now=at(99))) == {
        "database, attempt 1: succeeded, 4.0 s": ("done", 230.0, 288.0),
        "bucket, attempt 1: failed, 1.0 s": ("bad", 734.0, 72.0),
        "bucket, waits for attempt 2: over, 2.0 s": ("wait", 590.0, 144.0),
        "database, undoing: compensated, 2.0 s": ("undone", 806.0, 144.0),
    }


@pytest.mark.parametrize(
    ("kind", "outcome", "look"),
    [
        ("attempt", None, "busy"),
        ("attempt", StepStatus.SUCCEEDED, "done"),
        ("attempt", StepStatus.RETRYING, "bad"),
        ("attempt", StepStatus.CANCELLED, "idle"),
        ("attempt", StepStatus.IN_DOUBT, "wait"),
        ("doubt", StepStatus.RUNNING, "wait"),
        ("gate", None, "wait"),
        ("undo", None, "undone"),
        ("undo", StepStatus.COMPENSATION_FAILED, "bad"),
    ],
)
def test_every_kind_of_bar_has_its_look(kind: str, outcome: StepStatus | None, look: str) -> None:
    svg = timeline(bar("a", kind, 0, None if outcome is None else 1, outcome), end=None).to_svg(now=at(1))

    assert [found for found, *_ in bars_in(svg).values()] == [look]


def test_nothing_in_a_name_or_a_message_gets_out_of_its_place() -> None:
    evil = "<script>&\"'\x00\u202e"
    svg = timeline(bar(evil, "attempt", 0, 1, StepStatus.FAILED, message=evil), end=1).to_svg(now=at(1))
    tree = ET.fromstring(svg)

    assert [each.tag for each in tree.iter() if each.tag.endswith("script")] == []
    assert list(bars_in(svg)) == ["<script>&\"'  , attempt 1: failed, 1.0 s, <script>&\"'  "]
    assert "\x00" not in timeline(bar(evil, "attempt", 0, 1), end=1).to_text(now=at(1))


def test_without_a_time_the_present_is_taken() -> None:
    now = datetime.now(UTC)
    lasting = Timeline(started_at=now, bars=(Bar(step="a", kind="attempt", attempt=1, started_at=now - timedelta(hours=3)),))

    assert "a, attempt 1: under way, 3 h 00 min" in lasting.to_svg()
    assert "▶ a" in lasting.to_text()
