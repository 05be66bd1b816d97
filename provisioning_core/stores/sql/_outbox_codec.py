"""Webhooks' records to rows and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import RowMapping

from provisioning_core.outbox import Claimed, Delivery, Endpoint
from provisioning_core.stores._noting import Note
from provisioning_core.stores.sql._codec import Row

_LISTS = ("events", "plans")
_ENDPOINT = tuple(field.name for field in fields(Endpoint))
_DELIVERY = tuple(field.name for field in fields(Delivery) if field.name not in ("number", "endpoint_id"))


def encoded(given: Endpoint | Mapping[str, Any]) -> Row:
    """An endpoint, or some fields of one."""
    row = {name: getattr(given, name) for name in _ENDPOINT} if isinstance(given, Endpoint) else dict(given)
    return row | {name: json.dumps(list(row[name])) for name in _LISTS if name in row}


def endpoint_record(row: RowMapping) -> Endpoint:
    given = {name: row[name] for name in _ENDPOINT if name not in _LISTS}
    return Endpoint(**given, events=tuple(json.loads(row["events"])), plans=tuple(json.loads(row["plans"])))


def note_row(note: Note) -> Row:
    return {
        "endpoint": note.endpoint_id,
        "run_id": note.run_id,
        "lane": "",
        "after_seq": note.first - 1,
        "until_seq": note.last,
        "tries": 0,
        "missing_only": False,
        "claim": None,
        "due_at": 0.0,
    }


def claimed_record(row: RowMapping, endpoint: Endpoint, claim: str) -> Claimed:
    return Claimed(
        number=row["number"],
        endpoint=endpoint,
        run_id=row["run_id"],
        subject=row["subject"],
        plan=row["plan"],
        plan_version=row["plan_version"],
        claim=claim,
        after=row["after_seq"],
        until=row["until_seq"],
        tries=row["tries"],
        is_resend=row["lane"] != "",
        missing_only=row["missing_only"],
    )


def delivery_row(delivery: Delivery) -> Row:
    return {"endpoint": delivery.endpoint_id} | {name: getattr(delivery, name) for name in _DELIVERY}


def delivery_record(row: RowMapping) -> Delivery:
    return Delivery(number=row["number"], endpoint_id=row["endpoint"], **{name: row[name] for name in _DELIVERY})
