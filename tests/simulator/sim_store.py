"""How one process sees the store: through a line that breaks. Whatever goes through is seen by the witness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim_dice import Dice
from sim_weather import Weather

from provisioning_core.errors import StoreUnavailable
from provisioning_core.ports import RunChange
from provisioning_core.stores.memory import MemoryStore

if TYPE_CHECKING:
    from sim_shadow import Shadow
    from sim_witness import Witness

_WRITES = frozenset({"register", "heartbeat", "retire", "bury", "claim", "claim_run", "create", "commit", "request", "add_durations"})


class Crashed(BaseException):
    """The process died in the middle of a call. No ``Exception``: nothing of it handles its own death."""


@dataclass(slots=True)
class Sky:
    """What all lines share."""

    weather: Weather
    away_since: float = 0.0
    away_until: float = 0.0
    """From then until then the store is (or was) away for everybody."""
    clock_set_at: list[float] = field(default_factory=list)
    """When the store's clock was set: leases that ran then may have been cut short."""


class Line:
    """A :class:`MemoryStore` as one process sees it."""

    def __init__(
        self, memory: MemoryStore, witness: Witness, sky: Sky, dice: Dice, now: Callable[[], float], shadow: Shadow | None = None
    ) -> None:
        self._memory = memory
        self._witness = witness
        self._sky = sky
        self._dice = dice
        self._now = now
        self._shadow = shadow
        self.is_dead = False
        self.away_until = 0.0
        self.on_crash: Callable[[], None] = lambda: None
        self.has_sessions, self.is_durable = memory.has_sessions, memory.is_durable

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._memory, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            return self._call(name, method, *arguments, **keywords)

        self.__dict__[name] = call
        return call

    def commit(self, changes: Sequence[RunChange], *, hook: Any = None) -> frozenset[str]:
        return self._call("commit", self._commit, changes, hook)

    def _commit(self, changes: Sequence[RunChange], hook: Any) -> frozenset[str]:
        before = self._witness.about_to_commit(changes)
        refused = self._memory.commit(changes, hook=hook)
        self._witness.committed(changes, refused, before)
        return refused

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        self._break_before(name)
        self._witness.told.clear()
        result = method(*arguments, **keywords)
        if self._shadow is not None:
            self._shadow.follow(name, arguments, result, dict(self._witness.told))
        self._witness.keep_told()
        self._break_after(name)
        return result

    def _break_before(self, name: str) -> None:
        if self.is_dead:
            raise Crashed
        if self._now() < max(self.away_until, self._sky.away_until):
            raise StoreUnavailable("The store is away.")
        if self._dice.chance(self._sky.weather.crash_in_store / 2):
            self._crash()
        if name in _WRITES and self._dice.chance(self._sky.weather.commit_before):
            raise StoreUnavailable("The connection was cut.", is_transient=self._dice.chance(0.5))

    def _break_after(self, name: str) -> None:
        if self._dice.chance(self._sky.weather.crash_in_store / 2):
            self._crash()
        if name in _WRITES and self._dice.chance(self._sky.weather.commit_after):
            raise StoreUnavailable("The answer was lost.", is_unknown=True)

    def _crash(self) -> None:
        self.is_dead = True
        self.on_crash()
        raise Crashed
