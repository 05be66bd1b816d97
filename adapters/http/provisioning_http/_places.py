"""How many streams are open, in all and of each principal."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from provisioning_http._problems import Refused


class Places:
    """At most ``most`` at a time, and ``most_of_one`` of each principal (None: as many as there are)."""

    def __init__(self, most: int, most_of_one: int | None) -> None:
        self._most = most
        self._most_of_one = most if most_of_one is None else most_of_one
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, principal: str) -> Iterator[bool]:
        """A place while the block lasts; False when there is none."""
        with self._lock:
            is_free = self._is_free(principal)
            self._taken[principal] += is_free
        try:
            yield is_free
        finally:
            with self._lock:
                self._taken[principal] -= is_free
                if not self._taken[principal]:
                    del self._taken[principal]

    def has_one(self, principal: str) -> bool:
        """Whether there is one at the moment."""
        with self._lock:
            return self._is_free(principal)

    def _is_free(self, principal: str) -> bool:
        return self._taken.total() < self._most and self._taken[principal] < self._most_of_one


def no_place() -> Refused:
    """For whoever found none."""
    hint = "Try again later, or ask for the status with `wait`."
    return Refused(503, "too_many_streams", "Too many streams are open.", hint=hint, headers={"Retry-After": "5"})
