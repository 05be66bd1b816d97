"""Webhooks of one engine: what it is given, and what its faces call."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from provisioning_core.errors import Conflict, InvalidInput, NotFound, ProvisioningError
from provisioning_core.model import Event, Vault
from provisioning_core.observers.webhooks._courier import Courier
from provisioning_core.observers.webhooks._payload import TEST_TYPE, Link, test_message
from provisioning_core.observers.webhooks._posting import Poster
from provisioning_core.observers.webhooks._registry import OVERLAP, EndpointView, Registry
from provisioning_core.observers.webhooks._sender import Pace, Sender
from provisioning_core.observers.webhooks._targets import Resolve, TargetRules, resolve_by_system
from provisioning_core.observers.webhooks._transport import Limits, Transport
from provisioning_core.outbox import Delivery, DeliveryFilter, DeliveryPage, Endpoint, Outbox, Resend
from provisioning_core.ports import Clock, Store, SystemClock

_LONGEST_PAGE = 200
_BETWEEN_TESTS = 5.0
_UNSET: Any = object()


class Webhooks:
    """Tells other systems what happens to runs: ``Engine(webhooks=Webhooks(link="https://app.example.com/runs/{run_id}"))``.

    ``link``: where a person sees a run; a template with ``{run_id}`` and ``{tenant_id}``, or a function of the two.
    ``allow_private_targets``: also http, any host and any port; for use on your own premises. ``ports``: those of public hosts.
    ``per_endpoint`` and ``at_once``: messages on their way at a time, in this process. ``timeout`` and ``connect_timeout``: seconds
    for one try. ``lease``: seconds after which another process takes up what one that died was sending; at least three times
    ``timeout``. ``poll``: seconds between looks at the store. ``keep_log``: seconds that deliveries are listed. ``ca_file``: further
    certificates to trust. ``send=False``: only manage endpoints; others send. ``resolve(host, port)``: all addresses of a host.

    One object serves one engine. Methods raise NotFound, InvalidInput, Conflict or StoreUnavailable.
    """

    def __init__(
        self,
        *,
        link: Link | None = None,
        allow_private_targets: bool = False,
        ports: Iterable[int] = (443,),
        per_endpoint: int = 4,
        at_once: int = 16,
        timeout: float = 15.0,
        connect_timeout: float = 5.0,
        lease: float = 60.0,
        poll: float = 1.0,
        keep_log: float = 30 * 86_400.0,
        ca_file: str | None = None,
        send: bool = True,
        resolve: Resolve = resolve_by_system,
        dice: Random | None = None,
    ) -> None:
        if min(per_endpoint, at_once) < 1 or min(timeout, connect_timeout, poll, keep_log) <= 0 or lease < 3 * timeout:
            hint = "Numbers have to be above 0, and the lease at least three times the timeout."
            raise ProvisioningError("The webhooks' settings can't work together.", code="bad_webhooks", hint=hint)
        self.allows_private_targets = allow_private_targets
        self._link = link
        self._pace = Pace(per_endpoint=per_endpoint, at_once=at_once, lease=lease, poll=poll, keep_log=keep_log)
        rules = TargetRules(allow_private=allow_private_targets, ports=frozenset(ports))
        limits = Limits(total=timeout, connect=connect_timeout)
        self._share = lease / 3
        self._transport = Transport(rules, resolve, limits=limits, ca_file=ca_file)
        self._sends = send
        self._dice = dice or Random()  # noqa: S311  jitter
        self._clock: Clock = SystemClock()
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._parts: tuple[Outbox, Registry, Poster, Sender] | None = None

    # what an engine asks of it

    def attach(self, store: Store, vault: Vault | None, clock: Clock) -> None:
        """Work for this store. Raises ProvisioningError when it has no outbox, or another one is attached."""
        outbox: Outbox | None = getattr(store, "outbox", None)
        if outbox is None:
            hint = "Use SqlStore or MemoryStore, or give your store an outbox."
            raise ProvisioningError("This store has no outbox for webhooks.", code="bad_engine", hint=hint)
        with self._lock:
            if self._store is not None and self._store is not store:
                hint = "Make a Webhooks object for each engine."
                raise ProvisioningError("These webhooks serve another engine.", code="bad_engine", hint=hint)
            self._store, self._clock = store, clock
            poster = Poster(self._transport, vault, clock, self._dice)
            courier = Courier(store, outbox, poster, clock, link=self._link, share=self._share)
            self._parts = (outbox, Registry(outbox, vault, self._transport), poster, Sender(outbox, courier, self._pace))

    def begin(self) -> None:
        """Begin to send, unless made with ``send=False``."""
        if self._sends:
            self._sender.begin()

    def close(self, timeout: float = 10.0) -> None:
        """Send nothing more; what is under way gets ``timeout`` seconds. What was not delivered is sent by whoever begins next."""
        self._sender.close(timeout)

    def notify(self, events: Sequence[Event]) -> None:
        """These were committed."""
        self._sender.notify(events)

    # endpoints

    def endpoints(self) -> list[EndpointView]:
        """All, oldest first."""
        return self._registry.all()

    def endpoint(self, endpoint_id: str) -> EndpointView:
        """Raises NotFound."""
        return self._registry.one(endpoint_id)

    def add(
        self, url: str, *, events: Iterable[str] = ("run.*",), plans: Iterable[str] = (), description: str = ""
    ) -> tuple[EndpointView, str]:
        """A new endpoint and its secret, which is shown this once.

        It is told of what is recorded from now on; by engines in other processes from two seconds on at the latest.
        """
        added = self._registry.add(url, events, plans, description)
        self._sender.nudge()
        return added

    def update(
        self,
        endpoint_id: str,
        *,
        url: str = _UNSET,
        events: Iterable[str] = _UNSET,
        plans: Iterable[str] = _UNSET,
        description: str = _UNSET,
        enabled: bool = _UNSET,
    ) -> EndpointView:
        """Change what is given. One that is enabled again goes on where it stopped."""
        given = {"url": url, "events": events, "plans": plans, "description": description, "enabled": enabled}
        changed = self._registry.change(endpoint_id, {name: value for name, value in given.items() if value is not _UNSET})
        self._sender.nudge()
        return changed

    def remove(self, endpoint_id: str) -> None:
        """With its log, and what it has not been told."""
        self._outbox.remove(endpoint_id)

    def rotate_secret(self, endpoint_id: str, *, overlap: float = OVERLAP) -> tuple[EndpointView, str]:
        """A new secret, shown this once; the old one signs along for ``overlap`` seconds (a day)."""
        return self._registry.rotate(endpoint_id, overlap)

    # deliveries

    def test(self, endpoint_id: str) -> Delivery:
        """Send a test message now, from here, and wait for what comes of it: at most ``timeout`` seconds."""
        endpoint = self._outbox.endpoint(endpoint_id)
        self._check_not_too_soon(endpoint)
        message = test_message(endpoint_id, uuid.uuid4().hex, self._clock.now())
        tried = self._poster.try_to_tell(endpoint, message, run_id=None, seq=0, attempt=1, store_now=self._outbox.now())
        return self._outbox.record(replace(tried.delivery, next_at=None))  # a test is not tried again

    def _check_not_too_soon(self, endpoint: Endpoint) -> None:
        latest = self._outbox.deliveries(DeliveryFilter(endpoint_id=endpoint.id), limit=20).items
        since = self._clock.now() - _BETWEEN_TESTS
        if any(each.type == TEST_TYPE and each.at > since for each in latest):
            hint = f"Wait {_BETWEEN_TESTS:g} seconds between two."
            raise Conflict("A test message was sent a moment ago.", code="test_too_soon", hint=hint)

    def deliveries(
        self,
        endpoint_id: str | None = None,
        *,
        run_id: str | None = None,
        outcomes: Iterable[str] = (),
        limit: int = 50,
        cursor: str | None = None,
    ) -> DeliveryPage:
        """What was tried, newest first; at most 200 a page. Raises NotFound for an endpoint that there is none of."""
        if endpoint_id is not None:
            self._outbox.endpoint(endpoint_id)
        where = DeliveryFilter(endpoint_id=endpoint_id, run_id=run_id, outcomes=tuple(outcomes))
        return self._outbox.deliveries(where, limit=min(max(limit, 1), _LONGEST_PAGE), cursor=cursor)

    def redeliver(self, endpoint_id: str, delivery: int) -> int:
        """Send the event of this delivery again, under the same id; 1, or 0 when it is not there any more or not wanted."""
        found = self._outbox.delivery(delivery)
        if found.endpoint_id != endpoint_id:
            raise NotFound(f"There is no delivery {delivery} of this webhook.", code="delivery_not_found")
        if found.run_id is None:
            raise InvalidInput("A test message is not sent again.", code="not_redeliverable", hint="Send a new one.")
        return self._resend(endpoint_id, Resend(run_id=found.run_id, first=found.seq, last=found.seq))

    def redeliver_range(
        self,
        endpoint_id: str,
        *,
        since: float | None = None,
        until: float | None = None,
        run_id: str | None = None,
        missing_only: bool = True,
    ) -> int:
        """Send again what was recorded in this time (seconds since the epoch), or of one run: of how many runs something is sent.

        ``missing_only``: not what the log shows as delivered. Raises InvalidInput when neither a time nor a run is given.
        """
        if since is None and run_id is None:
            raise InvalidInput("Say from when on, or which run.", code="no_range")
        return self._resend(endpoint_id, Resend(since=since, until=until, run_id=run_id, missing_only=missing_only))

    def _resend(self, endpoint_id: str, what: Resend) -> int:
        count = self._outbox.resend(endpoint_id, what)
        self._sender.nudge()
        return count

    def backlog(self) -> int:
        """How many queues wait for delivery: one for each run that an enabled endpoint has still to be told something of."""
        enabled = {endpoint.id for endpoint in self._outbox.endpoints() if endpoint.enabled}
        return sum(count for endpoint_id, count in self._outbox.backlog().items() if endpoint_id in enabled)

    # its parts

    def _part(self) -> tuple[Outbox, Registry, Poster, Sender]:
        if self._parts is None:
            hint = "Hand them to an engine: Engine(webhooks=...)."
            raise ProvisioningError("These webhooks serve no engine.", code="bad_webhooks", hint=hint)
        return self._parts

    @property
    def _outbox(self) -> Outbox:
        return self._part()[0]

    @property
    def _registry(self) -> Registry:
        return self._part()[1]

    @property
    def _poster(self) -> Poster:
        return self._part()[2]

    @property
    def _sender(self) -> Sender:
        return self._part()[3]
