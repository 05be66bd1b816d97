"""The tenant's customer record, administrator and welcome mail."""

from __future__ import annotations

import secrets

from pydantic import SecretStr

from examples.workspaces.models import Admin, Customer, Database, Workspace
from examples.workspaces.rehearsal import note, rehearsed, undoing
from examples.workspaces.settings import Settings
from examples.workspaces.steps.foundation import database, tenant
from examples.workspaces.steps.policy import PATIENTLY, THREE_TIMES
from examples.workspaces.systems import billing as customers
from examples.workspaces.systems import databases, people
from provisioning_core import From, StepContext, step


@step(needs=[tenant], retry=THREE_TIMES, timeout=30, user_message="The billing service is not available at the moment.")
def billing(workspace: Workspace, ctx: StepContext) -> Customer:
    """Create the customer at the billing service."""
    with rehearsed(ctx) as settings:
        customer = customers.create(settings, workspace, idempotency_key=ctx.idempotency_key)
        ctx.record("customer", customer.id)
        return customer


@billing.compensate(retry=PATIENTLY)
def delete_customer(workspace: Workspace, ctx: StepContext) -> None:
    with undoing(ctx) as settings:
        customers.delete_all(settings, workspace.slug)


@billing.probe
def find_customer(workspace: Workspace, ctx: StepContext) -> Customer | None:
    settings = Settings.from_environment()
    found = customers.find(settings, workspace.slug)
    note(settings, ctx, "found" if found else "missed")
    return found


@step(retry=THREE_TIMES)
def admin(workspace: Workspace, ctx: StepContext, database: Database = From(database)) -> Admin:
    """Create the administrator, with a generated password."""
    with rehearsed(ctx) as settings:
        password = secrets.token_urlsafe(12)
        with databases.connected(settings, database) as connection:
            people.set_admin(connection, workspace.email, password)
        return Admin(email=workspace.email, password=SecretStr(password))


@admin.compensate(retry=PATIENTLY)
def remove_admin(ctx: StepContext, database: Database = From(database)) -> None:
    with undoing(ctx) as settings, databases.connected(settings, database) as connection:
        people.remove_admins(connection)
