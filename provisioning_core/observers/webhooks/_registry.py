"""Endpoints, as people manage them: checked on the way in, and without their secrets on the way out."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from provisioning_core.errors import Conflict, InvalidInput
from provisioning_core.model import RunStatus, StepStatus, Vault
from provisioning_core.observers.webhooks._signing import new_secret, sealed
from provisioning_core.observers.webhooks._transport import Transport
from provisioning_core.outbox import Endpoint, Outbox

OVERLAP = 86_400.0
"""Seconds for which a secret that was replaced signs along."""
MOST_ENDPOINTS = 100
_MOST_NAMES, _LONGEST_NAME, _LONGEST_TEXT = 50, 200, 500
_PATTERN = re.compile(r"\*|[a-z_]+\.\*|[a-z_]+\.[a-z_]+")
_VERBS = ("retry", "continue", "skip", "resolve", "rollback", "cancel", "pause", "signal", "deprovision", "adopt_plan")
EVENT_TYPES = frozenset(
    {
        "run.created",
        "run.set_aside",
        *(f"run.{status.lower()}" for status in RunStatus if status is not RunStatus.PENDING),
        *(f"step.{status.lower()}" for status in StepStatus),
        *(f"{verb}.requested" for verb in _VERBS),
        "plan.adopted",
        "request.refused",
        "resource.recorded",
    }
)
"""All that can be subscribed to by its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointView:
    """An endpoint as people see it."""

    id: str
    url: str
    events: tuple[str, ...]
    plans: tuple[str, ...]
    description: str
    enabled: bool
    disabled_why: str
    paused_until: datetime | None
    """Nothing is sent before, because the receiver asked for it."""
    old_secret_until: datetime | None
    """Until when the secret that was replaced signs along."""
    created_at: datetime
    waiting: int
    """Runs with something that it has not been told yet."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, times as ISO 8601 in UTC."""
        found: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name in ("events", "plans"):
            found[name] = list(found[name])
        for name in ("paused_until", "old_secret_until", "created_at"):
            found[name] = None if found[name] is None else found[name].isoformat().replace("+00:00", "Z")
        return found


class Registry:
    """Makes and changes endpoints."""

    def __init__(self, outbox: Outbox, vault: Vault | None, transport: Transport) -> None:
        self._outbox = outbox
        self._vault = vault
        self._transport = transport

    def all(self) -> list[EndpointView]:
        """Oldest first."""
        backlog, now = self._outbox.backlog(), self._outbox.now()
        return [_view(endpoint, backlog.get(endpoint.id, 0), now) for endpoint in self._outbox.endpoints()]

    def one(self, endpoint_id: str) -> EndpointView:
        """Raises NotFound."""
        return self._shown(self._outbox.endpoint(endpoint_id))

    def add(self, url: str, events: Iterable[str], plans: Iterable[str], description: str) -> tuple[EndpointView, str]:
        """The endpoint, and its secret: shown this once. Raises InvalidInput, Conflict when there are too many."""
        fields = _checked({"url": url, "events": events, "plans": plans, "description": description})
        self._transport.check(url)
        if len(self._outbox.endpoints()) >= MOST_ENDPOINTS:
            hint = "Remove one that nobody needs any more."
            raise Conflict(f"There are {MOST_ENDPOINTS} webhooks already.", code="too_many_webhooks", hint=hint)
        endpoint_id, secret = f"wh_{uuid.uuid4().hex}", new_secret()
        kept = self._outbox.add(Endpoint(id=endpoint_id, secret=sealed(secret, endpoint_id, self._vault), **fields))
        return self._shown(kept), secret

    def change(self, endpoint_id: str, fields: Mapping[str, Any]) -> EndpointView:
        """Raises NotFound, InvalidInput. One that is enabled begins with a clean record."""
        checked = _checked(fields)
        if "url" in checked:
            self._transport.check(checked["url"])
        if "enabled" in checked:
            why = "" if checked["enabled"] else "Disabled by an operator."
            checked |= {"disabled_why": why, "give_ups": 0, "paused_until": 0.0}
        return self._shown(self._outbox.change(endpoint_id, checked))

    def rotate(self, endpoint_id: str, overlap: float) -> tuple[EndpointView, str]:
        """A new secret, shown this once; the old one signs along for ``overlap`` seconds. Raises NotFound, InvalidInput."""
        if not 0 <= overlap <= 7 * OVERLAP:
            raise _refused("overlap", "Give seconds from 0 to 604,800 (a week).")
        known, secret = self._outbox.endpoint(endpoint_id), new_secret()
        fields = {
            "secret": sealed(secret, endpoint_id, self._vault),
            "old_secret": known.secret if overlap > 0 else None,
            "old_secret_until": self._outbox.now() + overlap if overlap > 0 else 0.0,
        }
        return self._shown(self._outbox.change(endpoint_id, fields)), secret

    def _shown(self, endpoint: Endpoint) -> EndpointView:
        return _view(endpoint, self._outbox.backlog().get(endpoint.id, 0), self._outbox.now())


def _view(endpoint: Endpoint, waiting: int, now: float) -> EndpointView:
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        events=endpoint.events,
        plans=endpoint.plans,
        description=endpoint.description,
        enabled=endpoint.enabled,
        disabled_why=endpoint.disabled_why,
        paused_until=_later(endpoint.paused_until, now),
        old_secret_until=_later(endpoint.old_secret_until, now),
        created_at=datetime.fromtimestamp(endpoint.created_at, UTC),
        waiting=waiting,
    )


def _later(at: float, now: float) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at > now else None


def _checked(fields: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(fields)
    if "events" in found:
        found["events"] = _checked_events(found["events"])
    if "plans" in found:
        found["plans"] = _checked_names("plans", found["plans"])
    if "description" in found:
        _check_text(found["description"])
    return found


def _checked_events(given: Iterable[str]) -> tuple[str, ...]:
    events = _checked_names("events", given)
    if not events:
        raise _refused("events", "Name at least one type of event, such as run.succeeded or run.*.")
    for name in events:
        is_known = (
            name == "*" or name in EVENT_TYPES or any(each.startswith(name[:-1]) for each in EVENT_TYPES if name.endswith(".*"))
        )
        if _PATTERN.fullmatch(name) is None or not is_known:
            raise _refused("events", "There is no such type of event. Types are such as run.succeeded, step.failed, run.* and *.")
    return events


def _checked_names(field: str, given: Iterable[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(given)) if not isinstance(given, str) else (given,)
    fits = all(isinstance(name, str) and 1 <= len(name) <= _LONGEST_NAME and name.isprintable() for name in names)
    if not fits or len(names) > _MOST_NAMES:
        raise _refused(field, f"Give at most {_MOST_NAMES} names of 1 to {_LONGEST_NAME} printable characters.")
    return names


def _check_text(text: Any) -> None:
    if not isinstance(text, str) or len(text) > _LONGEST_TEXT or not (text.isprintable() or text == ""):
        raise _refused("description", f"Use at most {_LONGEST_TEXT} printable characters.")


def _refused(field: str, told: str) -> InvalidInput:
    errors = [{"loc": (field,), "msg": told, "type": "invalid_webhook"}]
    return InvalidInput(f"The webhook's {field} can't be used. {told}", code="invalid_webhook", errors=errors)
