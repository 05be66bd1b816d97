"""Addresses of the pages, below the place where the router is mounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass(frozen=True, slots=True)
class Paths:
    """``root`` is where the router is mounted."""

    root: str

    def asset(self, name: str, version: str) -> str:
        """A stylesheet, a script, an icon; ``version`` changes when it does."""
        return f"{self._to('ui', 'assets', name)}?v={version}"

    def runs(self, **filters: str | None) -> str:
        return self._to("ui") + _query(filters)

    def run(self, run_id: str, **shown: str | None) -> str:
        return self._to("ui", "runs", run_id) + _query(shown)

    def act(self, run_id: str, verb: str, step: str | None = None) -> str:
        return self._to("ui", "runs", run_id, verb) + _query({"step": step})

    def tenant(self, tenant_id: str) -> str:
        return self._to("ui", "tenants", tenant_id)

    def choose(self, **given: str | None) -> str:
        return self._to("ui", "start") + _query(given)

    def start(self, tenant_id: str, plan: str | None = None) -> str:
        return self._to("ui", "tenants", tenant_id, "start") + _query({"plan": plan})

    def plans(self) -> str:
        return self._to("ui", "plans")

    def plan(self, name: str, **shown: str | None) -> str:
        return self._to("ui", "plans", name) + _query(shown)

    def stream(self, tenant_id: str, run_id: str) -> str:
        """The events as they happen."""
        return self._to("tenants", tenant_id, "events") + _query({"run_id": run_id})

    def status(self, run_id: str) -> str:
        """The run as JSON, with an ETag."""
        return self._to("runs", run_id)

    def _to(self, *parts: str) -> str:
        return "/".join([quote(self.root), *(quote(part, safe="") for part in parts)])


def _query(given: Mapping[str, str | None]) -> str:
    words = {name: value for name, value in given.items() if value}
    return f"?{urlencode(words)}" if words else ""
