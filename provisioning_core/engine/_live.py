"""One run in memory: its machine, the texts that the machine does not look at, and what is not committed yet.

Theory of operation. Whatever happens goes through :meth:`LiveRun.handle`; moves become events, touched steps become dirty. The loop
asks for :meth:`change`, commits it, and tells :meth:`committed`, which gives back the commands that may now be carried out: nothing
is launched before its intent is durable. A run that is dropped without a commit has changed nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from provisioning_core.engine import _wording
from provisioning_core.engine._pending import Pending
from provisioning_core.machine import CELL_FIELDS, Command, Decision, Machine, MachineEvent, Note, RunMoved, StepMoved, TakenUp
from provisioning_core.model import (
    Completion,
    EngineRecord,
    ErrorInfo,
    EventRecord,
    Phase,
    Plan,
    PlanGraph,
    ResourceRecord,
    RunRecord,
    RunSnapshot,
    RunStatus,
    StatusChange,
    StepRecord,
    StepStatus,
    maker,
)
from provisioning_core.ports import RunChange

TEXT_FIELDS = ("progress", "message", "output", "error", "undo_error", "engine", "checkpoint")
_BLANK = StepRecord(name="")
_BLANK_TEXTS = {name: getattr(_BLANK, name) for name in TEXT_FIELDS}
_COUNTERS = ("version", "seq", "token", "progress", "takeovers")
_RUN_FIELDS = tuple(field.name for field in fields(RunRecord))
_run_values = attrgetter(*_RUN_FIELDS)
_make_run, _make_step = maker(RunRecord), maker(StepRecord, ("name", *CELL_FIELDS, *TEXT_FIELDS))
_make_event = maker(EventRecord, ("run_id", "seq", "at", "type", "step", "attempt", "data", "actor"))
_beyond_counters = attrgetter(*(name for name in _RUN_FIELDS if name not in _COUNTERS))
_KEPT_WAITING = 60.0
"""A waiting run whose timer is nearer than this (seconds) stays in memory."""


class LiveRun:
    """A run that this engine owns."""

    __slots__ = (
        "_attention",
        "_fractions",
        "_is_taken_up",
        "_new_input",
        "_pending",
        "_progress",
        "_seq",
        "_texts",
        "completions",
        "graph",
        "had_attempts",
        "machine",
        "plan",
        "record",
        "resources",
        "turn_began_at",
        "zombies",
    )

    def __init__(self, plan: Plan, snapshot: RunSnapshot, zombies: Mapping[str, EngineRecord | None]) -> None:
        self.plan = plan
        self.turn_began_at: float | None = None
        """Since when it has been served before others; kept by the roster."""
        self.zombies = zombies
        """Steps whose recorded attempt may still be alive, and at which engine (None: at this one)."""
        self.record = snapshot.run
        """As it was committed last."""
        self.had_attempts = any(step.live is not None for step in snapshot.steps.values())
        """Whether attempts were under way when it was taken up: then it may be what its last engine died of."""
        self.graph = snapshot.graph
        self.completions: Sequence[Completion] = snapshot.completions
        self.resources: dict[str, list[ResourceRecord]] = {}
        for resource in snapshot.resources:
            self.resources.setdefault(resource.step, []).append(resource)
        self._texts: dict[str, dict[str, Any]] = {}
        self._fractions: dict[str, float] = {}
        self._new_input: tuple[str, str] | None = None
        self._attention = snapshot.run.attention
        self._progress = snapshot.run.progress
        self._seq = snapshot.run.seq
        self._is_taken_up = False
        self._pending: Pending | None = None
        self.machine = self._build(snapshot.graph, snapshot.steps)

    def _build(self, graph: PlanGraph, steps: Mapping[str, StepRecord]) -> Machine:
        self.graph = graph
        self._texts = {name: texts for name, step in steps.items() if (texts := _texts_of(step))}
        weights = json.loads(self.record.weights) if self.record.weights else None
        return Machine(graph, self.record, steps, weights)

    def _open(self) -> Pending:
        """What is not committed yet, to be added to. Most runs in memory wait, and have nothing."""
        if self._pending is None:
            self._pending = Pending()
        return self._pending

    # what others read

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def status(self) -> RunStatus:
        return self.machine.status

    @property
    def attention(self) -> ErrorInfo | None:
        """Why it was set aside, if it was."""
        return self._attention

    @property
    def is_dirty(self) -> bool:
        """Whether something waits to be committed that should not wait."""
        return self._pending is not None and self._pending.is_urgent

    @property
    def is_taken_up(self) -> bool:
        """Whether its machine works. That of a run which was set aside does not, until a person lets it go on."""
        return self._is_taken_up

    @property
    def wanting(self) -> int:
        """How many attempts could begin now. None of a run that was set aside, whatever is recorded in it."""
        return self.machine.wanting if self._is_taken_up else 0

    @property
    def next_timer_at(self) -> float | None:
        """When its machine must be told the time at the latest, if it is taken up."""
        return self.machine.next_timer_at if self._is_taken_up else None

    @property
    def stays(self) -> bool:
        """Whether the engine must keep it: it moves, or something of it is alive."""
        moves = self.status.moves and self._attention is None
        return self._is_taken_up and (moves or self.machine.live > 0)

    def stays_until(self, now: float) -> bool:
        """The same, with timers."""
        timer = self.next_timer_at if self.status is RunStatus.WAITING else None
        return self.stays or (timer is not None and timer < now + _KEPT_WAITING)

    @property
    def input(self) -> str:
        """The input as JSON text."""
        return self.record.input if self._new_input is None else self._new_input[0]

    def output(self, step: str) -> str | None:
        value = self._text(step, "output")
        return value if isinstance(value, str) else None

    def checkpoint_of(self, step: str) -> str | None:
        value = self._text(step, "checkpoint")
        return value if isinstance(value, str) else None

    def _text(self, step: str, field: str) -> Any:
        return self._texts.get(step, {}).get(field)

    def durations(self) -> dict[str, float]:
        """Seconds that each step took which ran."""
        found = {}
        for node in self.graph.nodes:
            cell = self.machine.cell(node.name)
            if cell.attempt and cell.started_at is not None and cell.finished_at is not None:
                found[node.name] = max(0.0, cell.finished_at - cell.started_at)
        return found

    def snapshot(self) -> RunSnapshot:
        """As it stands now, committed or not."""
        records = (self._step_record(node.name) for node in self.graph.nodes)
        steps = {record.name: record for record in records if record != StepRecord(name=record.name)}
        resources = tuple(each for entries in self.resources.values() for each in entries)
        return RunSnapshot(run=self._run_record(self.record.version), graph=self.graph, steps=steps, resources=resources)

    # what happens

    def handle(self, event: MachineEvent, *, first: Callable[[], None] | None = None) -> Decision:
        """Let the machine decide, and take note. A refused verb raises, and has changed nothing.

        ``first`` is called when the event was accepted, before its consequences enter the history.
        """
        decision = self.machine.handle(event)
        self._is_taken_up = self._is_taken_up or (isinstance(event, TakenUp) and not event.only_look)
        if first is not None:
            first()
        for move in decision.moves:
            if isinstance(move, StepMoved):
                self._step_moved(move)
            else:
                self._run_moved(move)
        if decision.moves or decision.touched or decision.commands:
            pending = self._open()
            pending.steps.update(dict.fromkeys(decision.touched))
            pending.commands.extend(decision.commands)
            pending.is_urgent = True
        return decision

    def _step_moved(self, move: StepMoved) -> None:
        node = self.graph.nodes[self.graph.index[move.step]]
        self._fractions.pop(move.step, None)
        match move.new:
            case StepStatus.PENDING:
                self._texts[move.step] = self._texts_kept(move)
            case StepStatus.SUCCEEDED:
                self.write(move.step, error=None, progress=0.0)
            case StepStatus.COMPENSATED:
                self.write(move.step, output=None, undo_error=None, progress=0.0, message="")
            case _:
                error = _wording.explain_move(node, move)
                if error is not None and self._reports_anew(move, error):
                    self.write(move.step, error=error)
        self.add_event(f"step.{move.new.lower()}", move.at, step=move.step, attempt=move.attempt, data=self._event_data(move))

    def _texts_kept(self, move: StepMoved) -> dict[str, Any]:
        """What a step that begins anew keeps: its checkpoint, if it was not undone; whose the attempt is that may still be alive."""
        kept = set[str]()
        if move.old not in (StepStatus.COMPENSATED, StepStatus.SUCCEEDED):
            kept.add("checkpoint")
        if self.machine.cell(move.step).live is not None:
            kept.add("engine")
        return {name: text for name, text in self._texts.get(move.step, {}).items() if name in kept}

    def _reports_anew(self, move: StepMoved, error: ErrorInfo) -> bool:
        known = self._text(move.step, "error")
        return move.new is StepStatus.IN_DOUBT or known is None or known.code != error.code

    def _event_data(self, move: StepMoved) -> dict[str, Any]:
        data: dict[str, Any] = {"from": move.old.value}
        if move.note is not Note.NONE:
            data |= {"reason": move.note.name.lower(), "text": move.note.value}
        field = "undo_error" if move.new is StepStatus.COMPENSATION_FAILED else "error"
        error = self._text(move.step, field) if move.new in _TELLS_ERROR else None
        if isinstance(error, ErrorInfo):
            data |= {"code": error.code, "message": error.message}
        next_at = self.machine.cell(move.step).next_attempt_at
        if move.new is StepStatus.RETRYING and next_at is not None:
            data["next_attempt_at"] = next_at
        return data

    def _run_moved(self, move: RunMoved) -> None:
        pending = self._open()
        pending.old_status = pending.old_status or move.old
        data: dict[str, Any] = {"from": move.old.value}
        if move.note is not Note.NONE:
            data |= {"reason": move.note.name.lower(), "text": move.note.value}
        self.add_event(f"run.{move.new.lower()}", move.at, data=data)

    def add_event(
        self,
        type_: str,
        at: float,
        *,
        step: str | None = None,
        attempt: int | None = None,
        data: Mapping[str, Any] | None = None,
        actor: str | None = None,
    ) -> None:
        """Add a line to the history."""
        self._seq += 1
        pending = self._open()
        pending.is_urgent = True
        pending.events.append(_make_event(self.id, self._seq, at, type_, step, attempt or None, data or {}, actor))

    def write(self, step: str, **texts: Any) -> None:
        """Set texts of a step."""
        self._texts.setdefault(step, {}).update(texts)
        pending = self._open()
        pending.steps[step] = None
        pending.is_urgent = True

    def reported(self, step: str, token: int, *, by_itself: bool) -> None:
        """An attempt's end is recorded; if it ended by itself, the run does not kill its engines."""
        pending = self._open()
        pending.vindicates = pending.vindicates or by_itself
        pending.ended.append((step, token))

    def vindicate(self) -> None:
        """Its engine leaves in good order, though attempts are under way: whoever takes it up does not count that against it."""
        pending = self._open()
        pending.vindicates = pending.is_urgent = True

    def disown(self, step: str) -> None:
        """The step's attempt has ended: whoever takes the run up need not wait for it."""
        self.zombies = {name: engine for name, engine in self.zombies.items() if name != step}
        self.write(step, engine=None)

    def told_progress(self, step: str, fraction: float, message: str, at: float) -> None:
        """A step told how far it is. Not urgent: it goes with the next commit, or soon."""
        self._texts.setdefault(step, {}).update(progress=fraction, message=message)
        self._fractions[step] = fraction
        self._be_lazy(step, at)

    def told_checkpoint(self, step: str, text: str) -> None:
        """A step left a note for its next attempt."""
        self.write(step, checkpoint=text)

    def _be_lazy(self, step: str, at: float) -> None:
        pending = self._open()
        pending.steps[step] = None
        pending.lazy_since = pending.lazy_since or at

    def hurry(self) -> None:
        """What was not urgent is written now."""
        self._open().is_urgent = True

    def add_resource(self, resource: ResourceRecord, *, is_durable: bool) -> None:
        """Enter something a step allocated into the ledger; the same thing is entered once, ``is_durable`` says it already is."""
        entries = self.resources.setdefault(resource.step, [])
        entries[:] = [each for each in entries if (each.kind, each.id) != (resource.kind, resource.id)]
        entries.append(resource)
        if not is_durable:
            self._open().resources.append(resource)
        data = {"kind": resource.kind, "id": resource.id}
        self.add_event("resource.recorded", resource.at, step=resource.step, attempt=resource.attempt, data=data)

    def settle_completion(self, step: str) -> None:
        """A transactional step's completion row has been taken over."""
        self._open().settled.append(step)

    def request_done(self, request_id: str) -> None:
        pending = self._open()
        pending.requests_done.append(request_id)
        pending.is_urgent = True

    def set_attention(self, error: ErrorInfo | None) -> None:
        """Say (or say no more) why the run was set aside."""
        self._attention = error
        pending = self._open()
        pending.vindicates = pending.vindicates or error is None  # a person let it go on: what its engines died of is forgiven
        pending.is_urgent = True

    def correct_input(self, text: str, digest: str) -> None:
        self._new_input = (text, digest)
        self._open().is_urgent = True

    def rebuild(self, graph: PlanGraph, steps: Mapping[str, StepRecord], *, dirty: Iterable[str] = ()) -> None:
        """Go on with another graph or with reconsidered steps; nothing of the run is alive."""
        pending = self._open()
        if graph.fingerprint != self.record.fingerprint:
            pending.graph = graph
        run = self._run_record(self.record.version)
        removed = tuple(name for name in self.graph.index if name not in graph.index)
        record, self.record = self.record, run
        self.machine = self._build(graph, steps)
        self.record = record
        pending.removed_steps += removed
        for name in removed:
            pending.steps.pop(name, None)
        pending.steps.update(dict.fromkeys(dirty))
        pending.is_urgent = True

    # committing

    def change(self, at: float, *, release: bool = False) -> RunChange:
        """All that is not committed yet."""
        pending = self._open()
        run = self._run_record(self.record.version + 1, runnable_at=self._runnable_at(at), takeovers=self._takeovers)
        is_stored_known = not pending.may_be_stored and not pending.requests_done  # a recorded verb has made it runnable earlier
        counts_only = not release and is_stored_known and _beyond_counters(run) == _beyond_counters(self.record)
        return RunChange(
            run=run,
            steps=tuple([self._step_record(name) for name in pending.steps if name in self.graph.index]),
            events=tuple(pending.events),
            resources=tuple(pending.resources),
            settled=tuple(pending.settled),
            requests_done=tuple(pending.requests_done),
            removed_steps=pending.removed_steps,
            status_change=self._status_change(pending, at),
            graph=pending.graph,
            only_counters=counts_only,
            release=release,
        )

    def _status_change(self, pending: Pending, at: float) -> StatusChange | None:
        """There and back again is no change, unless the way there may be stored already."""
        old, new = pending.old_status, self.status
        if old is None or (old is new and not pending.may_be_stored):
            return None
        return StatusChange(run_id=self.id, subject=self.record.subject, plan=self.record.plan, old=old, new=new, at=at)

    def committed(self, change: RunChange) -> Sequence[Command]:
        """It was written: these commands may be carried out now."""
        commands = self._open().commands
        self.record = change.run
        self._pending = None
        return commands

    def not_committed(self) -> None:
        """The store was away. The answer may have been lost only: then what was to be written is there, and will be written again."""
        self._open().may_be_stored = True

    @property
    def unlaunched(self) -> list[tuple[str, int]]:
        """Attempts (step, token) that wait for their commit. It may have gone through all the same, if its answer was lost."""
        return [] if self._pending is None else [(command.step, command.token) for command in self._pending.launches]

    @property
    def ended(self) -> Sequence[tuple[str, int]]:
        """Attempts (step, token) whose end is not committed yet."""
        return () if self._pending is None else self._pending.ended

    @property
    def lazy_since(self) -> float | None:
        """Since when something waits to be committed that is not urgent."""
        return None if self._pending is None else self._pending.lazy_since

    @property
    def _takeovers(self) -> int:
        """Earlier ones don't count any more when an attempt came to its end, or none was under way when engines died."""
        pending = self._open()
        is_above_suspicion = pending.vindicates or (not self.had_attempts and any(pending.launches))
        return 0 if is_above_suspicion else self.record.takeovers

    def _run_record(self, version: int, **more: Any) -> RunRecord:
        decided: dict[str, Any] = self.machine.run_fields() | more
        self._progress = self._progress_now(decided["phase"])
        changed = None if self._pending is None else self._pending.graph
        if changed is not None:
            decided |= {"fingerprint": changed.fingerprint, "plan_version": changed.version}
        decided |= {"version": version, "seq": self._seq, "progress": self._progress, "attention": self._attention}
        if self._new_input is not None:
            decided["input"], decided["input_digest"] = self._new_input
        return _make_run(*(dict(zip(_RUN_FIELDS, _run_values(self.record), strict=True)) | decided).values())

    def _progress_now(self, phase: Phase) -> float:
        """High-water mark on the way forward; as it is on the way back."""
        part = 0.0
        for step, fraction in self._fractions.items():
            part += self.machine.weight_share(step) * fraction
        now = min(self.machine.progress + part, 1.0 if self.machine.progress >= 1.0 else 0.9999)
        goes_on = phase is Phase.FORWARD and self.record.phase is Phase.FORWARD
        return max(now, self._progress) if goes_on else now

    def _runnable_at(self, at: float) -> float | None:
        if self._attention is not None:
            return None
        if not self._is_taken_up:
            return self.record.runnable_at
        if self.status.moves:
            return at if self.record.runnable_at is None else min(self.record.runnable_at, at)
        return self.machine.next_timer_at if self.status is RunStatus.WAITING else None

    def _step_record(self, name: str) -> StepRecord:
        texts = _BLANK_TEXTS | self._texts.get(name, {})
        return _make_step(name, *self.machine.step_values(name), *texts.values())


_TELLS_ERROR = (StepStatus.FAILED, StepStatus.RETRYING, StepStatus.IN_DOUBT, StepStatus.COMPENSATION_FAILED)


def _texts_of(step: StepRecord) -> dict[str, Any]:
    return {name: value for name in TEXT_FIELDS if (value := getattr(step, name)) != getattr(_BLANK, name)}
