"""The app that stands alone: router, health and problems for whatever else is asked."""

from __future__ import annotations

import importlib
import os
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from provisioning_core import Engine, ProvisioningError
from provisioning_http._auth import Authorize, token_from
from provisioning_http._describing import describe_by_name
from provisioning_http._health import create_health_router
from provisioning_http._lifespan import closed
from provisioning_http._limits import Limits
from provisioning_http._problems import problem_of
from provisioning_http._router import create_router

APP_VARIABLE = "PROVISIONING_APP"


def create_app(engine: Engine | None = None, *, authorize: Authorize | None = None, limits: Limits | None = None) -> FastAPI:
    """An app that stands alone, for ``uvicorn --factory provisioning_http:create_app``.

    Without ``engine`` it is loaded from ``PROVISIONING_APP`` (``module:attribute``, an Engine or a function that makes one) and
    closed with the app; one handed in is left to its owner. Without ``authorize`` every call needs the bearer token in
    ``PROVISIONING_TOKEN``. Raises ProvisioningError when either can't be had.
    """
    allowed = authorize or token_from(os.environ)
    served = engine or load_engine(os.environ.get(APP_VARIABLE, ""))
    lifespan = closed(served) if engine is None else None
    # A redirect would name the host that the caller named, and lose a POST's body: a trailing slash is a path that is not there.
    app = FastAPI(title="Provisioning", docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan)
    app.include_router(create_router(served, authorize=allowed, limits=limits))
    app.include_router(create_health_router(served))
    app.add_exception_handler(HTTPException, _as_problem)
    describe_by_name(app)
    return app


async def _as_problem(_: Request, error: Exception) -> Response:
    """For paths that no route knows."""
    return problem_of(error).response()


def load_engine(address: str) -> Engine:
    """The engine at ``module:attribute``. Raises ProvisioningError, which says what is wrong with the address."""
    module, _, attribute = address.partition(":")
    if not module or not attribute:
        hint = f"Set {APP_VARIABLE} to module:attribute, or call create_app(engine)."
        raise ProvisioningError("It is not known which engine to serve.", code="not_configured", hint=hint)
    return _made(_find(module, attribute), address)


def _find(module: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        message = f"{APP_VARIABLE} names {module}:{attribute}, which can't be found: {error}."
        raise ProvisioningError(
            message, code="not_configured", hint="Check the name, and that it can be imported from here."
        ) from error


def _made(found: Any, address: str) -> Engine:
    made = found() if callable(found) and not isinstance(found, Engine) else found
    if not isinstance(made, Engine):
        message = f"{APP_VARIABLE} names {address}, which is no Engine and makes none."
        raise ProvisioningError(
            message, code="not_configured", hint="Name an Engine, or a function without parameters that makes one."
        )
    return made
