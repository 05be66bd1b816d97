"""Tables and lines are pure functions of what is recorded."""

from __future__ import annotations

import io

import pytest
from provisioning_cli._advice import advise
from provisioning_cli._grid import as_lines
from provisioning_cli._lines import event_line
from provisioning_cli._render import error_lines, next_lines, outcome_lines, preview_grid, preview_head, status_head, step_grid
from provisioning_cli._screen import as_table, console_on, live_view, rows_that_fit
from rich.console import Console

from provisioning_core import Event, Preview, RunStatus, RunView, StepStatus
from provisioning_core.model import StepPreview
from tests.cli.sample import NOW, a_run, a_step, after, an_event, failed_run, history_of_failure


def test_a_status_table_in_a_pipe() -> None:
    assert as_lines(step_grid(failed_run(), NOW)) == [
        "STATUS       STEP      TRY  TIME   MESSAGE",
        "✓ SUCCEEDED  database  1    2.0 s",
        "✓ SUCCEEDED  bucket    2    1.0 s",
        "✗ FAILED     billing   3    3.0 s  The card was declined. (card_declined)",
        "■ BLOCKED    mail                  stands behind billing",
    ]


def test_steps_on_their_way_tell_how_far_they_are() -> None:
    view = a_run(
        RunStatus.RUNNING,
        a_step("database", StepStatus.RUNNING, attempt=1, started_at=after(50), progress=0.25, message="tables"),
        a_step("dns", StepStatus.RETRYING, attempt=1, started_at=after(0), next_attempt_at=after(64)),
        a_step("approval", StepStatus.WAITING, started_at=after(0)),
        a_step("seed", waits_for=("database",)),
    )

    assert [row.cells for row in step_grid(view, NOW).rows] == [
        ("▶ RUNNING", "database", "1", "10 s", "25% tables"),
        ("↻ RETRYING", "dns", "1", "in 4.0 s", ""),
        ("◷ WAITING", "approval", "", "60 s", "waits for its signal"),
        ("○ PENDING", "seed", "", "", "waits for database"),
    ]


def test_the_outcome_tells_errors_with_hints_and_what_is_allowed() -> None:
    assert outcome_lines(failed_run(allowed_actions=("retry",)), "provision") == [
        "acme could not be provisioned (FAILED): 2 of 4 steps done (plan tenant, version 1).",
        "Run run-1, started 2026-03-01 12:00:00Z, 50%.",
        "Errors:",
        "  billing: The card was declined. (card_declined)",
        "    StepError: 402 from the provider",
        "    Hint: Ask for another card.",
        "Allowed now:",
        "  provision retry acme  tries the failed steps again, then all that stands behind them; finished steps stay",
    ]


def test_a_run_that_went_well_has_no_errors_to_tell() -> None:
    view = a_run(RunStatus.SUCCEEDED)

    assert (error_lines(view), next_lines(view, "provision")) == ([], [])
    assert status_head(view)[0] == "acme is provisioned (SUCCEEDED): 0 of 0 steps done (plan tenant, version 1)."


def test_every_kind_of_event_is_one_line() -> None:
    events = [
        *history_of_failure(),
        an_event(
            6, "step.retrying", step="dns", attempt=1, message="Not yet.", code="not_ready", next_attempt_at=after(30).timestamp()
        ),
        an_event(7, "rollback.requested", actor="bo", why="wrong\ntenant"),
        an_event(8, "skip.requested", step="billing", actor="bo"),
        an_event(9, "run.rolling_back", reason="step_failed", text="a step failed"),
        an_event(10, "resource.recorded", step="bucket", attempt=1, kind="bucket", id="b-1"),
        an_event(11, "plan.adopted", actor="bo"),
        an_event(12, "step.unheard_of", step="dns"),
    ]

    assert [event_line(event) for event in events] == [
        "12:00:01Z  run  created by ana: signed up",
        "12:00:02Z  run  ▶ RUNNING",
        "12:00:03Z  billing  ▶ RUNNING, attempt 3",
        "12:00:04Z  billing  ✗ FAILED, attempt 3: The card was declined. (card_declined)",
        "12:00:05Z  run  ✗ FAILED",
        "12:00:06Z  dns  ↻ RETRYING, next attempt at 12:00:30Z: Not yet. (not_ready)",
        "12:00:07Z  run  rollback was asked for by bo: wrong tenant",
        "12:00:08Z  run  skip of billing was asked for by bo",
        "12:00:09Z  run  ◀ ROLLING_BACK: a step failed",
        "12:00:10Z  bucket  recorded bucket b-1",
        "12:00:11Z  run  the changed plan was adopted by bo",
        "12:00:12Z  dns  UNHEARD_OF",
    ]


