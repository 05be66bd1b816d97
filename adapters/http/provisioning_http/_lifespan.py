"""What happens to the engine when an app begins and ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

from starlette.concurrency import run_in_threadpool

from provisioning_core import Engine, ProvisioningError
from provisioning_http._stop import Stop

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[None]]
_log = logging.getLogger("provisioning_http")


def opened(engine: Engine, stop: Stop) -> Lifespan:
    """Takes up what a restart interrupted, as soon as the app begins, and ends what is left of streams with it.

    The engine's owner closes it.
    """

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        stop.clear()
        await run_in_threadpool(_open, engine)
        try:
            yield
        finally:
            stop.set()

    return lifespan


def closed(engine: Engine) -> Lifespan:
    """Closes the engine when the app ends."""

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await run_in_threadpool(engine.close)

    return lifespan


def _open(engine: Engine) -> None:
    """While the store is away ``/readyz`` says so, and each call tries again."""
    try:
        engine.open()
    except ProvisioningError as error:
        _log.warning("the engine can't work yet: %s", error)
