"""Tickets for streams: a browser's ``EventSource`` can't send a header, and a lasting token has no place in an address."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from provisioning_http._problems import Refused

SECONDS = 30.0
"""That a ticket is good for."""
_MOST = 10_000
"""Tickets open at a time; of more, the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Whom a ticket lets in, once, and to what."""

    tenant_id: str
    run_id: str
    principal: str
    actor: str | None
    is_operator: bool
    expires_at: float
    """By the clock of :class:`Tickets`."""


class Tickets:
    """Tickets given out by this process; another one does not know them."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Ticket] = OrderedDict()

    def give(self, *, tenant_id: str, run_id: str, principal: str, actor: str | None, is_operator: bool) -> str:
        """A new ticket's text: random, good once, and for ``SECONDS``."""
        text = secrets.token_urlsafe(32)
        ticket = Ticket(
            tenant_id=tenant_id,
            run_id=run_id,
            principal=principal,
            actor=actor,
            is_operator=is_operator,
            expires_at=self._clock() + SECONDS,
        )
        with self._lock:
            self._forget()
            self._open[text] = ticket
        return text

    def take(self, text: str, tenant_id: str) -> Ticket:
        """Whom it lets in; it is used up by that. Raises Refused (401) for one that is not good, and does not say why."""
        with self._lock:
            ticket = self._open.pop(text, None)
        if ticket is None or ticket.expires_at <= self._clock() or ticket.tenant_id != tenant_id:
            hint = f"A ticket is good once, for {SECONDS:g} seconds, for the tenant it was asked for. Ask for a new one."
            headers = {"WWW-Authenticate": 'Ticket realm="provisioning"'}
            raise Refused(401, "invalid_ticket", "The ticket is not good (any more).", hint=hint, headers=headers)
        return ticket

    def _forget(self) -> None:
        """Tickets stand in the order in which they end."""
        now = self._clock()
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.expires_at > now and len(self._open) < _MOST:
                return
            self._open.popitem(last=False)
