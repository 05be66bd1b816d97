"""What a message says: which run, what happened, where it stands. No outputs, no inputs, no error texts, no names of people."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from provisioning_core.model import EventRecord, RunStatus, StepStatus
from provisioning_core.outbox import Claimed

Link = str | Callable[[str, str], str]
"""A template with ``{run_id}`` and ``{tenant_id}``, or a function of these two."""
TEST_TYPE = "webhook.test"


@dataclass(frozen=True, slots=True)
class Message:
    """One message; the same at every try."""

    id: str
    type: str
    body: bytes


def message_of(claimed: Claimed, event: EventRecord, link: Link | None) -> Message:
    """The message for an event of a run."""
    data = {
        "run_id": claimed.run_id,
        "tenant_id": claimed.subject,
        "plan": claimed.plan,
        "plan_version": claimed.plan_version,
        "seq": event.seq,
        "status": _status(event.type),
        "step": event.step,
        "attempt": event.attempt,
        "link": link_to(link, claimed.run_id, claimed.subject),
    }
    return _message(f"msg_{claimed.run_id}_{event.seq}", event.type, event.at, data)


def test_message(endpoint_id: str, word: str, at: float) -> Message:
    """A message that tells of nothing."""
    return _message(f"msg_test_{word}", TEST_TYPE, at, {"endpoint_id": endpoint_id})


def link_to(link: Link | None, run_id: str, tenant_id: str) -> str | None:
    """Where a person can see the run."""
    if link is None:
        return None
    if callable(link):
        return link(run_id, tenant_id)
    return link.replace("{run_id}", quote(run_id, safe="")).replace("{tenant_id}", quote(tenant_id, safe=""))


def _message(message_id: str, event_type: str, at: float, data: dict[str, Any]) -> Message:
    timestamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    told = {"type": event_type, "timestamp": timestamp, "data": data}
    return Message(message_id, event_type, json.dumps(told, separators=(",", ":")).encode())


def _status(event_type: str) -> str | None:
    """Where the run, or the step, stands after the event; None when the event tells of something else."""
    if event_type == "run.created":
        return RunStatus.PENDING.value
    kind, _, word = event_type.partition(".")
    known = {"run": RunStatus, "step": StepStatus}.get(kind)
    return word.upper() if known is not None and word.upper() in known.__members__ else None
