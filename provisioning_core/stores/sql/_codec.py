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
)

Row = dict[str, Any]
Values = tuple[Any, ...]

_RUN_ENCODED = {"status", "phase", "labels", "attention"}
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


def run_record(row: RowMapping) -> RunRecord:
    return RunRecord(
        **{name: row[name] for name in _RUN_PLAIN},
        status=RunStatus(row["status"]),
        phase=Phase(row["phase"]),
        labels=json.loads(row["labels"]),
        attention=_error(row["attention"]),
    )


STEP_NAMES = (
    *("run_id", "name", "status", "attempt", "failures", "token", "live", "zombie", "round", "effect", "redo", "half_done"),
    *("skip_reason", "signalled", "started_at", "finished_at", "next_attempt_at", "deadline_at", "progress", "message", "output"),
    *("error", "undo_error", "engine", "checkpoint"),
)
_STEP_FIELDS = STEP_NAMES[1:]
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


def step_record(row: Sequence[Any]) -> StepRecord:
    """Of the columns of STEP_NAMES, but the run's id."""
    values = dict(zip(_STEP_FIELDS, row, strict=True))
    values["status"] = StepStatus(values["status"])
    if values["live"] is not None:
        values["live"] = Direction(values["live"])
    for name in ("error", "undo_error"):
        if values[name] is not None:
            values[name] = _error(values[name])
    return StepRecord(**values)


def event_values(event: EventRecord) -> Values:
    """In the order of EVENT_NAMES."""
    data = _json(event.data) if event.data else "{}"
    return (event.run_id, event.seq, event.at, event.type, event.step, event.attempt, data, _storable(event.actor))


def event_record(row: RowMapping) -> EventRecord:
    data = row["data"]
    return EventRecord(
        run_id=row["run_id"],
        seq=row["seq"],
        at=row["at"],
        type=row["type"],
        step=row["step"],
        attempt=row["attempt"],
        data=json.loads(data) if data != "{}" else {},
        actor=row["actor"],
    )


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


def resource_record(row: RowMapping) -> ResourceRecord:
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


def request_record(row: RowMapping) -> RequestRecord:
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


def completion_record(row: RowMapping) -> Completion:
    return Completion(step=row["step"], token=row["token"], output=row["output"])


def engine_record(row: RowMapping) -> EngineRecord:
    return EngineRecord(**{name: row[name] for name in _ENGINE})
