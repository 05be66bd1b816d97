"""How often each principal may call: a bucket of tokens that fills at a constant rate."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from provisioning_http._problems import Refused

_MOST = 10_000
"""Principals remembered; of more, those who have been quiet longest are forgotten, and begin with a full bucket."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rate:
    """``per_second`` calls of each principal (None: as many as they like), after a pause up to ``burst`` at once."""

    def __init__(self, per_second: float | None, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def count(self, principal: str) -> None:
        """One call more. Raises Refused (429), which says in how many seconds the next one is taken."""
        if self._per_second is None:
            return
        with self._lock:
            missing = self._take(principal, self._per_second)
        if missing > 0:
            wait = str(math.ceil(missing / self._per_second))
            raise Refused(429, "too_many_requests", "Too many calls.", hint="Call less often.", headers={"Retry-After": wait})

    def _take(self, principal: str, per_second: float) -> float:
        """How much of a token is missing; 0.0 when one was taken."""
        now = self._clock()
        bucket = self._buckets.setdefault(principal, _Bucket(self._burst, now))
        self._buckets.move_to_end(principal)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return 1 - bucket.tokens
        bucket.tokens -= 1
        return 0.0
