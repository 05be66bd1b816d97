"""The client of the billing service."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import quote

from examples.workspaces import services
from examples.workspaces.models import Customer, Workspace
from examples.workspaces.settings import Settings
from provisioning_core import StepError

TIMEOUT_SECONDS = 10.0
_TRY_AGAIN = frozenset({408, 429, 500, 502, 503, 504})


def create(settings: Settings, workspace: Workspace, *, idempotency_key: str) -> Customer:
    """Make the customer; asked again under the same key, the service gives back the one it made."""
    body = {"reference": workspace.slug, "name": workspace.company, "email": workspace.email}
    return Customer(id=_call(settings, "POST", "/customers", body=body, headers={"Idempotency-Key": idempotency_key})["id"])


def find(settings: Settings, slug: str) -> Customer | None:
    """The customer that carries our reference, if there is exactly one."""
    found = _call(settings, "GET", f"/customers?reference={quote(slug)}")["customers"]
    return Customer(id=found[0]["id"]) if len(found) == 1 else None


def delete_all(settings: Settings, slug: str) -> None:
    """Remove each customer that carries our reference; fine if there is none."""
    for customer in _call(settings, "GET", f"/customers?reference={quote(slug)}")["customers"]:
        _call(settings, "DELETE", f"/customers/{customer['id']}")


def _call(
    settings: Settings, method: str, path: str, *, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """One call. Raises OSError when the service can't be reached, StepError when it refuses."""
    connection = http.client.HTTPConnection("127.0.0.1", services.find(settings).billing, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body=json.dumps(body) if body else None, headers=headers or {})
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
    finally:
        connection.close()
    if answer.status >= 400:
        raise StepError(
            f"billing answered {answer.status}: {content.get('error')}",
            code="billing_refused",
            retryable=answer.status in _TRY_AGAIN,
        )
    return content
