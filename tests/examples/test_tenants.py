"""The backend's own row and how it follows the run."""

import pytest

from examples.workspaces import tenants
from examples.workspaces.models import Workspace
from examples.workspaces.settings import Settings
from provisioning_core import RunStatus, StatusChange

ACME = Workspace(slug="acme", company="Acme", email="founder@acme.example")


def change(old: RunStatus | None, new: RunStatus) -> StatusChange:
    return StatusChange(run_id="r", subject="acme", plan="workspace", old=old, new=new, at=0.0)


def states_after(settings: Settings, *statuses: RunStatus) -> list[str]:
    """The row's status after each of the run's."""
    tenants.prepare(settings)
    found = []
    for old, new in zip([None, *statuses], statuses, strict=False):
        with tenants.connected(settings) as connection:
            tenants.follow(change(old, new), connection)
            row = tenants.row_of(connection, "acme")
        found.append(row["status"])
    return found


def test_a_run_that_succeeds_makes_the_tenant_active(settings: Settings):
    statuses = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.SUCCEEDED)
    assert states_after(settings, *statuses) == ["ONBOARDING", "ONBOARDING", "ACTIVE"]


def test_a_run_that_fails_and_is_continued_brings_the_tenant_back(settings: Settings):
    statuses = (RunStatus.RUNNING, RunStatus.FAILED, RunStatus.RUNNING, RunStatus.SUCCEEDED)
    assert states_after(settings, *statuses) == ["ONBOARDING", "FAILED", "ONBOARDING", "ACTIVE"]


def test_a_run_that_is_rolled_back_leaves_the_tenant_failed(settings: Settings):
    statuses = (RunStatus.RUNNING, RunStatus.ROLLING_BACK, RunStatus.ROLLED_BACK)
    assert states_after(settings, *statuses) == ["ONBOARDING", "ONBOARDING", "FAILED"]


def test_a_provisioned_tenant_that_is_undone_is_closed_and_not_failed(settings: Settings):
    statuses = (RunStatus.SUCCEEDED, RunStatus.ROLLING_BACK, RunStatus.ROLLBACK_FAILED, RunStatus.ROLLING_BACK, RunStatus.ROLLED_BACK)
    assert states_after(settings, *statuses) == ["ACTIVE", "CLOSING", "CLOSING", "CLOSING", "CLOSED"]


def test_a_name_is_given_to_one_tenant_only(settings: Settings):
    tenants.prepare(settings)
    with tenants.connected(settings) as connection:
        tenants.sign_up(connection, ACME, "token")
    with pytest.raises(tenants.NameTaken, match="'acme' is taken"), tenants.connected(settings) as connection:
        tenants.sign_up(connection, ACME, "another token")
    with tenants.connected(settings) as connection:
        row = tenants.row_of(connection, "acme")
    assert row == {
        "slug": "acme",
        "company": "Acme",
        "status": "ONBOARDING",
        "host": None,
        "token_digest": tenants.digest("token"),
    }


def test_a_failed_tenant_may_sign_up_again(settings: Settings):
    states_after(settings, RunStatus.RUNNING, RunStatus.ROLLED_BACK)
    with tenants.connected(settings) as connection:
        tenants.sign_up(connection, ACME, "token")
        row = tenants.row_of(connection, "acme")
    assert (row["status"], row["company"]) == ("ONBOARDING", "Acme")
