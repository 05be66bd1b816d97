"""Verbs from the command line: what they leave on stdout, on stderr, and as exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group

from provisioning_core import Engine, NotReady, Plan, step
from provisioning_core.stores import MemoryStore
from tests.cli.product import Product

Cli = Callable[..., Result]


def view_of(result: Result) -> dict[str, Any]:
    """The one JSON document on stdout; stderr is empty."""
    assert result.stderr == ""
    return dict(json.loads(result.stdout))


def error_of(result: Result) -> dict[str, Any]:
    """The JSON error on stderr; stdout is empty."""
    assert result.stdout == ""
    return dict(json.loads(result.stderr)["error"])


def test_start_provisions_and_tells_progress_on_stderr_and_the_outcome_on_stdout(cli: Cli, product: Product) -> None:
    result = cli("start", "acme", "tenant", "--input", "slug=acme", "--reason", "signed up", "--actor", "ana")

    assert result.exit_code == 0, result.output
    assert product.done == ["database", "bucket"]
    assert result.stdout.startswith("acme is provisioned (SUCCEEDED): 2 of 2 steps done (plan tenant, version 1).\nRun ")
    assert "  provision deprovision acme  takes it down" in result.stdout
    told = [line.split("  ", 2)[2] for line in result.stderr.splitlines()]
    assert told[0] == "run  created by ana: signed up"
    assert told[-1] == "run  ✓ SUCCEEDED"
    assert "database  ✓ SUCCEEDED" in told


def test_start_gives_one_json_document(cli: Cli) -> None:
    result = cli("start", "acme", "tenant", "--input", '{"slug": "acme"}', "--label", "team=payments", "--json")

    view = view_of(result)
    assert result.exit_code == 0
    assert (view["status"], view["subject"], view["plan"], view["labels"]) == ("SUCCEEDED", "acme", "tenant", {"team": "payments"})
    assert view["steps"]["bucket"]["output"] == "bucket-db-acme"


def test_a_failed_run_ends_with_3_and_can_be_retried(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}
    failed = cli("start", "acme", "tenant", "--input", "slug=acme")
    product.failing = set()
    retried = cli("retry", "acme", "--reason", "mended", "--actor", "bo")

    assert failed.exit_code == 3
    assert "  bucket: It could not be made. (told_to)" in failed.stdout
    assert "provision retry acme" in failed.stdout
    assert retried.exit_code == 0
    assert product.done == ["database", "bucket"]
    assert "run  retry was asked for by bo: mended" in retried.stderr
    assert "created" not in retried.stderr


def test_a_run_that_rolls_itself_back_ends_with_5(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}

    result = cli("start", "acme", "careful", "--input", "slug=acme")

    assert result.exit_code == 5
    assert product.done == ["database", "undo bucket", "undo database"]
    assert cli("watch", "acme").exit_code == 5


def test_a_rollback_that_was_asked_for_ends_with_0(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}
    cli("start", "acme", "tenant", "--input", "slug=acme")
    product.failing = set()

    result = cli("rollback", "acme", "--yes")

    assert result.exit_code == 0, result.output
    assert product.done == ["database", "undo bucket", "undo database"]
    assert result.stdout.startswith("acme was rolled back and nothing is left of it (ROLLED_BACK): 2 steps undone")
    assert cli("watch", "acme").exit_code == 0


def test_a_failed_rollback_ends_with_6_until_it_is_settled(cli: Cli, product: Product) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")
    product.failing = {"undo database"}

    failed = cli("deprovision", "acme", "--yes")
    again = cli("retry", "acme")
    settled = cli("resolve", "acme", "database", "--as", "compensated", "--reason", "dropped by hand")

    assert [failed.exit_code, again.exit_code, settled.exit_code] == [6, 6, 0]
    assert "provision resolve acme database --as compensated" in failed.stdout
    assert json.loads(cli("status", "acme", "--json").stdout)["status"] == "ROLLED_BACK"


def test_retrying_a_failed_rollback_to_its_end_is_what_was_asked_for(cli: Cli, product: Product) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")
    product.failing = {"undo bucket"}
    cli("deprovision", "acme", "--yes")
    product.failing = set()

    assert cli("retry", "acme").exit_code == 0
    assert product.done == ["database", "bucket", "undo bucket", "undo database"]


def test_a_step_done_by_hand_is_skipped_and_the_run_continued(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}
    cli("start", "acme", "tenant", "--input", "slug=acme")

    skipped = cli("skip", "acme", "bucket", "--output", "bucket-by-hand", "--reason", "made in the console")
    continued = cli("continue", "acme", "--json")

    assert skipped.exit_code == 0
    assert "provision continue acme" in skipped.stdout
    assert continued.exit_code == 0
    assert view_of(continued)["steps"]["bucket"]["output"] == "bucket-by-hand"


def test_a_gate_waits_with_7_until_its_signal_comes(cli: Cli, product: Product) -> None:
    waits = cli("start", "acme", "approved")
    opened = cli("signal", "acme", "approval", "--payload", "by=ana")

    assert waits.exit_code == 7
    assert "  provision signal acme approval  opens the gate approval" in waits.stdout
    assert opened.exit_code == 0
    assert product.done == ["open_it"]


def test_pausing_and_cancelling_are_done_when_they_are_done(cli: Cli) -> None:
    cli("start", "acme", "approved")

    assert cli("pause", "acme").exit_code == 0
    assert cli("watch", "acme").exit_code == 7
    assert cli("continue", "acme").exit_code == 7
    assert cli("cancel", "acme").exit_code == 0
    assert cli("watch", "acme").exit_code == 10


def test_cancel_with_rollback_undoes_and_is_done(cli: Cli, product: Product) -> None:
    cli("start", "acme", "approved")

    result = cli("cancel", "acme", "--rollback", "--yes", "--json")

    assert (result.exit_code, view_of(result)["status"]) == (0, "ROLLED_BACK")


@pytest.mark.parametrize("words", [["rollback", "acme"], ["deprovision", "acme"], ["rollback", "acme", "--json"]])
def test_a_script_is_taken_at_its_word(cli: Cli, words: list[str]) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")

    result = cli(*words)

    assert result.exit_code == 0, result.output
    assert json.loads(cli("status", "acme", "--json").stdout)["status"] == "ROLLED_BACK"


def test_detach_records_and_leaves_the_work_to_a_worker(cli: Cli, product: Product) -> None:
    detached = cli("start", "acme", "tenant", "--input", "slug=acme", "--detach")
    looked = cli("watch", "acme", "--no-work", "--timeout", "0.3")
    watched = cli("watch", "acme")

    assert (detached.exit_code, product.worked[0]) == (0, False)
    assert "acme is recorded and has not begun (PENDING)" in detached.stdout
    assert "goes on at the worker (`provision worker`). Come back to it with: provision watch acme" in detached.stderr
    assert looked.exit_code == 124
    assert "Come back to it with: provision watch acme" in looked.stderr
    assert watched.exit_code == 0
    assert product.done == ["database", "bucket"]


def test_a_detached_retry_is_recorded_though_the_run_is_failed_still(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}
    cli("start", "acme", "tenant", "--input", "slug=acme")
    product.failing = set()

    detached = cli("retry", "acme", "--detach")

    assert (detached.exit_code, product.done) == (0, ["database"])
    assert "Come back to it with: provision watch acme" in detached.stderr
    assert cli("watch", "acme").exit_code == 0


def test_a_timeout_keeps_the_run_and_says_truthfully_how_it_goes_on(cli: Cli, product: Product) -> None:
    product.hold.set()
    cli("start", "acme", "slow", "--input", "slug=acme", "--detach")
    product.hold.clear()

    result = cli("watch", "acme", "--no-work", "--timeout", "0.2", "--json")

    assert result.exit_code == 124
    told = error_of(result)
    assert (told["code"], told["message"]) == ("timeout", "The run is not finished after 0.2 s.")
    assert told["hint"].endswith("provision watch acme")


def test_the_same_key_gives_back_the_same_run(cli: Cli) -> None:
    words = ("start", "acme", "tenant", "--input", "slug=acme", "--idempotency-key", "k-1", "--json")

    assert view_of(cli(*words))["id"] == view_of(cli(*words))["id"]


def test_a_verb_can_name_the_run(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}
    run_id = view_of(cli("start", "acme", "tenant", "--input", "slug=acme", "--json"))["id"]
    product.failing = set()

    assert view_of(cli("retry", "--run-id", run_id, "--json"))["status"] == "SUCCEEDED"


def test_named_steps_run_again(cli: Cli, product: Product) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")

    result = cli("retry", "acme", "--step", "bucket")

    assert result.exit_code == 0
    assert product.done == ["database", "bucket", "undo bucket", "bucket"]


def test_steps_can_be_named_in_one_word(cli: Cli, product: Product) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")

    assert cli("retry", "acme", "--steps", "database,bucket").exit_code == 0
    assert product.done[2:] == ["undo bucket", "undo database", "database", "bucket"]


# errors


def test_a_conflict_is_9_and_tells_what_can_be_done(cli: Cli) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")

    for_people = cli("start", "acme", "tenant", "--input", "slug=acme")
    for_programs = cli("start", "acme", "tenant", "--input", "slug=acme", "--json")

    assert (for_people.exit_code, for_people.stdout) == (9, "")
    assert for_people.stderr.startswith("Error: ")
    assert for_programs.exit_code == 9
    told = error_of(for_programs)
    assert told["code"] == "already_provisioned"
    assert "deprovision" in told["allowed_actions"]
    assert told["message"]


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (["status", "nobody"], 8, "run_not_found"),
        (["retry", "nobody"], 8, "run_not_found"),
        (["explain", "--run-id", "none"], 8, "run_not_found"),
        (["start", "acme", "unheard"], 8, "plan_not_found"),
        (["plan", "unheard"], 8, "plan_not_found"),
        (["graph", "unheard"], 8, "run_not_found"),
        (["start", "acme", "tenant", "--input", "seats=many"], 2, "invalid_input"),
        (["start", "acme", "tenant", "--input", "nowhere.json"], 2, "usage"),
        (["start", "acme"], 2, "usage"),
        (["status"], 2, "usage"),
        (["unheard"], 2, "usage"),
        (["start", "acme", "tenant", "--timeout", "0"], 2, "usage"),
        (["runs", "--status", "odd"], 2, "usage"),
        (["runs", "--cursor", "odd"], 2, None),
    ],
)
def test_an_error_has_its_code_and_is_json_on_stderr(cli: Cli, words: list[str], exit_code: int, code: str | None) -> None:
    plain, told = cli(*words), cli(*words, "--json")

    assert (plain.exit_code, plain.stdout, told.exit_code) == (exit_code, "", exit_code)
    assert "Error: " in plain.stderr
    error = error_of(told)
    assert set(error) >= {"code", "message", "hint", "allowed_actions"}
    assert code is None or error["code"] == code


def test_an_input_that_does_not_fit_names_the_place_and_not_the_value(cli: Cli) -> None:
    result = cli("start", "acme", "tenant", "--input", "slug=acme", "--input", "seats=hunter2")

    assert result.exit_code == 2
    assert result.stderr.count("seats: ") == 1
    assert "hunter2" not in result.output


def test_a_message_with_escape_sequences_reaches_no_terminal(cli: Cli, product: Product) -> None:
    product.message = "\x1b[2J\x1b]0;owned\x07[red]at it[/red]"

    outputs = [
        cli("start", "acme", "tenant", "--input", "slug=acme", "--reason", "\x1b[2Jwhy"),
        cli("status", "acme"),
        cli("explain", "acme"),
        cli("events", "acme"),
        cli("start", "\x1b[2Jevil", "tenant", "--input", "slug=acme"),
    ]

    assert [result.exit_code for result in outputs] == [0, 0, 0, 0, 2]
    assert not any("\x1b" in result.output or "owned" in result.output for result in outputs)
    assert "[red]at it[/red]" in outputs[1].stdout


def test_text_that_looks_like_a_number_is_text_where_the_plan_wants_text(cli: Cli) -> None:
    started = view_of(cli("start", "globex", "tenant", "--input", "slug=123", "--input", "seats=7", "--json"))
    cli("retry", "globex", "--steps", "database", "--input", "slug=456")
    retried = view_of(cli("status", "globex", "--json"))

    assert started["input"] == {"slug": "123", "seats": 7}
    assert retried["input"]["slug"] == "456"


def test_an_input_that_is_missing_names_what_is_missing_once(cli: Cli) -> None:
    result = cli("start", "acme", "tenant")

    assert (result.exit_code, result.stderr) == (2, "Error: the input does not fit plan 'tenant'.\n  - slug: Field required\n")


def test_a_plan_without_an_input_takes_an_empty_one(cli: Cli) -> None:
    assert cli("start", "acme", "approved", "--input", "{}").exit_code == 7


def test_a_command_carries_out_its_own_run_and_leaves_others_to_workers(cli: Cli) -> None:
    for subject in ("one", "two"):
        cli("start", subject, "tenant", "--input", f"slug={subject}", "--detach")

    watched = cli("watch", "two")
    started = cli("start", "three", "tenant", "--input", "slug=three")

    standing = {line["subject"]: line["status"] for line in json.loads(cli("runs", "--json").stdout)["items"]}
    assert (watched.exit_code, started.exit_code) == (0, 0)
    assert standing == {"one": "PENDING", "two": "SUCCEEDED", "three": "SUCCEEDED"}


def test_steps_of_a_run_that_was_undone_can_not_be_named(cli: Cli) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")
    cli("rollback", "acme")

    error = error_of(cli("retry", "acme", "--steps", "database", "--json"))

    assert error["message"] == "`retry` is not allowed: everything was undone, so there are no steps to name."
    assert error["hint"] == "Retry without names: that provisions anew."


def test_leaving_a_run_of_which_nothing_is_under_way_here_waits_for_nothing() -> None:
    def not_yet() -> None:
        raise NotReady(after=60)

    plan = Plan("tenant", steps=[step(name="dns")(not_yet)])
    group = create_group(lambda *, work: Engine(store=MemoryStore(), plans=[plan], work=work, poll=0.02))
    began = time.monotonic()

    result = CliRunner().invoke(group, ["start", "acme", "tenant", "--timeout", "0.3"])

    assert result.exit_code == 124
    assert "Waiting up to" not in result.stderr
    assert time.monotonic() - began < 5
