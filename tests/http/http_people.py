"""Who calls in these tests, and the product's own ``authorize``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from fastapi import HTTPException, Request

PEOPLE = {
    "anna": SimpleNamespace(actor="anna", tenant="acme", actions={"read", "start"}),
    "olaf": SimpleNamespace(actor="olaf", tenant="acme", actions={"read", "start", "operate"}),
    "fremd": SimpleNamespace(actor="fremd", tenant="other", actions={"read", "start", "operate"}),
    "root": SimpleNamespace(actor="root", tenant="*", actions={"read", "start", "operate", "admin"}),
}
"""Who calls, by the token they send."""


def authorize(request: Request, tenant_id: str | None, action: str) -> Any:
    """The product's own: a person may do what is theirs to do, at their own tenant."""
    person = PEOPLE.get(request.headers.get("authorization", "").removeprefix("Bearer "))
    if person is None:
        raise HTTPException(401, "Log in first.", headers={"WWW-Authenticate": "Bearer"})
    return person if action in person.actions and person.tenant in ("*", tenant_id) else None
