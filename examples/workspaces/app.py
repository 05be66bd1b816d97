"""The backend's HTTP API: signup, the tenant's own view, and the provisioning routes behind the backend's own access rule."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from provisioning_http import Action, create_router

from examples.workspaces import services, tenants
from examples.workspaces.backend import engine as new_engine
from examples.workspaces.files import make_once
from examples.workspaces.models import Workspace
from examples.workspaces.plan import workspace as workspace_plan
from examples.workspaces.settings import Settings
from provisioning_core import Conflict, Engine


def operator_token(settings: Settings) -> str:
    """What operations sends as a bearer token; made at first use and kept in ``operator.token``, readable by the owner alone."""
    return make_once(settings.root / "operator.token", lambda: secrets.token_urlsafe(32).encode()).decode()


class Access:
    """The backend's own rule: operations may do everything, a tenant may read what is its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._operator = tenants.digest(operator_token(settings))

    def __call__(self, request: Request, tenant_id: str | None, action: Action) -> str | None:
        """Who asks, if this is allowed; None if not. This is the ``authorize`` of the provisioning routes."""
        given = tenants.digest(request.headers.get("authorization", "").removeprefix("Bearer "))
        if secrets.compare_digest(given, self._operator):
            return "operations"
        if action == "read" and tenant_id and self._is_tenants_own(tenant_id, given):
            return tenant_id
        return None

    def of_tenant(self, request: Request, slug: str) -> str:
        """The same as a dependency of the backend's own routes. Raises HTTPException 404."""
        if not self(request, slug, "read"):
            raise HTTPException(404, "There is no such tenant.")
        return slug

    def _is_tenants_own(self, slug: str, given: str) -> bool:
        with tenants.connected(self._settings) as connection:
            row = tenants.row_of(connection, slug)
        return row is not None and bool(row["token_digest"]) and secrets.compare_digest(given, row["token_digest"])


def create_app(engine: Engine | None = None) -> FastAPI:
    """The whole backend; with no engine given it makes its own, which does the work in this process, and closes it at the end."""
    settings = Settings.from_environment()
    running = engine or new_engine()
    access = Access(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.find(settings)
        running.open()
        yield
        if engine is None:
            running.close()

    app = FastAPI(title="Workspaces", lifespan=lifespan)
    app.include_router(create_router(running, authorize=access))
    _add_signup(app, running, settings)
    _add_tenant(app, access, settings)
    return app


def _add_signup(app: FastAPI, engine: Engine, settings: Settings) -> None:
    @app.post("/signup", status_code=202)
    def signup(workspace: Workspace) -> dict[str, Any]:
        """The tenant's row and the start of its run are one transaction: there is never one without the other."""
        token = secrets.token_urlsafe(32)
        try:
            with tenants.connected(settings) as connection:
                tenants.sign_up(connection, workspace, token)
                engine.start(workspace_plan.name, subject=workspace.slug, input=workspace, connection=connection, actor="signup")
        except (tenants.NameTaken, Conflict) as error:
            raise HTTPException(409, "This name is taken, please choose another.") from error
        status = f"/provisioning/tenants/{workspace.slug}/status"
        return {"tenant": workspace.slug, "status": tenants.ONBOARDING, "token": token, "links": {"status": status}}


def _add_tenant(app: FastAPI, access: Access, settings: Settings) -> None:
    @app.get("/tenants/{slug}")
    def tenant(slug: Annotated[str, Depends(access.of_tenant)]) -> dict[str, Any]:
        """The backend's own row, which follows the run."""
        with tenants.connected(settings) as connection:
            row = tenants.row_of(connection, slug)
        if row is None:
            raise HTTPException(404, "There is no such tenant.")
        return {name: row[name] for name in ("slug", "company", "status", "host")}
