"""Looks at the store again and again: for runs that nobody owns, verbs recorded for ours, and engines that are gone.

Theory of operation. It looks every ``poll`` seconds, give or take a quarter so that engines don't look all at once, and at once when
it is told that there is something. A look takes a handful of runs only, and more as soon as workers are free again: so the runs of a
dead engine are spread over those that have room for them, and whoever comes first does not take them all.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from provisioning_core.engine._attempts import Key
from provisioning_core.engine._neighbours import Neighbours
from provisioning_core.engine._quarantine import Quarantine
from provisioning_core.model import EngineRecord, RequestRecord, RunSnapshot, UnreadableRun
from provisioning_core.ports import Clock, Store

_AT_ONCE, _WHEN_BUSY = 50, 5
"""Runs that one look takes, with free workers and without."""
_PAUSE = 0.01
"""Seconds between two looks, even if there is more to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look found."""

    requests: list[RequestRecord]
    claimed: list[RunSnapshot | UnreadableRun]
    ended: list[Key]
    """Quarantined attempts that are known to have ended."""
    lost: frozenset[str]
    """Runs in memory that are another's by the store."""


class Lookout:
    """Kept by the loop's thread alone."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        engine_id: str,
        plans: Collection[str],
        neighbours: Neighbours,
        quarantine: Quarantine,
        poll: float,
        asked: Collection[str] | None = None,
    ) -> None:
        """``asked``: only these runs are taken up, whose number may grow; None: all that nobody owns."""
        self._store = store
        self._clock = clock
        self._me = engine_id
        self._plans = tuple(plans)
        self._neighbours = neighbours
        self._quarantine = quarantine
        self._poll = poll
        self._asked = asked
        self._due_at = 0.0
        self._last_at = 0.0
        self._is_more = False
        self._is_unsure = True

    def due_in(self, free_workers: int) -> float:
        """Seconds until it must look again; 0.0 when it is time."""
        now = self._clock.monotonic()
        due_at = min(self._due_at, self._last_at + _PAUSE) if self._is_more and free_workers > 0 else self._due_at
        return max(0.0, due_at - now)

    def hasten(self, *, is_unsure: bool = False) -> None:
        """There is something to see; ``is_unsure``: whose runs are whose may have changed without our being told."""
        self._due_at = 0.0
        self._is_unsure = self._is_unsure or is_unsure

    def put_off(self) -> None:
        """Look later: it can't be done now."""
        self._last_at = self._clock.monotonic()
        self._due_at = self._last_at + self._poll * (0.75 + 0.5 * random.random())  # noqa: S311  jitter

    def look(self, free_workers: int, mine: Collection[str]) -> Found:
        """Take what is there; ``mine`` are the runs in memory. Raises StoreUnavailable."""
        self.put_off()
        was_unsure, self._is_unsure, self._is_more = self._is_unsure, True, False
        requests = self._store.requests(self._me)
        sighting = self._neighbours.look()
        claimed = self._claim(free_workers, mine, sighting.gone)
        lost = frozenset[str]()
        if was_unsure:
            known = {*mine, *(each.run.id if isinstance(each, RunSnapshot) else each.id for each in claimed)}
            owned = self._store.owned(self._me)
            claimed += self._strays(run_id for run_id in owned if run_id not in known)
            lost = frozenset(mine).difference(owned)
        self._neighbours.bury(sighting)
        self._is_unsure = False
        return Found(requests=requests, claimed=claimed, ended=self._quarantine.ended(sighting), lost=lost)

    def _claim(self, free_workers: int, mine: Collection[str], gone: Collection[str]) -> list[RunSnapshot | UnreadableRun]:
        if self._asked is not None:
            return self._claim_asked([run_id for run_id in tuple(self._asked) if run_id not in mine], gone)
        limit = _AT_ONCE if free_workers > 0 else _WHEN_BUSY
        claimed = list(self._store.claim(self._me, plans=self._plans, now=self._clock.now(), limit=limit, dead=gone))
        self._is_more = len(claimed) == limit
        return claimed

    def _claim_asked(self, run_ids: Collection[str], gone: Collection[str]) -> list[RunSnapshot | UnreadableRun]:
        """Of these, those that have something to do, and that no living engine owns."""
        heads = self._store.heads(run_ids) if run_ids else {}
        moving = [run_id for run_id, head in heads.items() if not head.is_resting]
        taken = (self._store.claim_run(self._me, run_id, dead=gone) for run_id in moving)
        return [each for each in taken if each is not None]

    def claim_run(self, run_id: str) -> RunSnapshot | UnreadableRun | None:
        """Take one run; None when it has a living owner. Raises NotFound, StoreUnavailable."""
        was_unsure, self._is_unsure = self._is_unsure, True
        snapshot = self._store.claim_run(self._me, run_id, dead=self._neighbours.look().gone)
        self._is_unsure = was_unsure
        return snapshot

    def zombies(self, snapshot: RunSnapshot) -> dict[str, EngineRecord | None]:
        """Steps of a run just taken whose recorded attempt may still be alive, and at which engine. Raises StoreUnavailable."""
        if all(step.live is None for step in snapshot.steps.values()):
            return {}
        return self._quarantine.zombies(snapshot, self._neighbours.look())

    def _strays(self, strays: Iterable[str]) -> list[RunSnapshot | UnreadableRun]:
        """Runs that are ours by the store, and not in memory: the answer to a claim was lost."""
        return [snapshot for run_id in strays if (snapshot := self._store.claim_run(self._me, run_id)) is not None]