def test_a_preview_shows_the_turns_and_what_can_be_undone() -> None:
    steps = {
        "database": StepPreview(name="database", kind="step", needs=(), expected_seconds=3.0),
        "approval": StepPreview(name="approval", kind="gate", needs=("database",), undo="nothing", description="A person says yes"),
        "mail": StepPreview(name="mail", kind="step", needs=("approval",), undo="irreversible", skipped="condition"),
    }
    preview = Preview(
        plan="tenant",
        version="1",
        on_failure="rollback",
        layers=(("database",), ("approval",), ("mail",)),
        steps=steps,
        critical_path=("database", "approval", "mail"),
    )

    assert [*preview_head(preview), *as_lines(preview_grid(preview))] == [
        "Plan tenant, version 1: 2 steps would run, 1 step would be skipped.",
        "When a step fails: everything is rolled back.",
        "Longest chain: database -> approval -> mail.",
        "TURN  STEP      NEEDS     UNDO          USUALLY  REMARK",
        "1     database            compensation  3.0 s",
        "2     approval  database  nothing                gate; A person says yes",
        "3     mail      approval  irreversible           skipped: condition",
    ]


def drawn(view: RunView, events: list[Event], *, width: int = 80, height: int = 24) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, markup=False, emoji=False, highlight=False, color_system=None)
    console.print(live_view(view, events, now=NOW, width=width, height=height, encoding="utf-8"))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_live_view_shows_steps_bar_and_last_events() -> None:
    assert drawn(failed_run(), history_of_failure()[-2:]) == [
        "acme · tenant 1 · ✗ FAILED",
        "STATUS       STEP      TRY  TIME   MESSAGE",
        "✓ SUCCEEDED  database  1    2.0 s",
        "✓ SUCCEEDED  bucket    2    1.0 s",
        "✗ FAILED     billing   3    3.0 s  The card was declined. (card_declined)",
        "■ BLOCKED    mail                  stands behind billing",
        f"{'━' * 25}{' ' * 26}50%",
        "12:00:04Z  billing  ✗ FAILED, attempt 3: The card was declined. (card_declined)",
        "12:00:05Z  run  ✗ FAILED",
    ]


@pytest.mark.parametrize("width", [20, 40, 59])
def test_the_live_view_fits_a_narrow_terminal(width: int) -> None:
    lines = drawn(failed_run(), history_of_failure(), width=width)

    assert max(len(line) for line in lines) <= width
    assert any("billing" in line for line in lines)


def test_the_live_view_fits_a_low_terminal() -> None:
    steps = [a_step(f"s{number:02}", StepStatus.SUCCEEDED if number < 30 else StepStatus.PENDING) for number in range(60)]
    steps[10] = a_step("s10", StepStatus.FAILED)
    view = a_run(RunStatus.RUNNING, *steps)

    lines = drawn(view, history_of_failure(), height=20)

    assert len(lines) <= 20
    assert any("✗ FAILED" in line and "s10" in line for line in lines)
    assert rows_that_fit(view, 3) == (["s10", "s30", "s31"], 57)


def test_a_message_can_neither_steer_the_terminal_nor_write_markup() -> None:
    step = a_step("evil", StepStatus.RUNNING, message="\x1b[2J[red]boo[/red] :smile: \x1b]0;owned\x07")
    lines = drawn(a_run(RunStatus.RUNNING, step, subject="\x1b[2J[link=x]a"), [an_event(1, "step.running", step="\x1b[2J[red]")])

    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "[red]boo[/red] :smile:" in text
    assert text.startswith("[link=x]a · tenant 1")


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown() -> str:
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda: True)
        console_on(stream).print(as_table(step_grid(failed_run(), NOW)))
        return stream.getvalue()

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown()


def test_every_advice_is_a_command_that_there_is() -> None:
    allowed = ("adopt_plan", "pause")

    assert [advice.command for advice in advise(failed_run(allowed_actions=allowed))] == [
        "provision pause acme",
        "provision adopt-plan acme",
    ]
