"""Who may do what: the product's own ``authorize`` is asked for every call; nothing is allowed by default."""

from __future__ import annotations

import hashlib
import hmac
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from provisioning_core import ProvisioningError

Action = Literal["read", "start", "operate", "admin"]
"""``read`` a tenant's status; ``start`` its provisioning; ``operate`` on it (other verbs); ``admin``: what is no single tenant's."""

Authorize = Callable[..., Any]
"""``authorize(request, tenant_id, action)``, sync (run in a thread) or async; one that takes fewer gets as many.

``tenant_id`` is None for what is no single tenant's. A truthy answer allows; a ``str``, or an object's ``actor``, is kept in the
history as who did it. A falsy answer is told as 404 where a tenant is named, else as 403. An HTTPException is answered as it is.
"""

VARIABLE = "PROVISIONING_TOKEN"


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """Asks ``authorize``, whichever kind of function it is."""

    authorize: Authorize

    async def admits(self, request: Request, tenant_id: str | None, action: Action) -> Any:
        """What ``authorize`` answers. Raises what it raises."""
        asked = (request, tenant_id, action)[: _positions(self.authorize)]
        if inspect.iscoroutinefunction(self.authorize):
            return await self.authorize(*asked)
        answer = await run_in_threadpool(self.authorize, *asked)
        return await answer if inspect.isawaitable(answer) else answer

    async def would_admit(self, request: Request, tenant_id: str | None, action: Action) -> bool:
        """The same as a plain question: a refusal by exception is a no."""
        try:
            return bool(await self.admits(request, tenant_id, action))
        except StarletteHTTPException:
            return False


def _positions(authorize: Authorize) -> int:
    """How many arguments it takes by position, three at the most."""
    taken = 0
    for parameter in inspect.signature(authorize).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return 3
        taken += parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return min(taken, 3)


def actor_of(answer: Any) -> str | None:
    """The name to keep in the history; None when ``authorize`` gave none."""
    actor = answer if isinstance(answer, str) else getattr(answer, "actor", None)
    return actor if isinstance(actor, str) and actor else None


def bearer_token(token: str, *, actor: str = "token") -> Authorize:
    """An ``authorize`` that allows everything to whoever sends this token. Raises ProvisioningError for an empty one."""
    if not token.strip():
        raise ProvisioningError("An empty token would let anybody in.", code="not_configured", hint="Set a long random one.")
    expected = _digest(token.strip())

    async def authorize(request: Request, _tenant_id: str | None, _action: Action) -> str:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        fits = hmac.compare_digest(_digest(given.strip()), expected)
        if scheme.lower() != "bearer" or not fits:
            raise HTTPException(401, "A valid bearer token is needed.", headers={"WWW-Authenticate": 'Bearer realm="provisioning"'})
        return actor

    return authorize


def token_from(environment: Mapping[str, str]) -> Authorize:
    """:func:`bearer_token` with the environment's token. Raises ProvisioningError when there is none: nothing is open by default."""
    token = environment.get(VARIABLE, "")
    if not token.strip():
        hint = f"Set {VARIABLE} to a long random text, or call create_app(authorize=...)."
        raise ProvisioningError(
            "The HTTP face does not start without a way to tell who may call it.", code="not_configured", hint=hint
        )
    return bearer_token(token)


def _digest(token: str) -> bytes:
    """Of equal length for all tokens, so that comparing tells nothing of the length."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
