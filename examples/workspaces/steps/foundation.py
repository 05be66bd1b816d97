"""The tenant's place, database and storage."""

from __future__ import annotations

from sqlalchemy.orm import Session

from examples.workspaces import tenants
from examples.workspaces.models import Area, Database, Tenant, Workspace
from examples.workspaces.rehearsal import note, rehearsed, undoing
from examples.workspaces.settings import Settings
from examples.workspaces.steps.policy import PATIENTLY, THREE_TIMES
from examples.workspaces.systems import databases
from examples.workspaces.systems import storage as areas
from provisioning_core import From, StepContext, step


@step(transactional=True, retry=THREE_TIMES)
def tenant(workspace: Workspace, ctx: StepContext, session: Session) -> Tenant:
    """Give the tenant a host name that nobody else has."""
    with rehearsed(ctx, may_linger=False):
        allocated = tenants.allocate_host(session, workspace)
        ctx.record("host", allocated.host)
        return allocated


@tenant.compensate(retry=PATIENTLY)
def free_tenant(workspace: Workspace, ctx: StepContext, session: Session) -> None:
    with undoing(ctx):
        tenants.free_host(session, workspace.slug)


@step(needs=[tenant], retry=THREE_TIMES, timeout=60, user_message="Your database could not be set up.")
def database(workspace: Workspace, ctx: StepContext) -> Database:
    """Create the tenant's database and bring it to the newest version."""
    with rehearsed(ctx) as settings:
        made = databases.create(settings, workspace.slug)
        ctx.record("database", made.name, on=made.kind)
        ctx.progress(0.5, "running migrations")
        with databases.connected(settings, made) as connection:
            databases.migrate(connection)
        return made


@database.compensate(retry=PATIENTLY)
def drop_database(workspace: Workspace, ctx: StepContext) -> None:
    with undoing(ctx) as settings:
        databases.drop(settings, workspace.slug)


@database.probe
def find_database(workspace: Workspace, ctx: StepContext) -> Database | None:
    settings = Settings.from_environment()
    found = databases.find(settings, workspace.slug)
    note(settings, ctx, "found" if found else "missed")
    return found


@step(retry=THREE_TIMES, timeout=60)
def storage(ctx: StepContext, tenant: Tenant = From(tenant)) -> Area:
    """Make the tenant's object-storage area."""
    with rehearsed(ctx) as settings:
        area = areas.create(settings, tenant.slug)
        ctx.record("storage", area.location, on=area.kind)
        return area


@storage.compensate(retry=PATIENTLY)
def delete_storage(workspace: Workspace, ctx: StepContext) -> None:
    with undoing(ctx) as settings:
        areas.delete(settings, workspace.slug)


@storage.probe
def find_storage(workspace: Workspace, ctx: StepContext) -> Area | None:
    settings = Settings.from_environment()
    found = areas.find(settings, workspace.slug)
    note(settings, ctx, "found" if found else "missed")
    return found
