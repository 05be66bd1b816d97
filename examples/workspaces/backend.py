"""The engine as this backend uses it."""

from __future__ import annotations

from examples.workspaces import tenants
from examples.workspaces.models import Workspace
from examples.workspaces.plan import PLAN_FOR
from examples.workspaces.settings import Settings
from provisioning_core import Engine
from provisioning_core.stores import SqlStore


def engine(*, work: bool = True) -> Engine:
    """An engine on the backend's own database, for ``provision --app examples.workspaces:engine`` too.

    ``work=False`` reads and records only; an engine elsewhere does the work.
    """
    settings = Settings.from_environment()
    tenants.prepare(settings)
    return Engine(
        store=SqlStore(settings.backend_url),
        plans=list(PLAN_FOR.values()),
        secrets_key=settings.secrets_key(),
        on_status=tenants.follow,
        work=work,
        poll=0.2,
    )


def workspace_for(slug: str) -> Workspace:
    """What the signup form would have asked for. Raises pydantic's ValidationError for a name that can't be a host."""
    return Workspace(slug=slug, company=slug.replace("-", " ").title(), email=f"founder@{slug}.example")
