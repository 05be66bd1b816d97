"""A run's history as server-sent events: what goes over the wire, and the ids that a client resumes with."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from provisioning_core import Event, RunView
from provisioning_http._answers import StatusBody
from provisioning_http._rendering import event_body, progress_body

RETRY = 3000
"""Milliseconds until a client that lost the connection asks again."""
PING = KEEPALIVE_COMMENT
_ID = re.compile(r"((?P<run>[^\x00-\x1f\x7f]{1,200}):)?(?P<seq>[0-9]{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Position:
    """Up to where a client has read: all events of a run up to a number."""

    run_id: str
    seq: int

    def __str__(self) -> str:
        return f"{self.run_id}:{self.seq}"

    @classmethod
    def read(cls, text: str, run_id: str) -> Position | None:
        """None when it is none. A number alone is meant of this run."""
        found = _ID.fullmatch(text)
        return None if found is None else cls(found["run"] or run_id, int(found["seq"]))


def opening() -> bytes:
    """Comes first: a client that loses the connection asks again soon."""
    return format_sse_event(retry=RETRY)


def history(event: Event, is_operator: bool) -> bytes:
    """One event, without a name, so that a browser's ``onmessage`` gets it."""
    body = event_body(event, is_operator=is_operator).model_dump_json(exclude_unset=True)
    return format_sse_event(data_str=body, id=str(Position(event.run_id, event.seq)))


def progress(view: RunView) -> bytes:
    """How far it is. Without an id: a client resumes from the last event of the history."""
    return format_sse_event(event="progress", data_str=progress_body(view).model_dump_json())


def named(name: str, body: StatusBody, position: Position) -> bytes:
    """``snapshot``, ``reset`` or ``end``, with the run's status."""
    return format_sse_event(event=name, data_str=body.model_dump_json(exclude_unset=True), id=str(position))
