"""`explain` is a pure function: recorded facts in, sentences out."""

from __future__ import annotations

from provisioning_cli import explain

from provisioning_core import ErrorView, RunStatus, StepStatus
from tests.cli.sample import a_run, a_step, after, an_event, failed_run, history_of_failure, tenant_graph


def test_a_failed_run_tells_what_happened_why_and_what_can_be_done() -> None:
    assert explain(failed_run(), history_of_failure()) == [
        "acme could not be provisioned (FAILED): 2 of 4 steps done (plan tenant, version 1).",
        "",
        "What happened:",
        '  2026-03-01 12:00:01Z  ana started it ("signed up").',
        "  2026-03-01 12:00:04Z  Step billing failed (attempt 3): The card was declined.",
        "",
        "What went wrong:",
        "  Step billing: The card was declined. (code card_declined)",
        "    Detail: StepError: 402 from the provider",
        "    Hint: Ask for another card.",
        "  1 step stands behind that and did not run: mail.",
        "",
        "What it waits for:",
        "  Nothing moves by itself now: it waits for a person.",
        "",
        "What can be done next:",
        "  provision retry acme         tries the failed steps again, then all that stands behind them; finished steps stay",
        "  provision continue acme      takes the run up again and does what is not done",
        "  provision skip acme billing  says that billing was done by hand; then continue",
        "  provision rollback acme      undoes what was done, in reverse order",
    ]


def test_with_the_graph_it_tells_what_a_rollback_would_undo() -> None:
    told = explain(failed_run(), [], tenant_graph())

    assert told[-3:] == [
        "  This undoes 3 steps, in this order:",
        "    1. bucket, billing (at the same time)",
        "    2. database",
    ]


def test_a_moving_run_tells_what_is_at_work_and_when_the_next_attempt_comes() -> None:
    view = a_run(
        RunStatus.RUNNING,
        a_step("database", StepStatus.RUNNING, message="creating tables"),
        a_step("dns", StepStatus.RETRYING, attempt=2, next_attempt_at=after(30)),
        allowed_actions=("pause", "cancel"),
    )

    assert explain(view, []) == [
        "acme is being provisioned (RUNNING): 0 of 2 steps done (plan tenant, version 1).",
        "",
        "What happened:",
        "  It was started at 2026-03-01 12:00:00Z.",
        "",
        "What it waits for:",
        "  Step database is at work: creating tables.",
        "  Step dns is tried again at 2026-03-01 12:00:30Z (attempt 2).",
        "",
        "What can be done next:",
        "  provision watch acme   shows how it goes on",
        "  provision pause acme   starts nothing new, until continue",
        "  provision cancel acme  starts nothing new; --rollback also undoes what was done",
    ]


def test_a_gate_tells_which_signal_opens_it() -> None:
    view = a_run(RunStatus.WAITING, a_step("approval", StepStatus.WAITING), allowed_actions=("signal",))

    told = explain(view, [])

    assert told[-5:] == [
        "What it waits for:",
        "  Gate approval waits for its signal.",
        "",
        "What can be done next:",
        "  provision signal acme approval  opens the gate approval",
    ]


def test_a_step_in_doubt_tells_how_to_settle_it() -> None:
    doubt = ErrorView(step="billing", code="timeout", message="This step took too long.")
    step = a_step("billing", StepStatus.IN_DOUBT, attempt=1, error=doubt)
    view = a_run(RunStatus.WAITING, step, errors=(doubt,), allowed_actions=("resolve",))

    told = explain(view, [an_event(1, "step.in_doubt", step="billing", attempt=1, message="This step took too long.")])

    assert told[2:] == [
        "What happened:",
        "  2026-03-01 12:00:01Z  How step billing ended is not known (attempt 1): This step took too long.",
        "",
        "What went wrong:",
        "  Step billing: This step took too long. (code timeout)",
        "",
        "What it waits for:",
        "  Step billing: nobody knows whether it had its effect. Look there, then resolve it.",
        "",
        "What can be done next:",
        "  provision resolve acme billing --as succeeded  settles billing by hand; --as failed or compensated if so",
    ]


