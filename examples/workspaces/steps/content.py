"""What the tenant finds on the first day, and the index over it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from examples.workspaces import tenants
from examples.workspaces.models import Database, Workspace
from examples.workspaces.rehearsal import rehearsed, undoing
from examples.workspaces.steps.foundation import database, tenant
from examples.workspaces.steps.policy import PATIENTLY, THREE_TIMES
from examples.workspaces.systems import databases
from provisioning_core import From, StepContext, step

WELCOME_PAGES = [
    ("Welcome", "Your workspace is ready. Invite your team and create the first project."),
    ("Inviting people", "Open Settings, choose People and enter the addresses of the people to invite."),
    ("Billing", "Invoices come on the first day of the month. Change your plan whenever you like."),
    ("Keyboard shortcuts", "Press the question mark to see every shortcut."),
]


@step(transactional=True, needs=[tenant], retry=THREE_TIMES)
def seed(workspace: Workspace, ctx: StepContext, session: Session) -> int:
    """Put the first documents into the backend's own table, in the transaction that records this step as done."""
    with rehearsed(ctx, may_linger=False):
        tenants.add_documents(session, workspace.slug, WELCOME_PAGES)
        return len(WELCOME_PAGES)


@seed.compensate(retry=PATIENTLY)
def remove_seed(workspace: Workspace, ctx: StepContext, session: Session) -> None:
    with undoing(ctx):
        tenants.remove_documents(session, workspace.slug)


@step(needs=[seed], retry=THREE_TIMES, timeout=60)
def index(workspace: Workspace, ctx: StepContext, database: Database = From(database)) -> int:
    """Build the full-text index over the tenant's documents."""
    with rehearsed(ctx) as settings:
        with tenants.connected(settings) as backend:
            pages = tenants.documents_of(backend, workspace.slug)
        with databases.connected(settings, database) as connection:
            return databases.build_index(connection, pages)


@index.compensate(retry=PATIENTLY)
def remove_index(ctx: StepContext, database: Database = From(database)) -> None:
    with undoing(ctx) as settings, databases.connected(settings, database) as connection:
        databases.drop_index(connection)
