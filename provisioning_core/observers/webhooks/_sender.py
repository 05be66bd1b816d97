"""The thread that sends: it claims queues that are due, has each worked on by a thread of its own, and records what came of them.

Theory of operation. All that has to be remembered is in the outbox; here is only what is under way. A claim lasts longer than
anything that is done under it, so another sender takes a queue up only when this one is gone. What came of several queues is
recorded in one transaction. While the store is away nothing is claimed, and what came of sent messages is kept until it is back.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from provisioning_core.errors import NotFound, ProvisioningError, StoreUnavailable
from provisioning_core.model import Event
from provisioning_core.outbox import Claimed, Endpoint, Outbox, Settled

_log = logging.getLogger("provisioning_core.webhooks")

_BREATH = 0.02
"""Seconds between two looks at the outbox, at least."""
_TRIM_EVERY = 3600.0
DISABLE_AFTER = 3
"""Events given up in a row."""


class Delivers(Protocol):
    """What works on a queue."""

    def deliver(self, claimed: Claimed, is_over: Callable[[], bool]) -> Settled: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """``per_endpoint`` and ``at_once``: queues worked on at a time. ``lease``, ``poll``, ``keep_log``: seconds."""

    per_endpoint: int = 4
    at_once: int = 16
    lease: float = 60.0
    poll: float = 1.0
    keep_log: float = 30 * 86_400.0


def _on_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="provisioning-webhook", daemon=True).start()


class Sender:
    """Sends until it is closed; it can begin again."""

    def __init__(
        self, outbox: Outbox, courier: Delivers, pace: Pace, spawn: Callable[[Callable[[], None]], None] = _on_a_thread
    ) -> None:
        self._outbox = outbox
        self._courier = courier
        self._pace = pace
        self._spawn = spawn
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._in_hand: Counter[str] = Counter()
        self._done: list[Settled] = []
        self._endpoints: tuple[Endpoint, ...] = ()
        self._trimmed_at: float | None = None

    # from outside

    def begin(self) -> None:
        """Start the thread. Harmless when repeated."""
        with self._lock:
            if self._thread is None:
                self._closing = threading.Event()
                self._thread = threading.Thread(target=self._serve, args=(self._closing,), name="provisioning-webhooks", daemon=True)
                self._thread.start()

    def close(self, timeout: float) -> None:
        """Send nothing more; what is under way gets ``timeout`` seconds. Harmless when repeated."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._closing.set()
        self._wake.set()
        deadline = time.monotonic() + timeout
        thread.join(timeout)
        while self.in_flight and time.monotonic() < deadline:
            self._wake.wait(deadline - time.monotonic())
            self._wake.clear()
        try:
            self._settle()
        except ProvisioningError as error:
            _log.warning("what came of the last webhooks was not recorded; they are sent again: %s", error.message)

    def nudge(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    def notify(self, events: Sequence[Event]) -> None:
        """These were committed: look at the outbox, if anybody may want one of them."""
        if any(endpoint.names(event.type) for endpoint in self._endpoints for event in events):
            self._wake.set()

    @property
    def in_flight(self) -> int:
        """Queues that are being worked on."""
        with self._lock:
            return self._in_hand.total()

    # the thread

    def _serve(self, closing: threading.Event) -> None:
        while not closing.is_set():
            try:
                self.turn()
            except StoreUnavailable as error:
                _log.warning("webhooks wait for the store: %s", error.message)
            except Exception:  # noqa: BLE001  one bad turn must not end the sender
                _log.exception("a turn of the webhooks' sender broke; it goes on")
            closing.wait(_BREATH)
            self._wake.wait(self._pace.poll)
            self._wake.clear()

    def turn(self) -> int:
        """Record what came of queues, take up those that are due; how many these were."""
        self._settle()
        self._endpoints = tuple(endpoint for endpoint in self._outbox.endpoints() if endpoint.enabled)
        self._trim()
        return self._claim() if self._endpoints else 0

    def _claim(self) -> int:
        """Take up what is due. Half of the places is for endpoints that have none: some that hang must not stop the others."""
        kept = self._pace.at_once // 2
        count = self._take(self._free - kept, self._pace.per_endpoint)
        return count + self._take(min(self._free, kept), 1)

    @property
    def _free(self) -> int:
        return self._pace.at_once - self.in_flight

    def _take(self, room: int, per_endpoint: int) -> int:
        if room <= 0:
            return 0
        with self._lock:
            in_hand = dict(self._in_hand)
        word = uuid.uuid4().hex
        found = self._outbox.claim(word, ttl=self._pace.lease, room=room, per_endpoint=per_endpoint, in_hand=in_hand)
        for claimed in found:
            self._begin_work(claimed)
        return len(found)

    def _begin_work(self, claimed: Claimed) -> None:
        with self._lock:
            self._in_hand[claimed.endpoint.id] += 1
        self._spawn(partial(self._work, claimed, self._closing))

    def _work(self, claimed: Claimed, closing: threading.Event) -> None:
        try:
            done = self._courier.deliver(claimed, closing.is_set)
        except Exception as error:  # noqa: BLE001  the queue is due again when its claim has run out
            _log.warning("webhook %s was not worked on: %s", claimed.endpoint.id, error, exc_info=not _is_ours(error))
            done = Settled(claimed=claimed, after=claimed.after, tries=claimed.tries, wait=self._pace.poll)
        with self._lock:
            self._done.append(done)
            self._in_hand[claimed.endpoint.id] -= 1
        self._wake.set()

    def _settle(self) -> None:
        with self._lock:
            done, self._done = self._done, []
        if not done:
            return
        try:
            self._outbox.settle(done)
        except BaseException:
            with self._lock:
                self._done = [*done, *self._done]
            raise
        for each in done:
            self._see_to(each)

    def _see_to(self, each: Settled) -> None:
        """Tell operators of an endpoint that is disabled; disable one that takes nothing any more."""
        endpoint_id = each.claimed.endpoint.id
        if each.disable:
            _log.warning("webhook %s is disabled: %s", endpoint_id, each.disable)
        if not each.given_up:
            return
        _log.warning("webhook %s: gave up telling it of %d events of run %s", endpoint_id, each.given_up, each.claimed.run_id)
        try:
            endpoint = self._outbox.endpoint(endpoint_id)
        except NotFound:
            return
        if endpoint.enabled and endpoint.give_ups >= DISABLE_AFTER:
            why = f"{endpoint.give_ups} events in a row were given up."
            self._outbox.change(endpoint_id, {"enabled": False, "disabled_why": why})
            _log.warning("webhook %s is disabled: %s", endpoint_id, why)

    def _trim(self) -> None:
        """Now and then: forget old deliveries, and secrets that have been replaced."""
        now = time.monotonic()
        if self._trimmed_at is None or now - self._trimmed_at > _TRIM_EVERY:
            self._trimmed_at = now
            at = self._outbox.now()
            self._outbox.trim(before=at - self._pace.keep_log)
            for endpoint in self._endpoints:
                if endpoint.old_secret is not None and endpoint.old_secret_until <= at:
                    self._outbox.change(endpoint.id, {"old_secret": None, "old_secret_until": 0.0})


def _is_ours(error: Exception) -> bool:
    return isinstance(error, ProvisioningError)
