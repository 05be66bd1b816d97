"""One simulation: a seed's plan, engines, people and faults, in virtual time; then calm, and the reckoning.

Everything that happens is an action at a moment: an engine's turn, a step's effect, its end, a fault, a person's wish. One after
the other they are taken from a heap, so that the same seed gives the same history to the last line.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from sim_dice import Dice, all_chance_from
from sim_faults import Faults
from sim_outside import Outside
from sim_people import People
from sim_plans import LIMITS, draw_plan
from sim_process import Process
from sim_reckoning import reckon
from sim_shadow import Shadow
from sim_store import Line, Sky
from sim_trace import Broken, Trace
from sim_weather import CALM, Weather, draw_weather
from sim_witness import Witness

from provisioning_core import Engine
from provisioning_core.testing import FakeClock, VirtualEngine, VirtualWorld
from provisioning_core.testing._clock import OwnClock

_MOST_ACTIONS = 60_000
_LONGEST_CALM = 6 * 3600.0
"""Seconds of the world's time in which everything must come to rest once nothing goes wrong any more."""
_MOST_ROUNDS = 40
"""Times that operators may act until every run is at a good end."""
_GOOD_ENDS = ("SUCCEEDED", "ROLLED_BACK", "CANCELLED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one seed."""

    seed: int
    trace: Trace
    statuses: dict[str, str]
    counts: dict[str, int] = field(default_factory=dict)


class Simulation:
    """``weather``: these faults, instead of what the seed draws. ``beyond_assumption``: processes on several hosts are paused for
    longer than they are waited for, and go on afterwards. ``sql``: a SQL store at this URL is told the same, and
    compared."""

    def __init__(self, seed: int, *, weather: Weather | None = None, beyond_assumption: bool = False, sql: str | None = None) -> None:
        self.seed = seed
        self._beyond = beyond_assumption
        dice = Dice(seed, "world")
        self._dice = dice
        self.world = VirtualWorld(clock=_Clock())
        self._store_clock = OwnClock(self.world.clock)
        self.world.memory._clock = self._store_clock
        self.now = self.world.clock.now
        self.trace = Trace(self.now)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._actions = 0
        self.sky = Sky(weather or draw_weather(Dice(seed, "weather")))
        self.outside = Outside(Dice(seed, "steps"), self.sky.weather)
        self.plan, self.tasks = draw_plan(Dice(seed, "plan"), self.outside)
        self.witness = Witness(self.world.memory, self.outside, self.tasks, self.trace, Dice(seed, "hook"))
        self.outside.witness = self.witness
        self._shadow = None if sql is None else Shadow(self.world.memory, self.trace, sql)
        self._options = self._draw_options(dice)
        self.subjects = [f"t{i + 1}" for i in range(dice.small(1, 5))]
        self.chaos_lasts = dice.one_of((20.0, 60.0, 120.0))
        self.processes = self._draw_processes(dice)
        self._web = self._new_web()
        self._web_is_there = dice.chance(0.4)
        self.people = People(self.plan, self._doors, self.later, self.trace, Dice(seed, "people"))
        longest_pause = self._options["lease"] * (8 if beyond_assumption else 4)
        self.faults = Faults(
            self.sky, self._store_clock, self.processes, self.later, self.trace, Dice(seed, "faults"), longest_pause=longest_pause
        )

    def _draw_options(self, dice: Dice) -> dict[str, Any]:
        lease = dice.one_of((6.0, 30.0))
        return {
            "lease": lease,
            "quarantine": lease * dice.one_of((0.5, 1.0, 2.0)),
            "poll": dice.one_of((1.0, 5.0)),
            "max_workers": dice.one_of((1, 2, 16)),
            "limits": LIMITS,
        }

    def _draw_processes(self, dice: Dice) -> list[Process]:
        hosts = "ABC"[: dice.whole(1, 3)]
        return [self._new_process(f"e{i + 1}", dice.one_of(hosts)) for i in range(dice.small(1, 4))]

    def _new_process(self, name: str, host: str) -> Process:
        return Process(
            name,
            host,
            new_line=self._new_line,
            new_engine=self._new_engine,
            later=self.later,
            now=self.now,
            trace=self.trace,
            dice=Dice(self.seed, name),
        )

    def _new_line(self) -> Line:
        dice = Dice(self.seed, f"line {next(self._numbers)}")
        return Line(self.world.memory, self.witness, self.sky, dice, self.now, self._shadow)

    def _new_engine(self, host: str, line: Line) -> VirtualEngine:
        return self.world.engine(self.plan, host=host, store=line, on_status=self.witness.on_status, **self._options)

    def _new_web(self) -> Engine:
        """A web process, which only records and reads; one that dies is there again at once."""
        line = self._new_line()
        line.on_crash = lambda: setattr(line, "is_dead", False)
        return Engine(store=line, plans=[self.plan], clock=self.world.clock, on_status=self.witness.on_status, work=False)

    def _doors(self) -> list[tuple[str, Engine]]:
        """Engines that can be asked now."""
        found = [
            (process.name, process.engine.engine) for process in self.processes if process.is_awake and process.engine is not None
        ]
        return [*found, ("web", self._web)] if self._web_is_there else found

    # time

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do this after so many seconds."""
        heapq.heappush(self._heap, (self.now() + max(seconds, 0.0), next(self._numbers), action))

    def _live(self, until: Callable[[], bool], longest: float) -> bool:
        """Let things happen; False when ``until`` did not come true in ``longest`` seconds."""
        end = self.now() + longest
        while not until():
            at, action = self._next()
            if at >= end:
                self.world.clock.advance(max(end - self.now(), 0.0))
                return until()
            self.world.clock.advance(max(at - self.now(), 0.0))
            action()
            self._look_around()
        return True

    def _next(self) -> tuple[float, Callable[[], None]]:
        """What happens next; among all that is due at once, anything may come first."""
        due: list[tuple[float, Callable[[], None]]] = []
        for process in self.processes:
            if (at := process.wakes_at) is not None:
                due.append((at, lambda process=process: process.turn(self.sky.weather.lag)))
            if (limit := self._danger_ends_at(process)) is not None:
                due.append((limit, process.end_danger))
        if self._heap:
            due.append((self._heap[0][0], self._pop))
        if not due:
            return float("inf"), _nothing
        first = max(min(at for at, _ in due), self.now())
        return first, self._dice.one_of([action for at, action in due if at <= first])

    def _pop(self) -> None:
        heapq.heappop(self._heap)[2]()

    def _look_around(self) -> None:
        self._actions += 1
        for process in self.processes:
            process.look_for_calls(self.sky.weather.mean_work, self.sky.weather.slow)
            self._check_limits(process)
        self.trace.expect(self._actions < _MOST_ACTIONS, f"11 bounded: {_MOST_ACTIONS} things happened, and it is not over")
        if self.trace.broken:
            raise Broken(self.trace.broken[0])

    def _check_limits(self, process: Process) -> None:
        calls = process.calls
        under_limit = sum(self.tasks[call.step].limit is not None for call in calls)
        self.trace.expect(under_limit <= LIMITS["api"], f"limit: {under_limit} attempts at once on {process.name}")
        self.trace.expect(len(calls) <= self._options["max_workers"], f"workers: {len(calls)} attempts at once on {process.name}")

    def _danger_ends_at(self, process: Process) -> float | None:
        """The assumption about processes on several hosts: what an engine began has had its effect before it is taken for gone."""
        is_alone = all(other.host == process.host for other in self.processes)
        if is_alone or self._beyond or process.engine is None or not process.dangerous:
            return None
        renewed_at = process.last_renewed_at
        cut_short_at = next((at for at in self.sky.clock_set_at if at >= renewed_at), float("inf"))
        lease_ends_at = min(renewed_at + self._options["lease"], cut_short_at)
        return max(lease_ends_at, self._end_of_long_outage()) + self._options["quarantine"] - 0.1

    def _end_of_long_outage(self) -> float:
        """While the store is away nobody's silence counts, if it is away for long enough to be noticed."""
        noticed = max(self._options["quarantine"] / 2, 2.5 * self._options["poll"]) + 1.25 * self._options["poll"]
        return self.sky.away_until if self.sky.away_until - self.sky.away_since > noticed else 0.0

    # the story

    def run(self) -> Result:
        """All of it. Raises Broken."""
        with all_chance_from(self.seed), _quiet(), self._shadow or nullcontext():
            for process in self.processes:
                process.start()
            self._plan_chaos()
            self._live(lambda: False, self.chaos_lasts)
            self._calm_down()
            self._come_to_rest()
            self._put_everything_right()
            self._live(lambda: not any(process.calls for process in self.processes), _LONGEST_CALM)
            self._live(lambda: False, self._options["lease"])
            reckon(self)
            if self.trace.broken:
                raise Broken(self.trace.broken[0])
        return Result(seed=self.seed, trace=self.trace, statuses=self.statuses(), counts=self.counts())

    def _plan_chaos(self) -> None:
        dice = Dice(self.seed, "chaos")
        for subject in self.subjects:
            number = dice.whole(0, 255)
            self.later(dice.between(0.0, 10.0), lambda subject=subject, number=number: self.people.start(subject, number))
            if dice.chance(0.2):
                other = dice.one_of((number, number + 1))
                self.later(dice.between(0.0, 60.0), lambda subject=subject, other=other: self.people.start(subject, other))
        weather = self.sky.weather
        self.faults.begin()
        if weather.verb_every:
            self.people.meddle_on(self.subjects, weather)

    def _calm_down(self) -> None:
        self.trace.add("sky", "no more faults")
        self.sky.weather = self.outside.weather = CALM
        self.people.is_open = False
        self.faults.end()
        if not any(process.is_up for process in self.processes):
            self.processes[0].start()

    def is_at_rest(self) -> bool:
        """Whether nothing moves, nothing is about to, and nothing waits to be recorded."""
        memory = self.world.memory
        if not all(memory.head(run_id).is_resting for run_id in memory._kept):
            return False
        loops = [process.engine.loop for process in self.processes if process.is_up and process.engine is not None]
        return not any(loop.has_news or any(live.is_dirty for live in loop._roster) for loop in loops)

    def _come_to_rest(self) -> None:
        if not self._live(self.is_at_rest, _LONGEST_CALM):
            self.trace.breaks(f"8 moves again: after {_LONGEST_CALM / 3600:g} calm hours: {self.statuses()}")
            raise Broken(self.trace.broken[0])

    def _put_everything_right(self) -> None:
        """Operators act on whatever rests, until every subject's run is at a good end."""
        for _ in range(_MOST_ROUNDS):
            unfinished = [subject for subject in self.subjects if self._status(subject) not in (*_GOOD_ENDS, None)]
            if not unfinished:
                return
            for subject in unfinished:
                view = self.people.view(subject)
                if view is not None:
                    self.people.put_right(view)
            self._look_around()
            self._come_to_rest()
        self.trace.breaks(f"no way out: {self.statuses()}")
        raise Broken(self.trace.broken[0])

    def _status(self, subject: str) -> str | None:
        latest = self.world.memory.latest(subject)
        return None if latest is None else latest.status.value

    def statuses(self) -> dict[str, str]:
        kept = self.world.memory._kept
        return {f"{self.trace.short(run_id)} of {each.run.subject}": each.run.status.value for run_id, each in kept.items()}

    def counts(self) -> dict[str, int]:
        """How much happened."""
        kept = self.world.memory._kept.values()
        return {
            "runs": len(kept),
            "steps": len(self.plan.steps),
            "acts": self.witness.acts_seen,
            "events": sum(len(each.events) for each in kept),
            "actions": self._actions,
            "engines": len(self.world.engines),
            "asked": len(self.people.asked),
            **self.faults.counts,
        }


class _Clock(FakeClock):
    """The same, for one thread alone: it is asked very often."""

    def now(self) -> float:
        return self._now

    monotonic = now


def _nothing() -> None:
    """Nothing happens any more."""


@contextmanager
def _quiet() -> Iterator[None]:
    """The engines' own warnings are of no interest here."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
