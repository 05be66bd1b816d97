"""The faults: what each does to the run when the step's turn has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import Direction, Plan, Step
from provisioning_core.testing._matrix_calls import (
    UNTOUCHED,
    AskedToEnd,
    Deed,
    FailsFirst,
    FailsLast,
    KilledAtNote,
    KilledWaiting,
    Meddling,
)
from provisioning_core.testing._matrix_scene import Scene
from provisioning_core.testing._virtual import Call

Meeting: TypeAlias = Callable[[Scene, Call], None]
"""What a fault does with the attempt it strikes."""
_MOST_NOTES = 4
"""Notes of a step at which its engine is killed: the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One column of the matrix."""

    name: str
    tells: str
    """For the legend."""
    when: str
    """For a sentence about the step: *it made a second one …*"""
    meetings: Callable[[Deed], Sequence[Meeting]]
    """Each is tried in a run of its own; the deed is what the step did without a fault."""
    direction: Direction = Direction.FORWARD
    strikes_always: bool = False
    """Every attempt, until a person looks after it; else the first one only, and the run has to get over it."""
    fits: Callable[[Step[Any]], bool] = lambda _: True
    gate: Callable[[Scene, str], None] | None = None
    """What it does with a gate that waits; None when it has no meaning for gates."""
    resolves: bool = False
    """A person resolves what it left as compensated, instead of having it tried again."""

    def applies(self, plan: Plan, step: str) -> bool:
        """Whether it can strike this step."""
        declared = plan.steps[step]
        if declared.is_gate:
            return self.gate is not None and self.fits(declared)
        if self.direction is Direction.COMPENSATE and declared.compensation is None:
            return False
        return self.fits(declared)


def _always(*meetings: Meeting) -> Callable[[Deed], Sequence[Meeting]]:
    return lambda _: meetings


def _performed(scene: Scene, call: Call, *, meddling: Meddling) -> None:
    scene.perform(call, meddling)


def _too_late(scene: Scene, call: Call, *, meddling: Meddling) -> None:
    scene.pass_deadline(call)
    scene.perform(call, meddling)


def _killed_before(scene: Scene, call: Call) -> None:  # noqa: ARG001  the call goes with its engine
    scene.crash()
    scene.reopen()


def _killed_with_result(scene: Scene, call: Call) -> None:
    scene.act(call)
    scene.crash()
    scene.reopen()


def _killed_after(scene: Scene, call: Call) -> None:
    scene.perform(call)
    scene.world.turn()
    scene.crash()
    scene.reopen()


def _killed_at(scene: Scene, call: Call, *, n: int, is_durable: bool) -> None:
    scene.act(call, KilledAtNote(scene.crash, n, is_durable=is_durable))
    _replace_killed(scene, call)


def _killed_waiting(scene: Scene, call: Call) -> None:
    scene.act(call, KilledWaiting(scene.crash))
    _replace_killed(scene, call)


def _replace_killed(scene: Scene, call: Call) -> None:
    if scene.engine.is_alive:  # this time it did not come to that point
        call.report()
    else:
        scene.reopen()


def _kills_within(deed: Deed) -> Sequence[Meeting]:
    notes = range(1, min(deed.notes, _MOST_NOTES) + 1)
    kills: list[Meeting] = [partial(_killed_at, n=n, is_durable=is_durable) for n in notes for is_durable in (False, True)]
    return [*kills, _killed_waiting] if deed.waited else kills


def _closed(scene: Scene, call: Call) -> None:
    scene.engine.ask_to_end()
    scene.act(call, AskedToEnd())
    scene.engine.close()
    scene.reopen()


def _answer_lost(scene: Scene, call: Call, *, is_written: bool) -> None:
    lost = StoreUnavailable("The fault matrix lost the answer to a commit.", is_unknown=True)
    if call.attempt.transactional:
        scene.store.fail(method="transaction.commit", when="after" if is_written else "before", error=lost)
    scene.act(call)
    if not call.attempt.transactional:
        scene.store.fail(method="commit", when="after" if is_written else "before", error=lost)
    call.report()


def _reopened(scene: Scene, gate: str) -> None:  # noqa: ARG001  the engine dies, whatever waits
    scene.crash()
    scene.reopen()


UNDONE = "undone"
"""The column of the run without a fault that is deprovisioned in the end."""

FAULTS: tuple[Fault, ...] = (
    Fault(
        name="fails",
        tells="raises before it did anything, every time; then it is rolled back",
        when="after it had failed before it did anything",
        meetings=_always(partial(_performed, meddling=FailsFirst())),
        strikes_always=True,
    ),
    Fault(
        name="fails late",
        tells="does its work and then raises, every time; then it is rolled back",
        when="after it had failed with its work done",
        meetings=_always(partial(_performed, meddling=FailsLast())),
        strikes_always=True,
        fits=lambda step: step.compensate_on != "succeeded",
    ),
    Fault(
        name="fails once",
        tells="does its work and then raises, once: it is tried again",
        when="when it was tried again after it had failed with its work done",
        meetings=_always(partial(_performed, meddling=FailsLast())),
        fits=lambda step: step.compensate_on != "succeeded",
    ),
    Fault(
        name="times out",
        tells="its time is up and nothing comes of it, every time (a gate: nobody signals it); then it is rolled back",
        when="after its time was up",
        meetings=_always(partial(_too_late, meddling=FailsFirst())),
        strikes_always=True,
        fits=lambda step: step.timeout is not None,
        gate=Scene.pass_gate,
    ),
    Fault(
        name="late",
        tells="its time is up, and then its effect comes, once: it is tried again",
        when="when it was tried again and the effect of an attempt whose time was up had come late",
        meetings=_always(partial(_too_late, meddling=UNTOUCHED)),
        fits=lambda step: step.timeout is not None,
    ),
    Fault(
        name="killed before",
        tells="the engine is killed when the attempt is recorded and not begun",
        when="after its engine had been killed before it began",
        meetings=_always(_killed_before),
        gate=_reopened,
    ),
    Fault(
        name="killed during",
        tells="the engine is killed at each ctx.record and ctx.checkpoint, before and after it is durable, and where it first awaits",
        when="when it was run again after its engine had been killed in the middle of it",
        meetings=_kills_within,
    ),
    Fault(
        name="killed after",
        tells="the engine is killed when the result is recorded",
        when="after its engine had been killed when its result was recorded",
        meetings=_always(_killed_after),
    ),
    Fault(
        name="runs twice",
        tells="the engine is killed when the work is done and the result is not recorded: it runs, or is probed, again",
        when="when it ran twice",
        meetings=_always(_killed_with_result),
    ),
    Fault(
        name="closed",
        tells="the engine is closed (a deploy) while it runs: ctx.cancelled() is true, an async step is cancelled where it awaits",
        when="when it was asked to end, as by a deploy",
        meetings=_always(_closed),
    ),
    Fault(
        name="answer lost",
        tells="the store's answer to the commit of its result is lost, with the result written and without",
        when="after the answer to the commit of its result was lost",
        meetings=_always(partial(_answer_lost, is_written=True), partial(_answer_lost, is_written=False)),
    ),
    Fault(
        name="undo fails",
        tells="its compensation raises, every time; then it is tried again by hand",
        when="after its compensation had failed",
        meetings=_always(partial(_performed, meddling=FailsFirst())),
        direction=Direction.COMPENSATE,
        strikes_always=True,
    ),
    Fault(
        name="by hand",
        tells="its compensation raises, every time; then a person resolves it as compensated",
        when="after its compensation had failed and was resolved by hand",
        meetings=_always(partial(_performed, meddling=FailsFirst())),
        direction=Direction.COMPENSATE,
        strikes_always=True,
        resolves=True,
    ),
    Fault(
        name="undo twice",
        tells="the engine is killed when the compensation is done and that is not recorded: it runs again",
        when="when its compensation ran twice",
        meetings=_always(_killed_with_result),
        direction=Direction.COMPENSATE,
    ),
)
