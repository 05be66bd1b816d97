"""Endpoints and runs with something to tell, and the few moves that the cases of the outbox begin with."""

from __future__ import annotations

import itertools
from typing import Any

from provisioning_core.model import RunRecord, RunStatus
from provisioning_core.outbox import Claimed, Delivery, Endpoint, Settled
from provisioning_core.testing._store_cases.records import NOW, a_change, a_run, an_event, owned

FOR_AN_HOUR = 3600.0
LATER = 3600.0
_words = itertools.count(1)


def an_endpoint(endpoint_id: str = "end-1", **fields: Any) -> Endpoint:
    given: dict[str, Any] = {"url": "https://hooks.example.com/in", "events": ("run.*",), "secret": "plain:whsec_c2VjcmV0"}
    return Endpoint(id=endpoint_id, **(given | fields))


def a_full_endpoint() -> Endpoint:
    """An endpoint with something in every field."""
    return Endpoint(
        id="full",
        url="https://hooks.example.com/ü?x=1",
        events=("run.succeeded", "step.*"),
        plans=("tenant", "größe"),
        description="die Buchhaltung — бухгалтерия",
        secret="v1:sealed",  # noqa: S106  no password
        old_secret="v1:older",  # noqa: S106  no password
        old_secret_until=NOW + 1.5,
        enabled=False,
        disabled_why="It answered 410 Gone.",
        paused_until=NOW + 2.5,
        give_ups=2,
    )


def a_delivery(**fields: Any) -> Delivery:
    given: dict[str, Any] = {
        "message_id": "msg_run-1_1",
        "endpoint_id": "end-1",
        "run_id": "run-1",
        "seq": 1,
        "type": "run.succeeded",
        "at": NOW,
        "took": 0.25,
        "attempt": 1,
        "outcome": "delivered",
        "status": 204,
    }
    return Delivery(**(given | fields))


def a_telling_run(store: Any, run_id: str = "run-1", *types: str, **fields: Any) -> RunRecord:
    """A run that is owned and has these events, from number 1 on."""
    run = owned(store, a_run(run_id, fields.pop("subject", run_id), **fields))
    return told(store, run, *types)


def told(store: Any, run: RunRecord, *types: str) -> RunRecord:
    """Commit events of these types, in one transaction; gives the run as it is then."""
    events = [an_event(run.id, run.seq + number, type=kind) for number, kind in enumerate(types, 1)]
    change = a_change(run, events=events, run_fields={"status": RunStatus.RUNNING})
    assert not store.commit([change])  # noqa: S101  it is ours
    return change.run


def claimed(store: Any, *, ttl: float = FOR_AN_HOUR, room: int = 99, per_endpoint: int = 99, **in_hand: int) -> list[Claimed]:
    """What a claim under a new word gives."""
    word = f"claim-{next(_words)}"
    return list(store.outbox.claim(word, ttl=ttl, room=room, per_endpoint=per_endpoint, in_hand=in_hand))


def settled(each: Claimed, after: int, **fields: Any) -> Settled:
    return Settled(claimed=each, after=after, **({"tries": 0} | fields))


def spans(found: list[Claimed]) -> list[tuple[str, str, int, int]]:
    """Whom, of which run, from behind which event to which."""
    return sorted((each.endpoint.id, each.run_id, each.after, each.until) for each in found)
