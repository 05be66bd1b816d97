"""Long polls: an answer that comes when something has changed. They wait for the same news as streams do, and hold no thread."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool

from provisioning_core import Engine, RunView
from provisioning_http._feed import Feed
from provisioning_http._places import Places
from provisioning_http._stop import Stop

LONGEST = 30.0
"""Seconds."""
_LOOK = 1.0
"""Seconds after which a poll looks whether the server goes down."""


class Polls:
    """At most ``limit`` long polls at a time; whoever comes after that is answered at once."""

    def __init__(self, engine: Engine, feed: Feed, stop: Stop, limit: int) -> None:
        self._engine = engine
        self._feed = feed
        self._stop = stop
        self._places = Places(limit, None)

    async def wait_change(self, view: RunView, *, after: int, seconds: float) -> RunView:
        """The view as soon as its version is more than ``after``; as it is when the time is up, or when there is no place to wait."""
        with self._places.taken("") as is_taken:
            if not is_taken:
                return view
            with self._stop.listening():
                await self._wait(view, after, time.monotonic() + min(seconds, LONGEST))
        return await run_in_threadpool(lambda: self._engine.status(run_id=view.id))

    async def _wait(self, view: RunView, after: int, until: float) -> None:
        with self._feed.subscribed(view.id, seq=view.seq, version=view.version) as subscription:
            while subscription.version <= after and not self._stop.is_set and not subscription.is_gone:
                if (left := until - time.monotonic()) <= 0:
                    return
                await subscription.news(min(left, _LOOK))
