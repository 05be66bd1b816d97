"""The world outside the engine: what steps make there and compensations take away, however badly both behave.

An effect is known by the idempotency key it was made under: asked twice with the same key, a provider makes one thing. Every step's
function tells the witness before it does anything, so that each attempt that is alive is seen, also one that nobody counts as alive.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim_dice import Dice
from sim_weather import Weather

from provisioning_core import NotReady, StepContext, StepError
from provisioning_core.model import Direction

if TYPE_CHECKING:
    from sim_witness import Witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """How one step behaves outside."""

    name: str
    is_gate: bool = False
    has_undo: bool = False
    may_leave_half: bool = True
    """Whether an attempt that raises may have had its effect. Not where only what succeeded is undone: that promises it has not."""
    honours_stop: bool = False
    tells: bool = False
    """Enters what it makes into the ledger, and leaves a checkpoint."""
    takes: tuple[str, ...] = ()
    undo_takes: tuple[str, ...] = ()
    limit: str | None = None


class Outside:
    """Effects by run and step: key to value."""

    def __init__(self, dice: Dice, weather: Weather) -> None:
        self.weather = weather
        self.witness: Witness
        self.effects: dict[tuple[str, str], dict[str, int]] = {}
        self._dice = dice
        self._values = itertools.count(1)
        self._undone: set[str] = set()
        """Keys whose effect was taken away: a provider takes them for done, and makes nothing."""

    def has_effect(self, run_id: str, step: str) -> bool:
        return bool(self.effects.get((run_id, step)))

    # what steps do

    def forward(self, task: Task, ctx: StepContext, given: dict[str, Any]) -> int:
        self.witness.acts(task, ctx, Direction.FORWARD, given)
        self._stop_if_asked(task, ctx)
        raises, is_late = self._draw_failure()
        if raises is not None and not (is_late and task.may_leave_half):
            raise raises
        if task.tells:
            ctx.record("thing", ctx.idempotency_key)
            ctx.progress(0.5, "half of it is there")
        value = self.make(ctx.run_id, task.name, ctx.idempotency_key)
        if raises is not None:
            raise raises
        if task.tells and task.may_leave_half:
            ctx.checkpoint({"value": value})
        return value

    def undo(self, task: Task, ctx: StepContext, given: dict[str, Any], output: int | None) -> None:
        self.witness.acts(task, ctx, Direction.COMPENSATE, given)
        if self._dice.chance(self.weather.polls):
            raise NotReady("not gone yet", after=self._dice.between(0.5, 10))
        fails = self._dice.chance(self.weather.undo_fails)
        if fails and self._dice.chance(0.5):
            raise self._failure("could not undo")
        self.take_away(ctx.run_id, task.name)
        if fails:
            raise self._failure("undone, but the answer was lost")

    def probe(self, task: Task, ctx: StepContext) -> int | None:
        self.witness.acts(task, ctx, Direction.PROBE, {})
        if self._dice.chance(self.weather.probe_fails):
            raise self._failure("nobody answers")
        return max(self.effects.get((ctx.run_id, task.name), {}).values(), default=None)

    # what there is

    def make(self, run_id: str, step: str, key: str) -> int:
        self.witness.expect(key not in self._undone, f"3 stable key: {key} is used again after its effect was undone")
        there = self.effects.setdefault((run_id, step), {})
        if key not in there:
            there[key] = next(self._values)
        return there[key]

    def take_away(self, run_id: str, step: str) -> None:
        self._undone.update(self.effects.pop((run_id, step), ()))

    # how they misbehave

    def _stop_if_asked(self, task: Task, ctx: StepContext) -> None:
        if task.honours_stop and ctx.cancelled():
            raise RuntimeError("asked to end, and ends")

    def _draw_failure(self) -> tuple[Exception | None, bool]:
        """What it raises, and whether only after its effect."""
        is_late = self._dice.chance(self.weather.fails_late)
        if self._dice.chance(self.weather.polls):
            return NotReady("not there yet", after=self._dice.between(0.5, 10)), is_late
        if self._dice.chance(self.weather.fails):
            return self._failure("broke"), is_late
        return None, False

    def _failure(self, text: str) -> Exception:
        if self._dice.chance(self.weather.fails_for_good):
            return StepError(text, retryable=False)
        return RuntimeError(text)
