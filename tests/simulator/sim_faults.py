"""What goes wrong with engines and the store, at random moments, as long as the weather is bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sim_dice import Dice
from sim_process import Later, Process
from sim_store import Sky
from sim_trace import Trace

from provisioning_core.testing._clock import OwnClock

_WILDEST_CLOCK = 262.0


class Faults:
    """``counts`` says how many there were of each kind."""

    def __init__(
        self,
        sky: Sky,
        store_clock: OwnClock,
        processes: Sequence[Process],
        later: Later,
        trace: Trace,
        dice: Dice,
        *,
        longest_pause: float,
    ) -> None:
        self._store_clock = store_clock
        self._sky = sky
        self._processes = processes
        self._later = later
        self._trace = trace
        self._dice = dice
        self._longest_pause = longest_pause
        self._is_over = False
        self.counts: Counter[str] = Counter()

    def begin(self) -> None:
        weather = self._sky.weather
        for every, fault in (
            (weather.crash_every, self._crash),
            (weather.pause_every, self._pause),
            (weather.close_every, self._close),
            (weather.clock_every, self._set_clock),
            (weather.store_clock_every, self._set_store_clock),
            (weather.outage_every, self._outage),
            (weather.cut_off_every, self._cut_off),
        ):
            if every:
                self._again_and_again(every, fault)
        self._revive_the_dead()

    def end(self) -> None:
        """The store is back, clocks are right, and what was stopped goes on."""
        self._is_over = True
        self._sky.away_until = min(self._sky.away_until, self._trace.now)
        self._store_clock.offset = 0.0
        for process in self._processes:
            process.line.away_until = 0.0
            process.resume()
            if process.engine is not None:
                process.engine.clock.offset = 0.0

    def _again_and_again(self, every: float, fault: Callable[[Process], None]) -> None:
        def happen() -> None:
            if not self._is_over:
                fault(self._dice.one_of(self._processes))
                self._later(self._dice.wait(every), happen)

        self._later(self._dice.wait(every), happen)

    def _revive_the_dead(self) -> None:
        """Somebody, or something, starts dead processes again after a while."""

        def look() -> None:
            if self._is_over:
                return
            for process in self._processes:
                if not process.is_up and self._dice.chance(0.5):
                    process.start()
            self._later(self._dice.between(0.1, 10.0), look)

        self._later(self._dice.between(0.1, 10.0), look)

    # one fault each

    def _count(self, kind: str) -> None:
        self.counts[kind] += 1

    def _crash(self, process: Process) -> None:
        self._count("crashes")
        process.crash()

    def _pause(self, process: Process) -> None:
        self._count("pauses")
        process.pause()
        self._later(self._dice.between(0.02, 1.0) * self._longest_pause, process.resume)

    def _close(self, process: Process) -> None:
        self._count("closes")
        process.close()

    def _set_clock(self, process: Process) -> None:
        if process.engine is not None:
            self._count("clock jumps")
            jump = self._a_jump()
            process.engine.clock.offset += jump
            self._trace.add(process.name, f"its clock jumps by {jump:+.1f} s")

    def _set_store_clock(self, _: Process) -> None:
        self._count("store clock jumps")
        jump = self._a_jump()
        self._store_clock.offset += jump
        self._sky.clock_set_at.append(self._trace.now)
        self._trace.add("store", f"its clock jumps by {jump:+.1f} s")

    def _a_jump(self) -> float:
        return min(self._dice.wait(30.0), _WILDEST_CLOCK) * self._dice.one_of((-1.0, 1.0))

    def _outage(self, _: Process) -> None:
        self._count("outages")
        lasts = self._dice.wait(20.0)
        self._trace.add("store", f"AWAY for {lasts:.1f} s")
        if self._sky.away_until < self._trace.now:
            self._sky.away_since = self._trace.now
        self._sky.away_until = max(self._sky.away_until, self._trace.now + lasts)

    def _cut_off(self, process: Process) -> None:
        self._count("cut off")
        lasts = self._dice.wait(20.0)
        self._trace.add(process.name, f"CUT OFF from the store for {lasts:.1f} s")
        process.line.away_until = self._trace.now + lasts
