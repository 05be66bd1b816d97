"""``GET /metrics``, on a router of its own: it is for whoever scrapes it, and goes where only they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from provisioning_http._auth import Authorize, Doorkeeper
from provisioning_http._openapi import problems
from provisioning_http._problems import Problem, ProblemRoute

if TYPE_CHECKING:
    from provisioning_core.observers.metrics import Metrics


def create_metrics_router(metrics: Metrics, *, authorize: Authorize | None) -> APIRouter:
    """``GET /metrics`` for Prometheus.

    ``authorize(request, None, "admin")`` is asked for every scrape, as for all that is no single tenant's; a scraper's own token is
    ``bearer_token(...)``. None lets everybody in who can reach it: say so only where nobody else can. No tenant's name and no run's
    id is in what it tells; names of plans and steps are.
    """
    router = APIRouter(route_class=ProblemRoute, tags=["health"])
    doorkeeper = None if authorize is None else Doorkeeper(authorize)

    async def scrape(request: Request) -> Response:
        """What runs, attempts, engines and their store come to, in Prometheus' text format."""
        if doorkeeper is not None and not await doorkeeper.admits(request, None, "admin"):
            return Problem(status=403, code="forbidden", detail="This is for who may read the metrics.").response()
        body, content_type = await run_in_threadpool(metrics.render)
        return Response(body, media_type=content_type, headers={"Cache-Control": "no-store"})

    router.add_api_route(
        "/metrics",
        scrape,
        name="provisioning_metrics",
        operation_id="provisioning_metrics",
        response_class=Response,
        responses=problems(401, 403) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    return router