def test_a_failed_rollback_offers_to_try_again_or_to_settle_by_hand() -> None:
    view = a_run(
        RunStatus.ROLLBACK_FAILED,
        a_step("database", StepStatus.COMPENSATION_FAILED, attempt=10),
        a_step("bucket", StepStatus.COMPENSATED, attempt=1),
        allowed_actions=("retry", "resolve", "rollback"),
    )
    history = [an_event(7, "rollback.requested", actor="bo"), an_event(8, "run.rolling_back", text="a step failed")]

    assert explain(view, history) == [
        "acme could not be rolled back completely (ROLLBACK_FAILED): 1 step undone (plan tenant, version 1).",
        "",
        "What happened:",
        "  2026-03-01 12:00:07Z  bo asked for rollback.",
        "  2026-03-01 12:00:08Z  The rollback began: a step failed.",
        "",
        "What it waits for:",
        "  Nothing moves by itself now: it waits for a person.",
        "",
        "What can be done next:",
        "  provision resolve acme database --as compensated  says that database was undone by hand",
        "  provision retry acme                              tries again to undo what could not be undone",
        "  provision rollback acme                           takes the rollback up again",
    ]


def test_a_provisioned_subject_waits_for_nothing() -> None:
    view = a_run(RunStatus.SUCCEEDED, a_step("database", StepStatus.SUCCEEDED, attempt=1), allowed_actions=("deprovision",))

    assert explain(view, [an_event(9, "run.succeeded")], program="ours tenants") == [
        "acme is provisioned (SUCCEEDED): 1 of 1 step done (plan tenant, version 1).",
        "",
        "What happened:",
        "  2026-03-01 12:00:09Z  Every step was done.",
        "",
        "What can be done next:",
        "  ours tenants deprovision acme  takes it down: undoes every step, in reverse order",
    ]


def test_a_long_story_is_cut_in_the_middle() -> None:
    history = [an_event(seq, "retry.requested", actor="ana") for seq in range(1, 41)]

    told = explain(failed_run(), history)

    story = told[told.index("What happened:") + 1 : told.index("What went wrong:") - 1]
    assert len(story) == 21
    assert story[1] == "  … 20 lines left out; `events` has them all"
    assert story[-1] == "  2026-03-01 12:00:40Z  ana asked for retry."


def test_a_command_can_be_copied_whatever_the_subject_is_called() -> None:
    told = explain(failed_run(subject="acme; rm -rf /"), [])

    assert "  provision rollback 'acme; rm -rf /'      undoes what was done, in reverse order" in told


def test_nothing_in_it_can_steer_the_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07done"
    error = ErrorView(step=evil, code=evil, message=evil, detail=evil, hint=evil)
    view = failed_run(subject=evil, errors=(error,), warnings=(error,))
    history = [an_event(1, "run.created", actor=evil, why=evil), an_event(2, "step.failed", step=evil, message=evil)]

    told = "\n".join(explain(view, history))

    assert [char for char in told if not char.isprintable() and char != "\n"] == []
    assert "owned" not in told


def test_a_run_that_was_set_aside_is_not_said_to_be_at_work_nor_to_go_on() -> None:
    aside = ErrorView(
        step=None, code="kills_its_engine", message="It needs a person.", hint="Mend the cause, then `continue` the run."
    )
    view = a_run(
        RunStatus.RUNNING,
        a_step("database", StepStatus.RUNNING, attempt=5),
        errors=(aside,),
        allowed_actions=("continue",),
        is_resting=True,
    )

    told = explain(view, [])

    assert told[0] == "acme was set aside and waits for somebody to act (RUNNING): 0 of 1 step done (plan tenant, version 1)."
    assert told[-5:] == [
        "What it waits for:",
        "  Nothing moves by itself now: it waits for a person.",
        "",
        "What can be done next:",
        "  provision continue acme  takes the run up again and does what is not done",
    ]


def test_without_a_living_engine_nothing_is_said_to_be_at_work() -> None:
    view = a_run(RunStatus.RUNNING, a_step("database", StepStatus.RUNNING), allowed_actions=("pause",))

    told = explain(view, [], is_worked_on=False)

    assert told[told.index("What it waits for:") + 1 : told.index("What can be done next:") - 1] == [
        "  An engine that takes it up: a worker, or a command that watches it. None is alive now.",
        "  Under way when the last one ended: database.",
    ]
