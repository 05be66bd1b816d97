"""The engine's row in the store, and the thread that renews it.

Theory of operation. One row per engine, never one per step or run. It is renewed every third of its time. The engine trusts itself
only until ``renewal started + ttl - margin`` by its own monotonic clock: past that another engine may own its runs, so it launches
nothing. When a renewal says that the row had expired, the runs may be gone already; those that are show it at their next commit,
which their new epoch refuses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import EngineRecord
from provisioning_core.ports import Store

_log = logging.getLogger("provisioning_core.lease")


class Lease:
    """Keeps one engine's row alive."""

    def __init__(self, store: Store, record: EngineRecord, ttl: float, on_lost: Callable[[], None]) -> None:
        self._store = store
        self._record = record
        self._ttl = ttl
        self._on_lost = on_lost
        self._ended = threading.Event()
        self._trusted_until = 0.0
        self._thread = threading.Thread(target=self._keep, name="provisioning-lease", daemon=True)

    @property
    def is_trusted(self) -> bool:
        """Whether this engine may still launch attempts."""
        return time.monotonic() < self._trusted_until

    def begin(self) -> None:
        """Write the row and keep it alive from now on."""
        begun = time.monotonic()
        self._store.register(self._record, self._ttl)
        self._trust(begun)
        self._thread.start()

    def end(self, *, retire: bool) -> None:
        """Renew no more. ``retire`` removes the row: this engine has nothing alive any more."""
        self._ended.set()
        if retire:
            self._store.retire(self._record.id)

    def end_when(self, nothing_is_alive: Callable[[], bool]) -> None:
        """Keep the row until nothing of this engine is alive, in the background; then retire."""
        threading.Thread(target=self._linger, args=(nothing_is_alive,), name="provisioning-linger", daemon=True).start()

    def _linger(self, nothing_is_alive: Callable[[], bool]) -> None:
        while not nothing_is_alive():
            self._ended.wait(self._ttl / 6)
        try:
            self.end(retire=True)
        except StoreUnavailable as error:
            _log.warning("the engine's row could not be removed; it expires by itself: %s", error.message)

    def _trust(self, begun: float) -> None:
        self._trusted_until = begun + self._ttl * 0.9

    def _keep(self) -> None:
        while not self._ended.wait(self._ttl / 3):
            self._renew()

    def _renew(self) -> None:
        begun = time.monotonic()
        try:
            alive = self._store.heartbeat(self._record.id, self._ttl)
            if not alive and not self._ended.is_set():
                _log.warning("engine %s: its lease had run out; others may have taken its runs", self._record.id)
                self._on_lost()
                self._store.register(self._record, self._ttl)
        except StoreUnavailable as error:
            _log.warning("engine %s: its lease could not be renewed: %s", self._record.id, error.message)
            return
        self._trust(begun)
