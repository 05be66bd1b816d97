"""A machine's world that also writes the history down, as an engine does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from machine_world import World

from provisioning_core import machine as m
from provisioning_core.machine import History, Violation, check_run
from provisioning_core.model import EventRecord, PlanGraph, RunSnapshot


class RecordedWorld(World):
    """Checks what must hold of the records after every event, and keeps the events."""

    def __init__(self, graph: PlanGraph, *, skipped: Iterable[str] = ()) -> None:
        self.events: list[EventRecord] = []
        self.write("run.created")
        for name in skipped:
            self.write("step.skipped", step=name, reason="condition")
        super().__init__(graph, skipped=skipped, checks=False)

    def write(self, type_: str, *, step: str | None = None, attempt: int | None = None, **data: Any) -> None:
        seq = len(self.events) + 1
        self.events.append(EventRecord(run_id="r", seq=seq, at=0.0, type=type_, step=step, attempt=attempt, data=data))

    def handle(self, event: m.MachineEvent, *, outside: Any = None) -> m.Decision:
        decision = super().handle(event, outside=outside)
        found = check_run(self.run, self.graph, self.records)
        assert not found, found
        return decision

    def record(self, decision: m.Decision) -> None:
        verb = self.history[-1][0]
        if isinstance(verb, m.RetryRequested):
            self.write("retry.requested", **({} if verb.steps is None else {"steps": list(verb.steps)}))
        for move in decision.moves:
            data = {"from": move.old.value} | ({} if move.note is m.Note.NONE else {"reason": move.note.name.lower()})
            if isinstance(move, m.StepMoved):
                self.write(f"step.{move.new.lower()}", step=move.step, attempt=move.attempt or None, **data)
            else:
                self.write(f"run.{move.new.lower()}", **data)
        super().record(decision)

    def snapshot(self) -> RunSnapshot:
        return RunSnapshot(run=replace(self.run, seq=len(self.events)), graph=self.graph, steps=dict(self.records))

    def violations(self) -> list[Violation]:
        """Of the whole history, as it is now."""
        history = History(self.snapshot())
        for event in self.events:
            history.take(event)
        return history.end()
