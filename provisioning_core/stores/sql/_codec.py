"""Records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
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

_RUN_ENCODED = {"status", "phase", "labels", "attention"}
_RUN_PLAIN = tuple(field.name for field in fields(RunRecord) if field.name not in _RUN_ENCODED)
_STEP_ENCODED = {"status", "live", "message", "error", "undo_error"}
_STEP_PLAIN = tuple(field.name for field in fields(StepRecord) if field.name not in _STEP_ENCODED)
_ENGINE = tuple(field.name for field in fields(EngineRecord))


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), separators=(",", ":"))


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


def step_row(run_id: str, step: StepRecord) -> Row:
    row = {name: getattr(step, name) for name in _STEP_PLAIN}
    row["run_id"] = run_id
    row["status"] = step.status.value
    row["live"] = None if step.live is None else step.live.value
    row["message"] = _storable(step.message)
    row["error"] = error_text(step.error)
    row["undo_error"] = error_text(step.undo_error)
    return row


def step_record(row: RowMapping) -> StepRecord:
    return StepRecord(
        **{name: row[name] for name in _STEP_PLAIN},
        status=StepStatus(row["status"]),
        live=None if row["live"] is None else Direction(row["live"]),
        message=row["message"],
        error=_error(row["error"]),
        undo_error=_error(row["undo_error"]),
    )


def event_row(event: EventRecord) -> Row:
    return {
        "run_id": event.run_id,
        "seq": event.seq,
        "at": event.at,
        "type": event.type,
        "step": event.step,
        "attempt": event.attempt,
        "data": _json(event.data) if event.data else "{}",
        "actor": _storable(event.actor),
    }


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
