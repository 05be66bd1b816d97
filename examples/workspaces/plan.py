"""The plans: the same steps twice, as what a failure leads to differs."""

from __future__ import annotations

from examples.workspaces.models import Workspace
from examples.workspaces.steps import STEPS
from provisioning_core import Plan

VERSION = "1"

workspace = Plan(
    "workspace",
    version=VERSION,
    input=Workspace,
    steps=STEPS,
    on_failure="finish",
    description="Bring a tenant on board; after a failure wait for a person to retry, continue or roll back.",
)

workspace_or_nothing = Plan(
    "workspace-or-nothing",
    version=VERSION,
    input=Workspace,
    steps=STEPS,
    on_failure="rollback",
    description="Bring a tenant on board, or leave nothing behind.",
)

PLAN_FOR = {"finish": workspace, "rollback": workspace_or_nothing}
"""By what a failure leads to."""
