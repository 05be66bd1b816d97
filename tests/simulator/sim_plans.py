"""Random plans: any shape, any mix of options, real functions with bound parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel
from sim_dice import Dice
from sim_outside import Outside, Task

from provisioning_core import From, Plan, Retry, Step, StepContext, gate, step

LIMITS = {"api": 1}
_MOST_STEPS = 20
_MOST_NEEDS = 3


class Wish(BaseModel):
    """The plans' input: each bit is a condition of some step."""

    number: int


def draw_plan(dice: Dice, outside: Outside) -> tuple[Plan, dict[str, Task]]:
    """A plan, and how its steps behave."""
    draft = _Draft(dice, outside)
    for _ in range(dice.small(1, _MOST_STEPS)):
        draft.add_step()
    on_failure = dice.one_of(("finish", "halt", "rollback"))
    return Plan("tenant", steps=draft.steps, input=Wish, on_failure=on_failure), draft.tasks


class _Draft:
    def __init__(self, dice: Dice, outside: Outside) -> None:
        self._dice = dice
        self._outside = outside
        self.steps: list[Step[Any]] = []
        self.tasks: dict[str, Task] = {}

    def add_step(self) -> None:
        name = f"s{len(self.steps) + 1}"
        needs = self._dice.some_of(self.steps[-6:], _MOST_NEEDS)
        make = self._gate if self._dice.chance(0.12) else self._step
        self.steps.append(make(name, needs))

    def _maybe(self, share: float, value: Any, otherwise: Any = None) -> Any:
        return value if self._dice.chance(share) else otherwise

    def _common(self) -> dict[str, Any]:
        bit = self._dice.whole(0, 7)
        return {"optional": self._dice.chance(0.15), "when": self._maybe(0.1, lambda wish: not wish.number >> bit & 1)}

    def _gate(self, name: str, needs: list[Step[Any]]) -> Step[Any]:
        self.tasks[name] = Task(name=name, is_gate=True)
        delay = self._maybe(0.3, self._dice.between(1, 40))
        timeout = self._maybe(0.4, self._dice.between(5, 60))
        return gate(name, needs=needs, delay=delay, timeout=timeout, **self._common())

    def _step(self, name: str, needs: list[Step[Any]]) -> Step[Any]:
        dice = self._dice
        sources = [each for each in needs if not each.is_gate and dice.chance(0.7)]
        has_probe, irreversible = dice.chance(0.3), dice.chance(0.07)
        has_undo = not irreversible and dice.chance(0.8)
        compensate_on = dice.one_of(("started", "started", "succeeded", "probe" if has_probe else "started"))
        undo_sources = dice.some_of(sources, 1) if has_undo else []
        task = Task(
            name=name,
            has_undo=has_undo,
            may_leave_half=compensate_on != "succeeded",
            honours_stop=dice.chance(0.5),
            tells=dice.chance(0.2),
            takes=tuple(each.name for each in sources),
            undo_takes=tuple(each.name for each in undo_sources),
            limit=self._maybe(0.15, "api"),
        )
        self.tasks[name] = task
        made = step(
            name=name,
            needs=needs,
            retry=self._retry(),
            timeout=self._maybe(0.4, dice.between(2, 15)),
            in_doubt=dice.one_of((None, None, "rerun", "hold", "probe" if has_probe else None)),
            compensate_on=compensate_on,
            irreversible=irreversible,
            limit=task.limit,
            **self._common(),
        )(self._forward(task, sources))
        if has_undo:
            made.compensate(retry=self._retry(), timeout=self._maybe(0.3, dice.between(2, 15)))(self._undo(task, undo_sources))
        if has_probe:
            made.probe(self._probe(task))
        return made

    def _retry(self) -> Retry | None:
        dice = self._dice
        attempts, initial = dice.whole(2, 4), dice.one_of((0.0, 0.5, 5.0))
        return self._maybe(0.6, Retry(attempts=attempts, initial=initial, factor=2.0, maximum=20.0, jitter=0.2))

    # their functions

    def _forward(self, task: Task, sources: Sequence[Step[Any]]) -> Callable[..., Any]:
        def forward(ctx: StepContext, **given: Any) -> int:
            return self._outside.forward(task, ctx, given)

        async def forward_async(ctx: StepContext, **given: Any) -> int:
            return self._outside.forward(task, ctx, given)

        fn: Callable[..., Any] = self._maybe(0.05, forward_async, forward)
        return self._with_parameters(fn, sources, returns=int)

    def _undo(self, task: Task, sources: Sequence[Step[Any]]) -> Callable[..., Any]:
        def undo(ctx: StepContext, output: int | None, **given: Any) -> None:
            self._outside.undo(task, ctx, given, output)

        return self._with_parameters(undo, sources, returns=None, output=int | None)

    def _probe(self, task: Task) -> Callable[..., Any]:
        def probe(ctx: StepContext) -> int | None:
            return self._outside.probe(task, ctx)

        return self._with_parameters(probe, (), returns=int | None)

    def _with_parameters(self, fn: Any, sources: Sequence[Step[Any]], *, returns: Any, **others: Any) -> Any:
        """As if it had been written with one parameter for each source."""
        types: dict[str, Any] = {"ctx": StepContext, **others}
        defaults: dict[str, Any] = {}
        for each in sources:
            types[each.name] = int | None if others or self._dice.chance(0.3) else int
            defaults[each.name] = From(each)
        empty = inspect.Parameter.empty
        parameters = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=defaults.get(name, empty))
            for name, kind in types.items()
        ]
        fn.__signature__ = inspect.Signature(parameters, return_annotation=returns)
        fn.__annotations__ = {**types, "return": returns}
        return fn
