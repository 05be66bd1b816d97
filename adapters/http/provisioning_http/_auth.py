"""Who may do what: the product's own ``authorize`` is asked for every call; nothing is allowed by default."""

from __future__ import annotations

import base64
import hashlib
import hmac
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from provisioning_core import ProvisioningError

Action = Literal["read", "start", "operate", "admin"]
"""``read`` a tenant's status; ``start`` its provisioning; ``operate`` on it (other verbs); ``admin``: what is no single tenant's."""

Authorize = Callable[..., Any]
"""``authorize(request, tenant_id, action)``, sync (run in a thread) or async.

Parameters called ``request``, ``tenant_id`` and ``action`` get what their names say, wherever they stand; others get, in this order,
what no name has asked for. One that takes fewer gets as many.

``tenant_id`` is None for what is no single tenant's. A truthy answer allows; a ``str``, or an object's ``actor``, is kept in the
history as who did it. A falsy answer, an HTTPException of status 403 and a PermissionError are refusals: told as 404 where a tenant
or a run is named, else as 403. Any other HTTPException is answered as it is.
"""

_ASKED = ("request", "tenant_id", "action")
VARIABLE = "PROVISIONING_TOKEN"


class Doorkeeper:
    """Asks ``authorize``, whichever kind of function it is. Raises TypeError for one that can't be asked."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize
        self._arguments = arguments_of(authorize)

    async def admits(self, request: Request, tenant_id: str | None, action: Action) -> Any:
        """What ``authorize`` answers; None for a refusal by exception. Raises what else it raises."""
        asked = {"request": request, "tenant_id": tenant_id, "action": action}
        try:
            return await self._ask(asked)
        except PermissionError:
            return None
        except StarletteHTTPException as error:
            if error.status_code != 403:
                raise
            return None

    async def _ask(self, asked: Mapping[str, Any]) -> Any:
        args = [asked[name] for name in self._arguments.args]
        named = {parameter: asked[name] for parameter, name in self._arguments.kwargs.items()}
        if inspect.iscoroutinefunction(self._authorize):
            return await self._authorize(*args, **named)
        answer = await run_in_threadpool(self._authorize, *args, **named)
        return await answer if inspect.isawaitable(answer) else answer

    async def would_admit(self, request: Request, tenant_id: str | None, action: Action) -> bool:
        """The same as a plain question: a refusal by exception is a no."""
        try:
            return bool(await self.admits(request, tenant_id, action))
        except StarletteHTTPException:
            return False


def arguments_of(authorize: Authorize) -> inspect.BoundArguments:
    """How to call it, with the names of what it is asked for in the values' places. Raises TypeError when it can't be called so."""
    try:
        signature = inspect.signature(authorize)
    except ValueError:
        raise TypeError(f"authorize {authorize!r} does not tell its parameters: wrap it into a function.") from None
    bound = inspect.BoundArguments(signature, OrderedDict(_arguments(signature)))
    try:
        signature.bind(*bound.args, **bound.kwargs)
    except TypeError as error:
        told = f"authorize{signature} can't be called with {', '.join(_ASKED)}: {error}."
        raise TypeError(told) from None
    return bound


def _arguments(signature: inspect.Signature) -> Iterator[tuple[str, Any]]:
    """What each parameter gets: by its name, else in order what is left."""
    parameters = signature.parameters.values()
    by_name = {each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
    left = [name for name in _ASKED if name not in by_name]
    for each in parameters:
        if each.name in _ASKED and each.name in by_name:
            yield each.name, each.name
        elif each.kind is each.VAR_POSITIONAL:
            yield each.name, tuple(left)
            left = []
        elif each.kind is each.VAR_KEYWORD:
            yield each.name, {name: name for name in left}
        elif each.kind is not each.KEYWORD_ONLY and left:
            yield each.name, left.pop(0)


def actor_of(answer: Any) -> str | None:
    """The name to keep in the history; None when ``authorize`` gave none."""
    actor = answer if isinstance(answer, str) else getattr(answer, "actor", None)
    return actor if isinstance(actor, str) and actor else None


def bearer_token(token: str, *, actor: str = "token") -> Authorize:
    """An ``authorize`` that allows everything to whoever sends this token. Raises ProvisioningError for an empty one.

    A browser, which can't be told to send a bearer token, is asked for a name and a password: the token is the password.
    """
    if not token.strip():
        raise ProvisioningError("An empty token would let anybody in.", code="not_configured", hint="Set a long random one.")
    expected = _digest(token.strip())

    async def authorize(request: Request, _tenant_id: str | None, _action: Action) -> str:
        name, given = _sent(request)
        if given is None or not hmac.compare_digest(_digest(given), expected):
            raise HTTPException(401, "A valid bearer token is needed.", headers={"WWW-Authenticate": _challenge(request)})
        return name or actor

    return authorize


def _sent(request: Request) -> tuple[str, str | None]:
    """The name that was given in a browser, else an empty one; the token, None where none was sent."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return "", given.strip()
        case "basic":
            return _from_browser(given.strip())
        case _:
            return "", None


def _from_browser(given: str) -> tuple[str, str | None]:
    try:
        name, colon, token = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return "", None
    return name.strip()[:100] if name.isprintable() else "", token.strip() if colon else None


def _challenge(request: Request) -> str:
    """Only who wants a page is asked for a name and a password: a script would otherwise make its browser ask."""
    wants_page = "text/html" in request.headers.get("accept", "")
    return 'Basic realm="provisioning", charset="UTF-8"' if wants_page else 'Bearer realm="provisioning"'


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
