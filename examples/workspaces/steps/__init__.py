"""The steps that bring a tenant on board: each one thing to do, how to undo it, and how to see whether it is done."""

from typing import Any

from examples.workspaces.steps.content import index, seed
from examples.workspaces.steps.foundation import database, storage, tenant
from examples.workspaces.steps.people import admin, billing
from examples.workspaces.steps.website import certificate, publish, vhost
from examples.workspaces.steps.welcome import mail
from provisioning_core import Step

STEPS: list[Step[Any]] = [tenant, database, storage, certificate, vhost, billing, admin, seed, index, publish, mail]

__all__ = ["STEPS", "admin", "billing", "certificate", "database", "index", "mail", "publish", "seed", "storage", "tenant", "vhost"]
