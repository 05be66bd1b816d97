"""The HTTP face: a router for a product's own FastAPI app, and an app that stands alone. Nothing is open by default."""

from importlib.util import find_spec

from provisioning_core import MissingExtra

if find_spec("fastapi") is None:
    raise MissingExtra("http", "The HTTP face")

from provisioning_http._app import create_app
from provisioning_http._auth import Action, Authorize, bearer_token
from provisioning_http._health import create_health_router
from provisioning_http._limits import Limits
from provisioning_http._metrics import create_metrics_router
from provisioning_http._router import create_router
from provisioning_http._stop import Stop

__all__ = [
    "Action",
    "Authorize",
    "Limits",
    "Stop",
    "bearer_token",
    "create_app",
    "create_health_router",
    "create_metrics_router",
    "create_router",
]
