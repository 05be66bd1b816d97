"""Addresses in answers: paths, never hosts (a ``Host`` header is the caller's word), whatever the router was mounted under."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request

from provisioning_http._requests import is_name


@dataclass(frozen=True, slots=True)
class Links:
    """Builds addresses below the place where the router is mounted."""

    root: str

    @classmethod
    def of(cls, request: Request, route: str) -> Links:
        """The root is what stands in the request's path before the route's own."""
        return cls(_full_path(request).removesuffix(route.format(**request.path_params)))

    def status(self, tenant_id: str) -> str:
        return self._to("tenants", tenant_id, "status")

    def events(self, tenant_id: str) -> str:
        return self._to("tenants", tenant_id, "events")

    def of_run(self, tenant_id: str, run_id: str) -> dict[str, str]:
        """``self`` stays with this run; the others follow the tenant's latest.

        A subject that no path can name, which a library's caller may have started, has ``self`` alone.
        """
        own = {"self": self._to("runs", run_id)}
        if "/" in tenant_id or not is_name(tenant_id):
            return own
        return own | {
            "status": self.status(tenant_id),
            "events": self.events(tenant_id),
            "graph": self._to("tenants", tenant_id, "graph"),
            "timeline": self._to("tenants", tenant_id, "timeline"),
        }

    def of_plan(self, name: str) -> dict[str, str]:
        return {"self": self._to("plans", name), "graph": self._to("plans", name, "graph")}

    def _to(self, *parts: str) -> str:
        return "/".join([quote(self.root), *(quote(part, safe="") for part in parts)])


def _full_path(request: Request) -> str:
    """A server's ``root_path`` stands in the path of a request, or was taken off it by a proxy."""
    path, mounted = str(request.scope["path"]), str(request.scope.get("root_path", "")).rstrip("/")
    return path if path.startswith(f"{mounted}/") else mounted + path
