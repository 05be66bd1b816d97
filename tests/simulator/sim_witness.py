"""Sees everything from outside, and knows nothing but the promises: what must hold at every act of a step, and at every commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sim_dice import Dice
from sim_outside import Outside, Task
from sim_trace import Trace

from provisioning_core import StepContext
from provisioning_core.model import (
    DONE,
    Direction,
    EventRecord,
    RunRecord,
    RunSnapshot,
    RunStatus,
    StatusChange,
    StepRecord,
    StepStatus,
)
from provisioning_core.ports import RunChange
from provisioning_core.stores.memory import MemoryStore

_COUNTERS = ("version", "seq", "token", "progress", "takeovers")
"""What a store writes of a run's record when told that only its counters differ."""

Owners = Mapping[str, tuple[int, str | None]]
"""Epoch and owner of runs."""

_EXPECTED_ASIDE = frozenset({"kills_its_engine"})
"""Reasons for setting a run aside that are no fault of the engine's."""


class Witness:
    """``mirror`` is the product's own table of runs, kept by the ``on_status`` hook."""

    def __init__(self, memory: MemoryStore, outside: Outside, tasks: Mapping[str, Task], trace: Trace, dice: Dice) -> None:
        self._memory = memory
        self._dice = dice
        self._outside = outside
        self._tasks = tasks
        self._trace = trace
        self._last_token: dict[tuple[str, str], int] = {}
        self.keys: dict[tuple[str, str, Direction], list[str]] = {}
        self.told: dict[str, RunStatus] = {}
        self.mirror: dict[str, RunStatus] = {}
        self.acts_seen = 0
        self._outputs: dict[tuple[str, str, int], dict[str, Any]] = {}
        """What each attempt is to be given: what was recorded when its intent was."""

    def expect(self, holds: object, promise: str) -> None:
        self._trace.expect(holds, promise)

    # steps

    def acts(self, task: Task, ctx: StepContext, direction: Direction, given: Mapping[str, Any]) -> None:
        """A step's function is about to have its effect."""
        self.acts_seen += 1
        what = f"{direction} of {self._trace.short(ctx.run_id)}/{task.name} (token {ctx.token})"
        self._trace.add("step", f"acts: {what}")
        snapshot = self._memory.load(ctx.run_id)
        self._counts_as_alive(snapshot, task, ctx, direction, what)
        self._token_grows(task, ctx, what)
        self._note_key(task, ctx, direction)
        if direction is Direction.FORWARD:
            self._needs_are_recorded(snapshot, task, what)
            self._is_given(ctx, given, what)
        elif direction is Direction.COMPENSATE:
            self._dependents_are_undone(snapshot, task, what)
            self._is_given(ctx, given, what)

    def _counts_as_alive(self, snapshot: RunSnapshot, task: Task, ctx: StepContext, direction: Direction, what: str) -> None:
        record = snapshot.steps.get(task.name)
        held = None if record is None or record.live is None else (record.token, record.live)
        self._trace.expect(
            held == (ctx.token, direction),
            f"7 no zombie: {what} acts, but what is recorded as alive is {held}; run {snapshot.run.status}",
        )

    def _token_grows(self, task: Task, ctx: StepContext, what: str) -> None:
        last = self._last_token.get((ctx.run_id, task.name), 0)
        self._trace.expect(ctx.token > last, f"3 growing token: {what} acts after token {last}")
        self._last_token[ctx.run_id, task.name] = ctx.token

    def _note_key(self, task: Task, ctx: StepContext, direction: Direction) -> None:
        keys = self.keys.setdefault((ctx.run_id, task.name, direction), [])
        if not keys or keys[-1] != ctx.idempotency_key:
            keys.append(ctx.idempotency_key)

    def _needs_are_recorded(self, snapshot: RunSnapshot, task: Task, what: str) -> None:
        graph = snapshot.graph
        for need in graph.nodes[graph.index[task.name]].needs:
            record = snapshot.steps.get(need, StepRecord(name=need))
            is_settled = record.status in DONE or (record.status is StepStatus.FAILED and graph.nodes[graph.index[need]].optional)
            self._trace.expect(is_settled, f"4 order: {what} acts while {need} is {record.status}")

    def _is_given(self, ctx: StepContext, given: Mapping[str, Any], what: str) -> None:
        recorded = self._outputs.get((ctx.run_id, ctx.step, ctx.token), {})
        self._trace.expect(dict(given) == recorded, f"4 outputs: {what} was given {given}, recorded was {recorded}")

    def _note_outputs(self, change: RunChange) -> None:
        begun = [step for step in change.steps if step.live in (Direction.FORWARD, Direction.COMPENSATE)]
        steps = self._memory.load(change.run.id).steps if begun else {}
        for step in begun:
            task = self._tasks[step.name]
            takes = task.takes if step.live is Direction.FORWARD else task.undo_takes
            self._outputs.setdefault((change.run.id, step.name, step.token), {name: _output(steps.get(name)) for name in takes})

    def _dependents_are_undone(self, snapshot: RunSnapshot, task: Task, what: str) -> None:
        for name in sorted(snapshot.graph.descendants([task.name]) - {task.name}):
            record = snapshot.steps.get(name)
            is_alive = record is not None and record.live is not None
            self._trace.expect(not is_alive, f"4 order: {what} acts while {name}, which depends on it, may be alive")
            is_left = self._tasks[name].has_undo and self._outside.has_effect(snapshot.run.id, name)
            self._trace.expect(not is_left, f"4 order: {what} acts while {name}, which depends on it, is there")

    # commits

    def about_to_commit(self, changes: Sequence[RunChange]) -> Owners:
        found = {}
        for change in changes:
            stored = self._memory.load(change.run.id)
            run = stored.run
            found[run.id] = (run.epoch, run.owner)
            if change.only_counters and found[run.id] == (change.run.epoch, change.run.owner):
                verbs_wait = any(request.id not in change.requests_done for request in stored.requests)
                self._all_is_there_but_counters(run, change.run, verbs_wait=verbs_wait)
        return found

    def _all_is_there_but_counters(self, stored: RunRecord, written: RunRecord, *, verbs_wait: bool) -> None:
        """The store in memory writes nearly the whole record whatever it is told; others would leave what is stored.

        A verb that waits has made the run runnable earlier, and that may stay.
        """
        may_differ = (*_COUNTERS, "runnable_at") if verbs_wait else _COUNTERS
        left = replace(stored, **{name: getattr(written, name) for name in may_differ})
        self._trace.expect(left == written, f"6 all is written: {self._trace.short(written.id)} would stay {left}, not {written}")

    def committed(self, changes: Sequence[RunChange], refused: frozenset[str], before: Owners) -> None:
        for change in changes:
            run = change.run
            if run.id in refused:
                self._trace.add("store", f"refused {self._trace.short(run.id)} version {run.version} of {run.owner}")
                continue
            mine = (run.epoch, run.owner)
            self._trace.expect(before[run.id] == mine, f"6 one writer: {mine} wrote over {before[run.id]}")
            for event in change.events:
                self._see(event)
            self._note_outputs(change)
            self._check_ends(change)

    def _see(self, event: EventRecord) -> None:
        step = f"/{event.step}" if event.step else ""
        shown = {name: value for name, value in event.data.items() if name in ("reason", "as", "verb", "code", "kind")}
        details = " ".join([*(f"{name}={value}" for name, value in shown.items()), event.actor or ""]).strip()
        self._trace.add("history", f"{self._trace.short(event.run_id)}{step} {event.seq} {event.type} {details}".rstrip())
        if event.type == "resolve.requested" and event.step is not None:
            self._do_by_hand(event.run_id, event.step, event.data["as"])
        if event.type == "run.set_aside":
            why = f"{event.data.get('code')}: {event.data.get('detail')}"
            self._trace.expect(event.data.get("code") in _EXPECTED_ASIDE, f"10 set aside: {why}")

    def _do_by_hand(self, run_id: str, step: str, as_: str) -> None:
        """A person says how it stands, and has seen to it."""
        if as_ == "compensated":
            self._outside.take_away(run_id, step)
        elif as_ == "succeeded":
            self._outside.make(run_id, step, f"by hand {self.acts_seen}")

    def _check_ends(self, change: RunChange) -> None:
        if change.run.status is RunStatus.ROLLED_BACK:
            self.nothing_is_left(change.run.id)
        elif change.run.status is RunStatus.SUCCEEDED:
            self.all_is_there(change.run.id)

    def nothing_is_left(self, run_id: str) -> None:
        left = [step for step, task in self._tasks.items() if task.has_undo and self._outside.has_effect(run_id, step)]
        self._trace.expect(not left, f"5 nothing left behind: {self._trace.short(run_id)} is ROLLED_BACK, and {left} are there")

    def all_is_there(self, run_id: str) -> None:
        for name, record in self._memory.load(run_id).steps.items():
            is_missing = (
                record.status is StepStatus.SUCCEEDED and not self._tasks[name].is_gate and not self._outside.has_effect(run_id, name)
            )
            self._trace.expect(not is_missing, f"5 all there: {self._trace.short(run_id)} is SUCCEEDED, and {name} is not there")

    # what the product is told

    def on_status(self, change: StatusChange, _connection: Any) -> None:
        """The hook. What it writes is there when the transaction it was called in is committed."""
        if self._dice.chance(self._outside.weather.hook_fails):
            raise RuntimeError("the product's table is locked")
        self.told[change.run_id] = change.new

    def keep_told(self) -> None:
        self.mirror.update(self.told)
        self.told.clear()


def _output(record: StepRecord | None) -> Any:
    """What a step hands to those that take from it."""
    if record is None or record.output is None:
        return None
    delivers = record.status is StepStatus.SUCCEEDED or (record.status is StepStatus.SKIPPED and record.skip_reason == "person")
    return json.loads(record.output) if delivers else None
