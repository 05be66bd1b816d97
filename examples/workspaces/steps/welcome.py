"""The welcome mail."""

from __future__ import annotations

from examples.workspaces.models import Admin, Site, Workspace
from examples.workspaces.rehearsal import rehearsed, undoing
from examples.workspaces.steps.people import admin
from examples.workspaces.steps.policy import PATIENTLY, THREE_TIMES
from examples.workspaces.steps.website import publish
from examples.workspaces.systems import mailing
from provisioning_core import From, StepContext, step

WELCOME = """Hello {company},

your workspace is ready at https://{host}/.
Sign in as {email} with the password {password} and change it then.
"""
GOODBYE = """Hello {company},

your workspace is closed and its data is deleted.
"""


@step(retry=THREE_TIMES, timeout=30, compensate_on="succeeded", user_message="The welcome mail could not be sent.")
def mail(workspace: Workspace, ctx: StepContext, admin: Admin = From(admin), site: Site = From(publish)) -> str:
    """Send the welcome mail; a mail that was refused has left nothing to undo."""
    password = admin.password.get_secret_value()
    body = WELCOME.format(company=workspace.company, host=site.host, email=admin.email, password=password)
    with rehearsed(ctx) as settings:
        return mailing.send(
            settings, to=workspace.email, subject="Your workspace is ready", body=body, idempotency_key=ctx.idempotency_key
        )


@mail.compensate(retry=PATIENTLY)
def say_goodbye(workspace: Workspace, ctx: StepContext) -> None:
    """A mail can't be called back; what undoes it is another one."""
    body = GOODBYE.format(company=workspace.company)
    with undoing(ctx) as settings:
        mailing.send(settings, to=workspace.email, subject="Your workspace is closed", body=body, idempotency_key=ctx.idempotency_key)
