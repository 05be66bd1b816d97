"""The whole plan in an engine of this process: what a tenant gets, what a failure leaves, what a rollback removes."""

from collections import Counter
from collections.abc import Iterator

import pytest

from examples.workspaces import engine as new_engine
from examples.workspaces import faults, tenants
from examples.workspaces.backend import workspace_for
from examples.workspaces.leftovers import answers, leftovers, tenant_state
from examples.workspaces.models import Database
from examples.workspaces.plan import PLAN_FOR, workspace, workspace_or_nothing
from examples.workspaces.rehearsal import ledger
from examples.workspaces.services.mail import mails
from examples.workspaces.settings import Settings
from examples.workspaces.systems import databases, people
from provisioning_core import Engine, RunStatus, RunView, StepStatus

STEPS = ["admin", "billing", "certificate", "database", "index", "mail", "publish", "seed", "storage", "tenant", "vhost"]


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    with new_engine() as running:
        yield running


def up(engine: Engine, slug: str, on_failure: str = "finish") -> RunView:
    return engine.start(PLAN_FOR[on_failure].name, subject=slug, input=workspace_for(slug)).wait(timeout=60)


def statuses(view: RunView) -> dict[str, str]:
    return {name: str(step.status) for name, step in view.steps.items()}


def times_done(settings: Settings) -> Counter[str]:
    return Counter(line["step"] for line in ledger(settings) if line["what"] == "done")


def test_both_plans_have_the_same_steps_and_can_undo_each_of_them():
    for plan in (workspace, workspace_or_nothing):
        assert sorted(plan.steps) == STEPS
        assert sorted(plan.preview(workspace_for("acme")).undoable) == STEPS


def test_a_tenant_is_provisioned_and_each_step_runs_once(engine: Engine, settings: Settings):
    view = up(engine, "acme")
    assert (view.status, view.progress, view.errors) == (RunStatus.SUCCEEDED, 1.0, ())
    assert times_done(settings) == Counter(STEPS)
    assert tenant_state(settings, "acme") == "ACTIVE"
    assert answers(settings, "acme.workspaces.localhost")


def test_the_welcome_mail_has_the_password_that_logs_in_and_nothing_else_shows_it(engine: Engine, settings: Settings):
    view = up(engine, "acme")
    [mail] = mails(settings, "founder@acme.example")
    password = mail.get_content().split("the password ")[1].split(" ")[0]
    with databases.connected(settings, Database(kind="sqlite", name="acme")) as connection:
        assert people.may_log_in(connection, "founder@acme.example", password)
    assert view.steps["admin"].output == {"email": "founder@acme.example", "password": "**********"}
    engine.close()
    files = [path for path in settings.root.glob("backend.db*") if path.is_file()]
    assert files
    assert not any(password.encode() in path.read_bytes() for path in files)


def test_a_passing_fault_is_overcome_by_retries(engine: Engine, settings: Settings):
    faults.inject(settings, {"billing": 2, "vhost": 1})
    view = up(engine, "acme")
    assert view.status is RunStatus.SUCCEEDED
    assert {name: view.steps[name].attempt for name in ("billing", "vhost", "database")} == {"billing": 3, "vhost": 2, "database": 1}


def test_a_failure_stops_what_depends_on_it_and_continue_does_only_the_rest(engine: Engine, settings: Settings):
    faults.inject(settings, {"index": faults.FOR_EVER})
    failed = up(engine, "acme")
    assert failed.status is RunStatus.FAILED
    assert {name: status for name, status in statuses(failed).items() if status != "SUCCEEDED"} == {
        "index": "FAILED",
        "publish": "BLOCKED",
        "mail": "BLOCKED",
    }
    assert [(error.step, error.code) for error in failed.errors] == [("index", "injected_fault")]
    assert tenant_state(settings, "acme") == "FAILED"
    faults.inject(settings, {})
    assert engine.continue_("acme").wait(timeout=60).status is RunStatus.SUCCEEDED
    assert times_done(settings) == Counter(STEPS)
    assert tenant_state(settings, "acme") == "ACTIVE"


@pytest.mark.parametrize("step", STEPS)
def test_whichever_step_fails_nothing_is_left_behind(step: str, engine: Engine, settings: Settings):
    faults.inject(settings, {step: faults.FOR_EVER})
    view = up(engine, "globex", on_failure="rollback")
    assert view.status is RunStatus.ROLLED_BACK, view.errors
    assert leftovers(settings, "globex") == []
    assert tenant_state(settings, "globex") == "FAILED"


def test_a_failed_tenant_can_be_rolled_back_by_hand_and_start_anew(engine: Engine, settings: Settings):
    faults.inject(settings, {"mail": faults.FOR_EVER})
    assert up(engine, "acme").status is RunStatus.FAILED
    assert "its site" in leftovers(settings, "acme")
    assert engine.rollback("acme").wait(timeout=60).status is RunStatus.ROLLED_BACK
    assert leftovers(settings, "acme") == []
    faults.inject(settings, {})
    assert up(engine, "acme").status is RunStatus.SUCCEEDED


def test_a_provisioned_tenant_is_deprovisioned_with_a_goodbye(engine: Engine, settings: Settings):
    up(engine, "acme")
    view = engine.deprovision("acme").wait(timeout=60)
    assert view.status is RunStatus.ROLLED_BACK
    assert set(statuses(view).values()) == {str(StepStatus.COMPENSATED)}
    assert leftovers(settings, "acme") == []
    assert tenant_state(settings, "acme") == "CLOSED"
    assert [str(mail["Subject"]) for mail in mails(settings, "founder@acme.example")] == [
        "Your workspace is ready",
        "Your workspace is closed",
    ]


def test_tenants_that_are_provisioned_at_once_do_not_meet(engine: Engine, settings: Settings):
    names = [f"tenant-{number}" for number in range(5)]
    faults.inject(settings, {"storage": 2})
    runs = [engine.start(workspace_or_nothing.name, subject=name, input=workspace_for(name)) for name in names]
    assert {run.wait(timeout=60).status for run in runs} == {RunStatus.SUCCEEDED}
    with tenants.connected(settings) as connection:
        hosts = {tenants.row_of(connection, name)["host"] for name in names}
    assert hosts == {f"{name}.workspaces.localhost" for name in names}
    engine.rollback(names[0], force=True).wait(timeout=60)
    assert [answers(settings, f"{name}.workspaces.localhost") for name in names] == [False, True, True, True, True]
