"""An engine at work: the loop, its lease, its workers and its observers, put together."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from provisioning_core.engine._capacity import Capacity
from provisioning_core.engine._committer import Committer
from provisioning_core.engine._handle import Waiters
from provisioning_core.engine._identity import is_known_dead, new_identity
from provisioning_core.engine._inbox import Inbox, Nudged, RunGiven, VerbPosted
from provisioning_core.engine._lease import Lease
from provisioning_core.engine._loop import Loop
from provisioning_core.engine._notifier import Notifier
from provisioning_core.engine._settings import Settings
from provisioning_core.engine._workshop import Workshop
from provisioning_core.model import Plan, RequestRecord, RunSnapshot, Vault
from provisioning_core.ports import Clock

_log = logging.getLogger("provisioning_core.engine")

EXIT_LEASE_LOST = 70
"""The process's exit code when ``on_lease_lost="exit"``."""


class RunningEngine:
    """Begins to work when it is made."""

    def __init__(self, settings: Settings, plans: Mapping[str, Plan], vault: Vault | None, clock: Clock, waiters: Waiters) -> None:
        self._store = settings.store
        self._me = new_identity()
        self._exits = settings.on_lease_lost == "exit"
        self._inbox = Inbox()
        self._lease = Lease(settings.store, self._me, settings.lease, self._lost)
        self._notifier = Notifier(settings.store, settings.observers)
        self._workshop = Workshop(
            store=settings.store,
            clock=clock,
            vault=vault,
            executor=settings.executor,
            max_workers=settings.max_workers,
            tell=lambda message: self._loop.tell(message),
        )
        committer = Committer(settings.store, clock, settings.on_status, self._notifier.notify, waiters.wake)
        self._loop = Loop(
            store=settings.store,
            clock=clock,
            plans=plans,
            vault=vault,
            identity=self._me,
            inbox=self._inbox,
            workshop=self._workshop,
            capacity=Capacity(settings.max_workers, settings.limits),
            committer=committer,
            notifier=self._notifier,
            is_trusted=lambda: self._lease.is_trusted,
            dead_engines=self._dead_engines,
            poll=settings.poll,
        )
        _warn_of_unknown_limits(plans, settings.limits)
        self._lease.begin()
        self._loop.begin()

    @property
    def id(self) -> str:
        """The engine's id, owner of its runs."""
        return self._me.id

    @property
    def is_anything_alive(self) -> bool:
        """Whether attempts have not ended."""
        return self._workshop.in_flight > 0

    @property
    def runs_in_memory(self) -> int:
        """Runs that move, or were moving a moment ago."""
        return self._loop.runs_in_memory

    def give(self, snapshot: RunSnapshot) -> None:
        """A run was created for this engine."""
        self._inbox.put(RunGiven(snapshot=snapshot))

    def nudge(self) -> None:
        """Look at the store now."""
        self._inbox.put(Nudged())

    def carries_out(self, request: RequestRecord) -> bool:
        """Carry a verb out, durably; False when the run is another engine's. Raises what refuses it."""
        if self._loop.is_current_thread:
            return False
        posted = VerbPosted(request=request)
        self._inbox.put(posted)
        return posted.done.result()

    def close(self, timeout: float) -> None:
        """Wind up; what can't be ended in time keeps its lease until it has ended."""
        everything_ended = self._loop.close(timeout)
        self._workshop.close()
        self._notifier.close()
        if everything_ended:
            self._lease.end(retire=True)
        else:
            _log.warning("%d attempts did not end in time; their runs stay ours until they have ended", self._workshop.in_flight)
            self._lease.end_when(lambda: not self.is_anything_alive)

    def _lost(self) -> None:
        if self._exits:
            _log.critical("the lease is lost; this process ends, so that nothing of it overlaps with the new owner")
            os._exit(EXIT_LEASE_LOST)

    def _dead_engines(self) -> frozenset[str]:
        """Engines whose process is known to be gone: their runs need not wait for the lease to run out."""
        return frozenset(other.id for other in self._store.engines() if other.id != self.id and is_known_dead(other, self._me))


def _warn_of_unknown_limits(plans: Mapping[str, Plan], limits: Mapping[str, int]) -> None:
    for plan in plans.values():
        for name in sorted(plan.limits - set(limits)):
            _log.warning(
                "plan %r has steps under the limit %r, for which the engine has no number: it does not limit", plan.name, name
            )
