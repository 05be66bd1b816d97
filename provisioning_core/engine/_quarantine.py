"""Attempts that other engines began and that may still be alive: their steps are left alone until they have ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from provisioning_core.engine._attempts import Key
from provisioning_core.engine._neighbours import Sighting
from provisioning_core.errors import NotFound
from provisioning_core.model import EngineRecord, RequestRecord, RunSnapshot
from provisioning_core.ports import Store

ENDED = "attempt_ended"
"""The verb by which an engine tells a run's new owner that an attempt it had begun has ended. No person's verb."""


def farewell(key: Key, at: float) -> RequestRecord:
    """The record of that verb."""
    arguments = {"step": key.step, "token": key.token}
    return RequestRecord(id=uuid.uuid4().hex, run_id=key.run_id, verb=ENDED, arguments=arguments, at=at)


def is_waited_for(store: Store, engine_id: str, key: Key) -> bool:
    """Whether the run's owner still takes this attempt of this engine for alive. Raises StoreUnavailable."""
    try:
        step = store.load(key.run_id).steps.get(key.step)
    except NotFound:
        return False
    return step is not None and step.live is not None and (step.engine, step.token) == (engine_id, key.token)


class Quarantine:
    """Kept by the loop's thread alone."""

    def __init__(self, my_id: str, is_under_way_here: Callable[[Key], bool]) -> None:
        self._me = my_id
        self._is_under_way_here = is_under_way_here
        self._waiting: dict[Key, str] = {}

    def zombies(self, snapshot: RunSnapshot, sighting: Sighting) -> dict[str, EngineRecord | None]:
        """Steps of a run just taken over whose attempt may be alive: here (None), or at another engine, whose end is waited for."""
        found: dict[str, EngineRecord | None] = {}
        for step in snapshot.steps.values():
            if step.live is None:
                continue
            key = Key(snapshot.run.id, step.name, step.token)
            if self._is_under_way_here(key):
                found[step.name] = None
            elif step.engine is not None and step.engine != self._me and sighting.may_be_alive(step.engine):
                self._waiting[key] = step.engine
                found[step.name] = sighting.there[step.engine]
        return found

    def ended(self, sighting: Sighting) -> list[Key]:
        """Those that are known to have ended by now; each is told once."""
        found = [key for key, engine in self._waiting.items() if not sighting.may_be_alive(engine)]
        for key in found:
            del self._waiting[key]
        return found

    def forget(self, key: Key) -> None:
        """Its end was told by the engine that had begun it."""
        self._waiting.pop(key, None)

    def forget_run(self, run_id: str) -> None:
        """The run is not ours any more."""
        for key in [key for key in self._waiting if key.run_id == run_id]:
            del self._waiting[key]

    def __len__(self) -> int:
        return len(self._waiting)
