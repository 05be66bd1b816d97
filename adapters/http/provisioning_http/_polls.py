"""Long polls: each holds a thread, so there is a limit, apart from the threads that answer everything else."""

from __future__ import annotations

import threading
from functools import partial

import anyio.to_thread

from provisioning_core import Engine, RunView

LONGEST = 30.0
"""Seconds."""


class Polls:
    """At most ``limit`` long polls at a time; whoever comes after that is answered at once."""

    def __init__(self, engine: Engine, limit: int = 32) -> None:
        self._engine = engine
        self._places = threading.BoundedSemaphore(limit)

    async def wait_change(self, tenant_id: str, *, after: int, seconds: float) -> RunView | None:
        """The view when its version is more than ``after`` or the time is up; None when there is no place to wait."""
        if not self._places.acquire(blocking=False):
            return None
        wait = partial(self._wait, tenant_id, after, min(seconds, LONGEST))
        return await anyio.to_thread.run_sync(wait, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))

    def _wait(self, tenant_id: str, after: int, seconds: float) -> RunView:
        """Gives the place back when the thread ends, which may be after its caller has gone."""
        try:
            return self._engine.wait_change(tenant_id, after=after, timeout=seconds)
        finally:
            self._places.release()
