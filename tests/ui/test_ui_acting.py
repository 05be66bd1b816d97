"""Buttons: each says first what it will do and asks why; then it does that, or says why not. All of it without scripts."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from provisioning_core import RunStatus, StepStatus
from tests.ui.ui_product import CANARY, Product
from tests.ui.ui_reading import filled, look, run_path, send, words


def test_a_rollback_shows_first_which_steps_it_undoes_in_which_order(product: Product, olaf: TestClient) -> None:
    page = look(olaf, f"{run_path(product.start('workspace'))}/rollback")

    assert "This undoes 3 steps, in this order:" in page.get_text()
    assert [words(wave) for wave in page.select(".waves li")] == ["billing", "bucket", "database"]
    assert "Nothing to undo: note" in words(page.main)


def test_a_rollback_of_a_provisioned_tenant_names_what_can_not_be_undone_and_asks_for_its_name(
    product: Product, olaf: TestClient
) -> None:
    product.mended.set()
    run = product.start("workspace")
    path = f"{run_path(run)}/deprovision"

    assert "Can't be undone: mail" in words(look(olaf, path).main)
    refused = send(olaf, path, 422, reason="they left", name="acne")
    assert words(refused.select_one("[role=alert]")).startswith("Type the tenant's name exactly")
    assert run.view().status is RunStatus.SUCCEEDED

    send(olaf, path, reason="they left", name="acme")
    assert run.wait(timeout=10).status is RunStatus.ROLLED_BACK


def test_what_the_page_says_is_undone_is_what_is_undone_in_that_order(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    shown = [words(wave) for wave in look(olaf, f"{run_path(run)}/rollback").select(".waves .name")]
    send(olaf, f"{run_path(run)}/rollback", reason="no card")
    run.wait(timeout=10)

    assert [event.step for event in product.engine.events("acme") if event.type == "step.compensating"] == shown


def test_a_verb_is_done_and_the_browser_is_sent_back_to_the_run(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    product.mended.set()
    action, fields = filled(olaf, f"{run_path(run)}/retry", reason="new card")
    answer = olaf.post(action, data=fields, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, run_path(run))
    assert run.wait(timeout=10).status is RunStatus.SUCCEEDED
    asked = next(event for event in product.engine.events("acme") if event.type == "retry.requested")
    assert (asked.actor, asked.data["why"]) == ("olaf", "new card")


def test_a_retry_names_the_steps_that_it_runs(product: Product, olaf: TestClient) -> None:
    page = look(olaf, f"{run_path(product.start('workspace'))}/retry")

    assert [words(name) for name in page.select(".card > p .name")] == ["billing", "mail"]


def test_without_a_reason_nothing_is_done(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    page = send(olaf, f"{run_path(run)}/rollback", 422, reason="  ")

    assert words(page.select_one("[role=alert]")) == "Say why: the reason is kept in the history."
    assert run.view().status is RunStatus.FAILED


def test_what_changed_since_it_was_shown_is_shown_again_and_not_done(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    action, fields = filled(olaf, f"{run_path(run)}/rollback", reason="no card")
    product.mended.set()
    product.engine.retry("acme").wait(timeout=10)
    answer = olaf.post(action, data=fields, follow_redirects=False)

    assert answer.status_code == 409
    assert "It has changed meanwhile" in answer.text
    assert "no card" in answer.text
    assert run.view().status is RunStatus.SUCCEEDED


def test_what_is_not_allowed_any_more_says_so(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    page = look(olaf, f"{run_path(run)}/pause", 409)

    assert "This can't be done now: the run is failed." in words(page.main)
    assert page.find("form") is None
    assert look(olaf, f"{run_path(run)}/explode", 404).h1


def test_a_form_without_its_token_or_from_elsewhere_is_refused(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    action, fields = filled(olaf, f"{run_path(run)}/rollback", reason="no card")
    without = {name: value for name, value in fields.items() if name != "csrf_token"}
    answers = [
        olaf.post(action, data=without),
        olaf.post(action, data=fields | {"csrf_token": "x.y"}),
        olaf.post(action, data=fields, headers={"Sec-Fetch-Site": "cross-site"}),
        olaf.post(action, data=fields, headers={"Sec-Fetch-Site": "same-site", "Origin": "https://evil.example"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert run.view().status is RunStatus.FAILED


def test_a_gate_is_opened_with_a_payload(product: Product, olaf: TestClient) -> None:
    run = product.start("gated")
    send(olaf, f"{run_path(run)}/signal?step=approval", reason="looked at it", value='{"by": "olaf"}')
    view = run.wait(timeout=10)

    assert view.status is RunStatus.SUCCEEDED
    assert view.steps["approval"].output == {"by": "olaf"}


def test_a_failed_step_is_marked_as_done_and_the_run_continued(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    send(olaf, f"{run_path(run)}/skip", reason="made it by hand", value='"cus_9"')
    send(olaf, f"{run_path(run)}/continue", reason="go on")
    view = run.wait(timeout=10)

    assert view.status is RunStatus.SUCCEEDED
    assert view.steps["billing"].output == "cus_9"


@pytest.mark.parametrize(("as_", "status"), [("succeeded", StepStatus.SUCCEEDED), ("failed", StepStatus.FAILED)])
def test_a_doubt_is_settled(product: Product, olaf: TestClient, as_: str, status: StepStatus) -> None:
    run = product.start("held")
    assert words(look(olaf, run_path(run)).select_one("#actions a")) == "Resolve: register"
    send(olaf, f"{run_path(run)}/resolve", reason="I looked", value='"late"' if as_ == "succeeded" else "", **{"as": as_})

    assert run.wait(timeout=10).steps["register"].status is status


def test_what_could_not_be_undone_is_resolved_by_hand(product: Product, olaf: TestClient) -> None:
    product.undo_mended.clear()
    run = product.start("workspace")
    send(olaf, f"{run_path(run)}/rollback", reason="no card")
    assert run.wait(timeout=10).status is RunStatus.ROLLBACK_FAILED
    assert words(look(olaf, run_path(run)).find(id="sentence")) == (
        "database could not be undone: The database is still in use. It waits for a person: retry the undoing, or resolve it by hand."
    )
    send(olaf, f"{run_path(run)}/resolve", reason="dropped it", **{"as": "compensated"})

    assert run.wait(timeout=10).status is RunStatus.ROLLED_BACK


def test_a_moving_run_is_paused_continued_and_cancelled_with_a_rollback(product: Product, olaf: TestClient) -> None:
    run = product.start("slow")
    send(olaf, f"{run_path(run)}/pause", reason="wait")
    product.open.set()
    assert run.wait(timeout=10).status is RunStatus.PAUSED
    send(olaf, f"{run_path(run)}/cancel", reason="enough", then="rollback")

    assert run.wait(timeout=10).status is RunStatus.ROLLED_BACK


def test_what_was_sent_as_a_value_is_not_shown_again(product: Product, olaf: TestClient) -> None:
    run = product.start("workspace")
    answers = [
        send(olaf, f"{run_path(run)}/retry", 422, reason="x", value=f'{{"slug": ["{CANARY}"]}}'),
        send(olaf, f"{run_path(run)}/skip", 422, reason="x", value=f'{{"a": {CANARY}'),
        send(olaf, f"{run_path(run)}/skip", 422, reason="x", value=f'["{CANARY}"]'),
        send(olaf, f"{run_path(run)}/skip", 422, reason="x", step=CANARY, value="1"),
    ]

    assert [CANARY in str(answer) for answer in answers] == [False] * 4
    assert all(words(answer.select_one("[role=alert]")) for answer in answers)
    assert run.view().status is RunStatus.FAILED
