"""For load balancers: is the process up, and can it work. They tell nothing else, so they ask for no token."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from provisioning_core import Engine
from provisioning_http._answers import HealthBody
from provisioning_http._call import answer
from provisioning_http._openapi import problems
from provisioning_http._problems import Problem, ProblemRoute

_OPEN: dict[str, Any] = {"security": []}
"""Asks for no token."""
_log = logging.getLogger("provisioning_http")


def create_health_router(engine: Engine) -> APIRouter:
    """``GET /healthz`` (200 while the process is up) and ``GET /readyz`` (200 when the store can be worked with, else 503).

    Monitors may ask with HEAD.
    """
    router = APIRouter(route_class=ProblemRoute, tags=["health"])

    async def healthz() -> Response:
        """The process is up."""
        return answer(HealthBody(status="ok"))

    async def readyz() -> Response:
        """The store is reachable and its schema is right."""
        try:
            await run_in_threadpool(engine.check)
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine is not ready
            _log.warning("not ready: %s", error)
            return _not_ready().response()
        return answer(HealthBody(status="ok"))

    router.add_api_route(
        "/healthz",
        healthz,
        response_model=HealthBody,
        name="provisioning_healthz",
        operation_id="provisioning_healthz",
        openapi_extra=_OPEN,
    )
    router.add_api_route(
        "/readyz",
        readyz,
        response_model=HealthBody,
        name="provisioning_readyz",
        operation_id="provisioning_readyz",
        responses=problems(503),
        openapi_extra=_OPEN,
    )
    router.add_api_route("/healthz", healthz, methods=["HEAD"], name="provisioning_healthz_head", include_in_schema=False)
    router.add_api_route("/readyz", readyz, methods=["HEAD"], name="provisioning_readyz_head", include_in_schema=False)
    return router


def _not_ready() -> Problem:
    detail = "The service can't work at the moment; its log says why."
    return Problem(status=503, code="not_ready", detail=detail, headers={"Retry-After": "2"})
