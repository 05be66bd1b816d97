"""One place on which an engine process runs: it dies, is started again, is stopped and woken, and its steps take their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim_dice import Dice
from sim_store import Crashed, Line
from sim_trace import Trace

from provisioning_core.errors import StoreUnavailable
from provisioning_core.testing import Call, VirtualEngine

_MOST_TURNS_AT_ONCE = 500
"""A loop that turns more often without any time passing, spins."""

Later = Callable[[float, Callable[[], None]], None]
"""``later(seconds, action)``"""


@dataclass(slots=True)
class _Pace:
    """How often a loop turned without time passing."""

    at: float = -1.0
    turns: int = 0

    def is_spinning(self, now: float) -> bool:
        self.turns = self.turns + 1 if now == self.at else 1
        self.at = now
        return self.turns > _MOST_TURNS_AT_ONCE


class Process:
    """A place for one engine at a time, on one host."""

    def __init__(
        self,
        name: str,
        host: str,
        *,
        new_line: Callable[[], Line],
        new_engine: Callable[[str, Line], VirtualEngine],
        later: Later,
        now: Callable[[], float],
        trace: Trace,
        dice: Dice,
    ) -> None:
        self.name = name
        self.host = host
        self.line: Line = new_line()
        self.engine: VirtualEngine | None = None
        self._new_line = new_line
        self._new_engine = new_engine
        self._later = later
        self._now = now
        self._trace = trace
        self._dice = dice
        self._known: set[Call] = set()
        self._stopped: list[Callable[[], None]] = []
        self._next_turn_at = 0.0
        self._pace = _Pace()

    # how it stands

    @property
    def is_up(self) -> bool:
        return self.engine is not None and self.engine.is_alive

    @property
    def is_awake(self) -> bool:
        return self.engine is not None and self.engine.is_alive and not self.engine.is_paused

    @property
    def wakes_at(self) -> float | None:
        """When its loop takes its next turn."""
        if self.engine is None or not self.is_awake:
            return None
        return max(self._now() + self.engine.wakes_in, self._next_turn_at)

    @property
    def calls(self) -> list[Call]:
        """Attempts that have not ended."""
        return list(self.engine.calls) if self.engine is not None and self.engine.is_alive else []

    @property
    def last_renewed_at(self) -> float:
        """When its engine last renewed its lease."""
        return self.engine.last_renewed_at if self.engine is not None else 0.0

    @property
    def dangerous(self) -> list[Call]:
        """Attempts that may still have their effect."""
        return [call for call in self.calls if not call.has_acted]

    # birth and death

    def start(self) -> None:
        if self.is_up:
            return
        self.line = self._new_line()
        self.line.on_crash = self._die
        try:
            self.engine = self._new_engine(self.host, self.line)
        except (StoreUnavailable, Crashed):
            self._trace.add(self.name, "could not start")
            self._later(self._dice.between(0.5, 3.0), self.start)
            return
        self._known = set()
        self._stopped = []
        self._trace.add(self.name, f"started as {self.engine.name} on host {self.host}")

    def crash(self) -> None:
        if self.is_up:
            self.line.is_dead = True
            self._die()

    def _die(self) -> None:
        if self.engine is not None and self.engine.is_alive:
            self._trace.add(self.name, f"CRASH of {self.engine.name}, {len(self.engine.calls)} calls under way")
            self.engine.crash()

    def close(self) -> None:
        if self.engine is not None and self.is_awake:
            self._trace.add(self.name, f"closes {self.engine.name}")
            self.guarded(self.engine.close)

    def pause(self) -> None:
        if self.engine is not None and self.is_awake:
            self._trace.add(self.name, "PAUSED")
            self.engine.pause()

    def resume(self) -> None:
        """Wake up: its threads and its loop go on in any order."""
        if self.engine is None or not self.engine.is_paused or not self.engine.is_alive:
            return
        self._trace.add(self.name, "woken")
        self.engine.resume()
        self._next_turn_at = self._now() + self._dice.one_of((0.0, 0.01, 0.1))
        for action in self._stopped:
            self._later(self._dice.between(0.0, 0.05), action)
        self._stopped = []

    def guarded(self, action: Callable[[], Any]) -> None:
        """Do what it does until it dies of it."""
        try:
            action()
        except Crashed:
            self._die()

    # its loop and its workers

    def turn(self, lag: float) -> None:
        if self.engine is None:
            return
        self.guarded(self.engine.turn)
        self._next_turn_at = self._now() + (self._dice.between(0.0, lag) if self._dice.chance(0.3) else 0.0)
        if self._pace.is_spinning(self._now()):
            self._trace.breaks(f"11 bounded: the loop of {self.name} spins")
            self._next_turn_at = self._now() + 1.0

    def look_for_calls(self, mean_work: float, slow: float) -> None:
        """Attempts just launched will act, and end, after a while."""
        for call in self.calls:
            if call in self._known:
                continue
            self._known.add(call)
            extra = self._dice.between(20.0, 120.0) if self._dice.chance(slow) else 0.0
            self._later(self._dice.wait(mean_work) + extra, lambda call=call: self._act(call, mean_work))

    def _act(self, call: Call, mean_work: float) -> None:
        if self._is_held(lambda: self._act(call, mean_work)) or call not in self.calls or call.has_acted:
            return
        self.act_now(call)
        self._later(self._dice.wait(mean_work), lambda: self._report(call))

    def act_now(self, call: Call) -> None:
        """Its function is called, and has its effect; whatever kills the process in it, it does not survive."""
        call.act()

    def _report(self, call: Call) -> None:
        if not self._is_held(lambda: self._report(call)):
            call.report()

    def _is_held(self, action: Callable[[], None]) -> bool:
        """A stopped process does it when it is woken."""
        if self.engine is None or not self.engine.is_paused:
            return False
        self._stopped.append(action)
        return True

    def end_danger(self) -> None:
        """Its time is up: whatever it began has its effect now, or never."""
        if self._dice.chance(0.3):
            self.crash()
            return
        self.resume()
        for call in self.dangerous:
            self.act_now(call)
            self._later(self._dice.wait(1.0), lambda call=call: self._report(call))
