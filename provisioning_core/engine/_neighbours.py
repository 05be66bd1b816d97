"""The other engines of the store: which of them are gone, so that their runs are free, and whose attempts may still be alive.

Theory of operation. An engine that closed cleanly removed its row. One on this host is gone when its process is, and not before: a
process that is merely stopped wakes up again. One on another host can't be looked at, so it is waited for: when its lease has been
seen to be over, and not renewed, for ``quarantine`` seconds, it is taken for gone. That wait is the one assumption here; it must be
longer than a host can be paused and go on afterwards. It is measured by this engine's own clock and its own looks, so that nothing
shortens it: not a store that was away for everybody (whoever is back first must not take the others for gone), and not a store whose
clock was set. Rows of engines that are gone are removed, so a missing row always means that nothing of that engine is alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from provisioning_core.engine._identity import is_known_dead, is_same_host
from provisioning_core.model import EngineRecord
from provisioning_core.ports import Clock, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """How things stood when the store was looked at."""

    gone: frozenset[str]
    """Engines that have a row and are gone all the same."""
    there: Mapping[str, EngineRecord]
    """Engines of which something may be alive, by id."""

    def may_be_alive(self, engine_id: str | None) -> bool:
        """Whether an attempt that this engine began may still be under way."""
        return engine_id in self.there


class Neighbours:
    """Looks at the store's engines for the engine ``me``."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        me: EngineRecord,
        *,
        quarantine: float,
        poll: float,
        is_dead: Callable[[EngineRecord, EngineRecord], bool] = is_known_dead,
    ) -> None:
        self._store = store
        self._clock = clock
        self._me = me
        self._quarantine = quarantine
        self._longest_gap = max(quarantine / 2, poll * 2.5)
        self._is_dead = is_dead
        self._looked_at = clock.monotonic()
        self._silent_since: dict[tuple[str, float], float] = {}
        """By engine and the time at which its lease ran out."""

    def look(self) -> Sighting:
        """Read all rows. Raises StoreUnavailable."""
        others = [each for each in self._store.engines() if each.id != self._me.id]
        self._listen(others)
        gone = frozenset(each.id for each in others if self._is_gone(each))
        return Sighting(gone=gone, there={each.id: each for each in others if each.id not in gone})

    def bury(self, sighting: Sighting) -> None:
        """Remove the rows of those that are gone, once their time has run out too."""
        if sighting.gone:
            self._store.bury(sighting.gone)

    def _is_gone(self, other: EngineRecord) -> bool:
        if is_same_host(other, self._me):
            return self._is_dead(other, self._me)
        since = self._silent_since.get((other.id, other.expires_at))
        return since is not None and self._clock.monotonic() - since >= self._quarantine

    def _listen(self, others: Iterable[EngineRecord]) -> None:
        """Note since when each of them is silent. After a gap between two looks that is begun anew: perhaps nobody could be heard."""
        now = self._clock.monotonic()
        known = self._silent_since if now - self._looked_at <= self._longest_gap else {}
        silent = [(each.id, each.expires_at) for each in others if each.overdue > 0]
        self._silent_since = {each: known.get(each, now) for each in silent}
        self._looked_at = now
