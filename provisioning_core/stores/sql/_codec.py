"""Records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping

from provisioning_core.model import (
    Completion,
    Direction,
    EngineRecord,
    ErrorInfo,
    EventRecord,
    Phase,
    RequestRecord,
    ResourceRecord,
    RunRecord,
    RunStatus,
    StepRecord,
    StepStatus,
    maker,
)

Row = dict[str, Any]
Values = tuple[Any, ...]

_RUN_ENCODED = {"status", "phase", "labels", "attention"}
_RUN_FLAGS = ("pausing", "cancel_rollback", "forced")
_RUN_PLAIN = tuple(field.name for field in fields(RunRecord) if field.name not in _RUN_ENCODED)
_ENGINE = tuple(field.name for field in fields(EngineRecord))


_encode = json.JSONEncoder(separators=(",", ":")).encode


def _json(value: Mapping[str, Any]) -> str:
    return _encode(dict(value))


def error_text(error: ErrorInfo | None) -> str | None:
    return None if error is None else _json(asdict(error))


def _error(text: str | None) -> ErrorInfo | None:
    return None if text is None else ErrorInfo(**json.loads(text))


def _storable(text: str | None) -> str | None:
    """Free text without what no database takes (NUL, lone surrogates): a step's message must not stop the commits of all runs."""
    if text is None or (text.isascii() and "\x00" not in text):
        return text
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def run_row(run: RunRecord) -> Row:
    row = {name: getattr(run, name) for name in _RUN_PLAIN}
    row["status"] = run.status.value
    row["phase"] = run.phase.value
    row["labels"] = _json(run.labels)
    row["attention"] = error_text(run.attention)
    return row


RUN_NAMES = tuple(field.name for field in fields(RunRecord))
_make_run = maker(RunRecord)
_RUN_STATUSES = {status.value: status for status in RunStatus}
_PHASES = {phase.value: phase for phase in Phase}


def run_record(row: Sequence[Any]) -> RunRecord:
    """Of the columns of RUN_NAMES, and maybe more behind them."""
    values = dict(zip(RUN_NAMES, row, strict=False))
    values["status"] = _RUN_STATUSES.get(values["status"]) or RunStatus(values["status"])
    values["phase"] = _PHASES.get(values["phase"]) or Phase(values["phase"])
    values["labels"] = json.loads(values["labels"]) if values["labels"] != "{}" else {}
    values["attention"] = _error(values["attention"])
    for name in _RUN_FLAGS:
        values[name] = bool(values[name])
    return _make_run(*values.values())


STEP_NAMES = (
    *("run_id", "name", "status", "attempt", "failures", "token", "live", "zombie", "round", "effect", "redo", "half_done"),
    *("skip_reason", "signalled", "started_at", "finished_at", "next_attempt_at", "deadline_at", "progress", "message", "output"),
    *("error", "undo_error", "engine", "checkpoint"),
)
EVENT_NAMES = ("run_id", "seq", "at", "type", "step", "attempt", "data", "actor")


def step_values(run_id: str, step: StepRecord) -> Values:
    """In the order of STEP_NAMES."""
    return (
        run_id,
        step.name,
        step.status.value,
        step.attempt,
        step.failures,
        step.token,
        None if step.live is None else step.live.value,
        step.zombie,
        step.round,
        step.effect,
        step.redo,
        step.half_done,
        step.skip_reason,
        step.signalled,
        step.started_at,
        step.finished_at,
        step.next_attempt_at,
        step.deadline_at,
        step.progress,
        _storable(step.message),
        step.output,
        error_text(step.error),
        error_text(step.undo_error),
        step.engine,
        step.checkpoint,
    )


_make_step = maker(StepRecord, STEP_NAMES[1:])
_STEP_STATUSES = {status.value: status for status in StepStatus}


def step_record(row: Sequence[Any]) -> StepRecord:
    """Of the columns of STEP_NAMES. There may be thousands, so nothing is called that need not be."""
    _, name, status, attempt, failures, token, live, zombie, round_, effect, redo, half_done, skip_reason, signalled, *rest = row
    started_at, finished_at, next_attempt_at, deadline_at, progress, message, output, error, undo_error, engine, checkpoint = rest
    return _make_step(
        name,
        _STEP_STATUSES.get(status) or StepStatus(status),
        attempt,
        failures,
        token,
        None if live is None else Direction(live),
        bool(zombie),
        round_,
        bool(effect),
        bool(redo),
        bool(half_done),
        skip_reason,
        bool(signalled),
        started_at,
        finished_at,
        next_attempt_at,
        deadline_at,
        progress,
        message,
        output,
        None if error is None else _error(error),
        None if undo_error is None else _error(undo_error),
        engine,
        checkpoint,
    )


def event_values(event: EventRecord) -> Values:
    """In the order of EVENT_NAMES."""
    data = _json(event.data) if event.data else "{}"
    return (event.run_id, event.seq, event.at, event.type, event.step, event.attempt, data, _storable(event.actor))


_make_event = maker(EventRecord, EVENT_NAMES)


def event_record(row: Sequence[Any]) -> EventRecord:
    """Of the columns of EVENT_NAMES."""
    run_id, seq, at, kind, step, attempt, data, actor = row
    return _make_event(run_id, seq, at, kind, step, attempt, json.loads(data) if data != "{}" else {}, actor)


def resource_row(run_id: str, resource: ResourceRecord) -> Row:
    return {
        "run_id": run_id,
        "step": resource.step,
        "kind": resource.kind,
        "id": resource.id,
        "details": _json(resource.details),
        "attempt": resource.attempt,
        "token": resource.token,
        "at": resource.at,
    }


def resource_record(row: Mapping[str, Any]) -> ResourceRecord:
    return ResourceRecord(
        step=row["step"],
        kind=row["kind"],
        id=row["id"],
        details=json.loads(row["details"]),
        attempt=row["attempt"],
        token=row["token"],
        at=row["at"],
    )


def request_row(request: RequestRecord) -> Row:
    return {
        "id": request.id,
        "run_id": request.run_id,
        "verb": request.verb,
        "arguments": _json(request.arguments),
        "actor": _storable(request.actor),
        "reason": _storable(request.reason),
        "at": request.at,
    }


def request_record(row: Mapping[str, Any]) -> RequestRecord:
    return RequestRecord(
        id=row["id"],
        run_id=row["run_id"],
        verb=row["verb"],
        arguments=json.loads(row["arguments"]),
        actor=row["actor"],
        reason=row["reason"],
        at=row["at"],
    )


def completion_row(run_id: str, completion: Completion) -> Row:
    return {"run_id": run_id, "step": completion.step, "token": completion.token, "output": completion.output}


def completion_record(row: Mapping[str, Any]) -> Completion:
    return Completion(step=row["step"], token=row["token"], output=row["output"])


def engine_record(row: RowMapping) -> EngineRecord:
    return EngineRecord(**{name: row[name] for name in _ENGINE})
