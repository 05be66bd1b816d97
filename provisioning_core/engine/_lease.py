"""The engine's row in the store, the thread that renews it, and the one that watches whether that still holds.

Theory of operation. One row per engine, never one per step or run; its times are the database's. The engine trusts itself only until
``renewal started + ttl - margin`` by its own monotonic clock (the rule of River's leader election): past that another engine may own
its runs, so it launches nothing and asks what runs to end, or the whole process ends (``on_lease_lost="exit"``). A renewal that fails
is tried again soon, and soon again. When a renewal says that the row had expired, the runs may be gone already; the engine registers
anew, and offers what it has: the epoch of each run decides whether that is taken.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import EngineRecord
from provisioning_core.ports import Clock, Store

_log = logging.getLogger("provisioning_core.lease")

_MARGIN = 0.1
"""The share of the lease that is not trusted: it covers the time a renewal takes, and clocks that run at different speeds."""


class Lease:
    """Keeps one engine's row alive."""

    def __init__(
        self, store: Store, clock: Clock, record: EngineRecord, *, ttl: float, renew_every: float, on_doubt: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._record = record
        self._ttl = ttl
        self._renew_every = renew_every
        self._on_doubt = on_doubt
        self._ended = threading.Event()
        self._trusted_until = 0.0
        self._renewed_at = 0.0
        self._is_doubted = False
        self._threads = [
            threading.Thread(target=target, name=f"provisioning-{name}", daemon=True)
            for name, target in (("lease", self._keep), ("lease-watch", self._watch))
        ]

    @property
    def is_trusted(self) -> bool:
        """Whether this engine may still launch attempts."""
        return self._clock.monotonic() < self._trusted_until

    @property
    def age(self) -> float:
        """Seconds since the latest renewal began that is known to have worked."""
        return self._clock.monotonic() - self._renewed_at

    def begin(self) -> None:
        """Write the row and keep it alive from now on."""
        begun = self._clock.monotonic()
        self._store.register(self._record, self._ttl)
        self._trust(begun)
        for thread in self._threads:
            thread.start()

    def end(self, *, retire: bool) -> None:
        """Renew no more. ``retire`` removes the row: this engine has nothing alive any more.

        While the store is away that is tried again, in the background: as long as the process lives the row says that it may.
        """
        self._ended.set()
        if retire and not self._retire():
            self.end_when(lambda: True)

    def _retire(self) -> bool:
        try:
            self._store.retire(self._record.id)
        except StoreUnavailable as error:
            _log.warning("the engine's row could not be removed; that is tried again: %s", error.message)
            return False
        return True

    def end_when(self, nothing_is_alive: Callable[[], bool]) -> None:
        """Keep the row until nothing of this engine is alive, in the background; then retire."""
        threading.Thread(target=self._linger, args=(nothing_is_alive,), name="provisioning-linger", daemon=True).start()

    def _linger(self, nothing_is_alive: Callable[[], bool]) -> None:
        pause = threading.Event()
        while not nothing_is_alive():
            pause.wait(self._ttl / 6)
        self._ended.set()
        while not self._retire():
            pause.wait(self._ttl / 6)

    def _trust(self, begun: float) -> None:
        self._renewed_at = begun
        self._trusted_until = begun + self._ttl * (1 - _MARGIN)
        self._is_doubted = False

    def _keep(self) -> None:
        wait = self._renew_every
        while not self._ended.wait(wait):
            wait = self._renew_every if self._renew() else min(self._renew_every, self._ttl / 20)

    def _watch(self) -> None:
        """In a thread of its own: a renewal may hang for longer than the lease lasts."""
        while not self._ended.wait(self._watch_again_in):
            if not self.is_trusted:
                self._doubt()

    @property
    def _watch_again_in(self) -> float:
        left = self._trusted_until - self._clock.monotonic()
        return left if left > 0 else self._ttl / 20

    def _doubt(self) -> None:
        if not self._is_doubted:
            self._is_doubted = True
            self._on_doubt()

    def _renew(self) -> bool:
        begun = self._clock.monotonic()
        try:
            alive = self._store.heartbeat(self._record.id, self._ttl)
            if not alive and not self._ended.is_set():
                _log.warning("engine %s: its lease had run out; others may have taken its runs", self._record.id)
                self._trusted_until = 0.0
                self._doubt()
                self._store.register(self._record, self._ttl)
        except StoreUnavailable as error:
            _log.warning("engine %s: its lease could not be renewed: %s", self._record.id, error.message)
            return False
        except Exception:  # noqa: BLE001  whatever it is, a thread that ended would never renew again
            _log.exception("engine %s: its lease could not be renewed", self._record.id)
            return False
        self._trust(begun)
        return True
