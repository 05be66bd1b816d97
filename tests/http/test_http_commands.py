"""Verbs over HTTP: recorded before they are answered, answered before any step has run."""

from __future__ import annotations

import time

import pytest
from starlette.testclient import TestClient

from provisioning_core import RunStatus

ACME = "/provisioning/tenants/acme"
START = {"plan": "quick", "input": {"slug": "acme"}}


def test_start_is_accepted_with_the_run_and_where_to_look(world, olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/start", json=START)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"{ACME}/status"
    assert answer.headers["retry-after"] == "1"
    body = answer.json()
    assert (body["tenant_id"], body["plan"], body["plan_version"]) == ("acme", "quick", "3")
    assert body["run_id"] == world.engine.status("acme").id
    assert world.engine.wait("acme", timeout=10).status is RunStatus.SUCCEEDED


def test_start_does_not_wait_for_a_step(world, olaf: TestClient) -> None:
    olaf.get(f"{ACME}/status")
    begun = time.perf_counter()
    answer = olaf.post(f"{ACME}/start", json={"plan": "slow", "input": {"slug": "acme"}})
    took = time.perf_counter() - begun
    print(f"start answered after {took * 1000:.1f} ms")

    assert answer.status_code == 202
    assert answer.json()["status"] == "IN_PROGRESS"
    assert took < 0.5


@pytest.mark.parametrize("verb", ["retry", "continue"])
def test_going_on_does_not_wait_for_a_step(world, olaf: TestClient, verb: str) -> None:
    world.start("stalling")
    world.mended.set()
    begun = time.perf_counter()
    answer = olaf.post(f"{ACME}/{verb}")
    took = time.perf_counter() - begun
    print(f"{verb} answered after {took * 1000:.1f} ms")

    assert (answer.status_code, answer.json()["status"]) == (202, "IN_PROGRESS")
    assert took < 0.5


def test_start_twice_gives_the_same_run(world, olaf: TestClient) -> None:
    first = olaf.post(f"{ACME}/start", json={"plan": "slow", "input": {"slug": "acme"}})
    second = olaf.post(f"{ACME}/start", json={"plan": "slow", "input": {"slug": "acme"}})

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["run_id"] == second.json()["run_id"]


def test_the_same_idempotency_key_gives_back_a_run_that_has_ended(world, olaf: TestClient) -> None:
    first = olaf.post(f"{ACME}/start", json=START, headers={"Idempotency-Key": "signup-1"})
    world.engine.wait("acme", timeout=10)
    again = olaf.post(f"{ACME}/start", json=START, headers={"Idempotency-Key": "signup-1"})

    assert again.status_code == 202
    assert again.json()["run_id"] == first.json()["run_id"]
    assert again.json()["state"] == "SUCCEEDED"


def test_an_idempotency_key_used_for_something_else_is_a_conflict(world, olaf: TestClient) -> None:
    olaf.post(f"{ACME}/start", json=START, headers={"Idempotency-Key": "signup-1"})
    other = {"plan": "quick", "input": {"slug": "other"}}
    answer = olaf.post(f"{ACME}/start", json=other, headers={"Idempotency-Key": "signup-1"})

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


def test_a_malformed_idempotency_key_is_refused(olaf: TestClient) -> None:
    for key in ("", "x" * 201, "two words", "gr\u00fcn".encode("latin-1")):
        answer = olaf.post(f"{ACME}/start", json=START, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")
    twice = olaf.post(f"{ACME}/start", json=START, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (twice.status_code, twice.json()["code"]) == (400, "invalid_idempotency_key")


def test_a_provisioned_tenant_is_provisioned_again_only_when_asked(world, olaf: TestClient) -> None:
    first = world.start("quick")
    refused = olaf.post(f"{ACME}/start", json=START)
    again = olaf.post(f"{ACME}/start", json=START | {"again": True})

    assert (refused.status_code, refused.json()["code"]) == (409, "already_provisioned")
    assert again.status_code == 202
    assert again.json()["run_id"] != first.id


def test_labels_are_kept_with_the_run(world, olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/start", json=START | {"labels": {"tier": "pro"}})

    assert answer.status_code == 202
    assert world.engine.status("acme").labels == {"tier": "pro"}


def test_a_conflict_says_what_is_there_and_what_can_be_done(world, olaf: TestClient) -> None:
    run = world.start("broken")
    answer = olaf.post(f"{ACME}/start", json=START)

    problem = answer.json()
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], problem["status"], problem["state"]) == ("already_active", 409, "FAILED")
    assert problem["run_id"] == run.id
    assert "retry" in problem["allowed_actions"]


def test_retry_runs_what_failed(world, olaf: TestClient) -> None:
    world.start("broken")
    world.mended.set()
    answer = olaf.post(f"{ACME}/retry", json={"reason": "the database is back"})

    assert answer.status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.SUCCEEDED


def test_retry_of_named_steps_runs_them_again(world, olaf: TestClient) -> None:
    world.start("quick")
    answer = olaf.post(f"{ACME}/retry", json={"steps": ["bucket"]})

    assert answer.status_code == 202
    world.engine.wait("acme", timeout=10)
    begun = [event.step for event in world.engine.events("acme") if event.type == "step.running"]
    assert begun.count("bucket") == 2
    assert begun.count("database") == 1


def test_continue_takes_up_a_failed_run(world, olaf: TestClient) -> None:
    world.start("broken")
    world.mended.set()

    assert olaf.post(f"{ACME}/continue").status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.SUCCEEDED


def test_rollback_undoes(world, olaf: TestClient) -> None:
    world.start("quick")

    assert olaf.post(f"{ACME}/rollback", json={"force": True}).status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.ROLLED_BACK


def test_rollback_to_a_step_keeps_that_step(world, olaf: TestClient) -> None:
    world.start("quick")

    assert olaf.post(f"{ACME}/rollback", json={"to": "database"}).status_code == 202
    assert world.engine.wait("acme", timeout=10).steps["database"].status == "SUCCEEDED"


def test_deprovision_takes_down_what_succeeded(world, olaf: TestClient) -> None:
    world.start("quick")

    assert olaf.post(f"{ACME}/deprovision").status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.ROLLED_BACK


def test_cancel_stops_before_the_next_step(world, olaf: TestClient) -> None:
    world.start("slow")
    answer = olaf.post(f"{ACME}/cancel", json={"reason": "changed their mind"})
    world.open.set()

    assert answer.status_code == 202
    view = world.engine.wait("acme", timeout=10)
    assert (view.status, view.steps["second"].status) == (RunStatus.CANCELLED, "CANCELLED")


def test_cancel_with_rollback_undoes(world, olaf: TestClient) -> None:
    world.start("slow")
    answer = olaf.post(f"{ACME}/cancel", json={"rollback": True})
    world.open.set()

    assert answer.status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.ROLLED_BACK


def test_pause_rests_and_continue_goes_on(world, olaf: TestClient) -> None:
    world.start("slow")
    paused = olaf.post(f"{ACME}/pause")
    world.open.set()

    assert paused.status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.PAUSED
    assert olaf.post(f"{ACME}/continue").status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.SUCCEEDED


def test_a_signal_opens_a_gate(world, olaf: TestClient) -> None:
    world.start("gated")
    answer = olaf.post(f"{ACME}/signals/approval", json={"payload": {"by": "legal"}})

    assert answer.status_code == 202
    view = world.engine.wait("acme", timeout=10)
    assert (view.status, view.steps["approval"].output) == (RunStatus.SUCCEEDED, {"by": "legal"})


def test_a_signal_to_a_step_that_is_no_gate_is_refused(world, olaf: TestClient) -> None:
    world.start("gated")
    answer = olaf.post(f"{ACME}/signals/after")

    assert (answer.status_code, answer.json()["code"]) == (422, "not_a_gate")


def test_a_step_done_by_hand_is_skipped_with_its_output(world, olaf: TestClient) -> None:
    world.start("broken")
    answer = olaf.post(f"{ACME}/steps/database/skip", json={"output": "by hand", "reason": "made it myself"})

    assert answer.status_code == 202
    step = world.engine.status("acme").steps["database"]
    assert (step.status, step.output) == ("SKIPPED", "by hand")


def test_an_output_that_does_not_fit_is_refused(world, olaf: TestClient) -> None:
    world.start("broken")
    answer = olaf.post(f"{ACME}/steps/database/skip", json={"output": 7})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_output")


def test_a_failed_compensation_is_resolved_by_hand(world, olaf: TestClient) -> None:
    world.undo_mended.clear()
    world.start("quick")
    olaf.post(f"{ACME}/rollback", json={"force": True})
    assert world.engine.wait("acme", timeout=10).status is RunStatus.ROLLBACK_FAILED
    answer = olaf.post(f"{ACME}/steps/database/resolve", json={"as": "compensated", "reason": "dropped it"})

    assert answer.status_code == 202
    assert world.engine.wait("acme", timeout=10).status is RunStatus.ROLLED_BACK


def test_resolve_needs_a_word_it_knows(world, olaf: TestClient) -> None:
    world.start("broken")
    missing = olaf.post(f"{ACME}/steps/database/resolve", json={})
    unknown = olaf.post(f"{ACME}/steps/database/resolve", json={"as": "done"})

    assert [answer.status_code for answer in (missing, unknown)] == [422, 422]
    assert [answer.json()["errors"][0]["loc"] for answer in (missing, unknown)] == [["body", "as"], ["body", "as"]]


def test_resolving_what_is_not_in_doubt_is_a_conflict(world, olaf: TestClient) -> None:
    world.start("broken")
    answer = olaf.post(f"{ACME}/steps/database/resolve", json={"as": "succeeded", "output": "made"})

    assert (answer.status_code, answer.json()["code"]) == (409, "step_not_in_doubt")


def test_adopting_an_unchanged_plan_is_accepted(world, olaf: TestClient) -> None:
    world.start("broken")

    assert olaf.post(f"{ACME}/adopt-plan").status_code == 202


def test_an_unknown_step_is_a_404(world, olaf: TestClient) -> None:
    world.start("broken")
    for call in ("signals/nowhere", "steps/nowhere/skip"):
        answer = olaf.post(f"{ACME}/{call}", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "step_not_found")


def test_a_verb_that_is_not_allowed_now_says_what_is(world, olaf: TestClient) -> None:
    world.start("quick")
    answer = olaf.post(f"{ACME}/retry")

    assert (answer.status_code, answer.json()["code"]) == (409, "not_allowed")
    assert "deprovision" in answer.json()["allowed_actions"]


def test_a_verb_for_a_tenant_without_a_run_is_a_404(olaf: TestClient) -> None:
    answer = olaf.post(f"{ACME}/retry")

    assert (answer.status_code, answer.json()["code"]) == (404, "run_not_found")


def test_who_and_why_are_kept_in_the_history(world, olaf: TestClient) -> None:
    world.start("broken")
    olaf.post(f"{ACME}/retry", json={"reason": "the database is back"})
    world.engine.wait("acme", timeout=10)
    asked = next(event for event in world.engine.events("acme") if event.type == "retry.requested")

    assert asked.actor == "olaf"
    assert asked.data["why"] == "the database is back"
