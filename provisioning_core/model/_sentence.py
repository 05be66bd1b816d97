"""A run in one sentence: what is happening, and what it waits for. Pure: a view in, words out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from provisioning_core.model._graph import PlanGraph
from provisioning_core.model._status import RunStatus, StepStatus
from provisioning_core.model._views import RunView, StepView
from provisioning_core.model._words import Safe, count, listed, moment, several, span


def sentence(view: RunView, *, now: datetime, graph: PlanGraph | None = None, safe: Safe = str) -> str:
    """What is happening and what it waits for, in a sentence or two. ``graph`` (the run's) tells how many attempts there are."""
    set_aside = next((error for error in view.errors if error.step is None), None)
    if set_aside is not None:
        return safe(set_aside.message)
    telling = _Telling(view, now, graph, safe)
    if view.status.moves:
        return " ".join(filter(None, telling.moving()))
    if not view.is_resting:
        return "What was asked for is recorded, and carried out in a moment."
    return " ".join(filter(None, telling.resting()))


class _Telling:
    """The parts of the sentence."""

    def __init__(self, view: RunView, now: datetime, graph: PlanGraph | None, safe: Safe) -> None:
        self._view = view
        self._now = now
        self._safe = safe
        self._most = {} if graph is None else {node.name: node.retry.attempts for node in graph.nodes}

    def moving(self) -> list[str]:
        busy = self._steps(StepStatus.RUNNING)
        if self._view.status is RunStatus.CANCELLING:
            return [f"Stopping: waiting for {self._names(busy)} to end." if busy else "Stopping."]
        if self._view.status is RunStatus.ROLLING_BACK:
            return self._going_back()
        again = self._steps(StepStatus.RETRYING)
        parts = [self._working(busy), *(self._again(step) for step in again[:1]), self._gates()]
        if len(again) > 1:
            parts.append(f"{several(len(again) - 1, 'more step waits', 'more steps wait')} to be tried again.")
        return parts if any(parts) else ["It begins as soon as an engine takes it up."]

    def resting(self) -> list[str]:
        match self._view.status:
            case RunStatus.SUCCEEDED:
                return [f"All of it is done ({several(len(self._view.steps), 'step')}){self._took()}.", *self._without()]
            case RunStatus.ROLLED_BACK:
                return [self._undone(), self._cause("Before that,")]
            case RunStatus.ROLLBACK_FAILED:
                return [self._stuck(), "It waits for a person: retry the undoing, or resolve it by hand."]
            case RunStatus.FAILED:
                return [self._cause("It stopped:"), self._behind(), "It waits for a person."]
            case RunStatus.CANCELLED:
                return ["It was cancelled;", f"{count(self._view)}.", "It can be continued or rolled back."]
            case RunStatus.PAUSED:
                return ["Nothing new starts until somebody continues it."]
            case _:
                return [self._gates() or "It waits for a person.", self._doubts()]

    def _undone(self) -> str:
        left = self._view.left_behind
        but = f", but for what can't be: {listed(left, 3, safe=self._safe)}" if left else "; nothing is left"
        return f"Everything that was done has been undone{but}."

    def _going_back(self) -> list[str]:
        undoing = self._steps(StepStatus.COMPENSATING)
        ending = self._steps(StepStatus.RUNNING)
        if undoing:
            return [f"Undoing {self._names(undoing)}: {count(self._view)} so far."]
        return [f"Waiting for {self._names(ending)} to end before it is undone." if ending else "Undoing what was done."]

    def _working(self, busy: list[StepView]) -> str:
        if not busy:
            return ""
        if len(busy) > 1:
            return f"Working on {self._names(busy)}."
        told = f": {self._safe(busy[0].message).rstrip('.')}" if busy[0].message else ""
        return f"Working on {self._safe(busy[0].name)}{self._attempt(busy[0])}{told}."

    def _attempt(self, step: StepView) -> str:
        return f" (attempt {self._of(step, step.attempt)})" if step.attempt > 1 else ""

    def _of(self, step: StepView, attempt: int) -> str:
        most = self._most.get(step.name, 0)
        return f"{attempt} of {most}" if most >= attempt and most > 1 else str(attempt)

    def _again(self, step: StepView) -> str:
        left = 0.0 if step.next_attempt_at is None else (step.next_attempt_at - self._now).total_seconds()
        wait = f"Waiting {span(left)}" if left >= 1 else "Waiting a moment"
        why = f": {_ended(self._safe(step.error.message))}" if step.error else "."
        return f"{wait} before attempt {self._of(step, step.attempt + 1)} of {self._safe(step.name)}{why}"

    def _gates(self) -> str:
        gates = self._steps(StepStatus.WAITING)
        if not gates:
            return ""
        until = f" (until {moment(gates[0].next_attempt_at)})" if len(gates) == 1 and gates[0].next_attempt_at else ""
        return f"Waiting for a signal at {self._names(gates)}{until}."

    def _doubts(self) -> str:
        doubts = self._steps(StepStatus.IN_DOUBT)
        return f"Nobody knows whether {self._names(doubts)} had its effect: look there, then resolve it." if doubts else ""

    def _cause(self, begin: str) -> str:
        error = next((each for each in self._view.errors if each.step), None)
        if error is None or error.step is None:
            return ""
        step = self._view.steps.get(error.step)
        failed = step is not None and step.status is StepStatus.FAILED and step.attempt > 1
        after = f" after {step.attempt} attempts" if failed and step is not None else ""
        more = f" {several(len(self._view.errors) - 1, 'more step')} failed." if len(self._view.errors) > 1 else ""
        return f"{begin} {self._safe(error.step)} failed{after}: {_ended(self._safe(error.message))}{more}"

    def _behind(self) -> str:
        blocked = self._steps(StepStatus.BLOCKED)
        return f"{several(len(blocked), 'step')} behind it did not run." if blocked else ""

    def _stuck(self) -> str:
        stuck = self._steps(StepStatus.COMPENSATION_FAILED)
        why = next((f": {_ended(self._safe(step.error.message))}" for step in stuck if step.error), ".")
        return f"{self._names(stuck)} could not be undone{why}" if stuck else "Something could not be undone."

    def _took(self) -> str:
        began, ended = self._view.started_at, self._view.finished_at
        return f"; it took {span((ended - began).total_seconds())}" if began and ended else ""

    def _without(self) -> list[str]:
        left_out = [error.step or "" for error in self._view.warnings]
        return [f"Went on without {listed(left_out, 3, safe=self._safe)}, which is optional."] if left_out else []

    def _steps(self, status: StepStatus) -> list[StepView]:
        return [step for step in self._view.steps.values() if step.status is status]

    def _names(self, steps: Sequence[StepView]) -> str:
        return listed([step.name for step in steps], 3, safe=self._safe)


def _ended(text: str) -> str:
    """With a full stop, unless it ends by itself."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
