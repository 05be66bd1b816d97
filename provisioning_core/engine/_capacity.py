"""How many attempts may run at once: in all, and under each named limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from provisioning_core.engine._attempts import Key


class Capacity:
    """Counts attempts from the moment they are decided until they have ended, given-up ones included: each holds a worker."""

    def __init__(self, max_workers: int, limits: Mapping[str, int]) -> None:
        self._max_workers = max_workers
        self._limits = dict(limits)
        self._planned: dict[Key, str | None] = {}
        self._running: dict[Key, str | None] = {}
        self._in_use: Counter[str] = Counter()

    @property
    def slots(self) -> int:
        """Workers that are free."""
        return self._max_workers - len(self._planned) - len(self._running)

    @property
    def room(self) -> dict[str, int]:
        """What is left of each limit."""
        return {name: most - self._in_use[name] for name, most in self._limits.items()}

    def plan(self, key: Key, limit: str | None) -> None:
        """An attempt was decided; it begins when that is committed."""
        self._planned[key] = limit
        if limit is not None:
            self._in_use[limit] += 1

    def begun(self, key: Key) -> None:
        """It begins."""
        self._running[key] = self._planned.pop(key, None)

    def give_back(self, key: Key) -> None:
        """It has ended."""
        limit = self._running.pop(key, None)
        if limit is not None:
            self._in_use[limit] -= 1

    def drop_planned(self, run_id: str) -> None:
        """Attempts of a run that were decided will not begin."""
        for key in [key for key in self._planned if key.run_id == run_id]:
            limit = self._planned.pop(key)
            if limit is not None:
                self._in_use[limit] -= 1
