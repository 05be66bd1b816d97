"""An engine at work: the loop, its lease, its workers and its observers, put together."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping

from provisioning_core.engine._audience import Audience
from provisioning_core.engine._capacity import Capacity
from provisioning_core.engine._committer import Committer
from provisioning_core.engine._handle import Waiters
from provisioning_core.engine._identity import is_known_dead, new_identity
from provisioning_core.engine._inbox import Inbox, Nudged, RunGiven, VerbPosted
from provisioning_core.engine._lease import Lease
from provisioning_core.engine._lookout import Lookout
from provisioning_core.engine._loop import Loop
from provisioning_core.engine._neighbours import Neighbours
from provisioning_core.engine._notifier import Notifier
from provisioning_core.engine._quarantine import Quarantine
from provisioning_core.engine._settings import Settings
from provisioning_core.engine._workshop import Workshop
from provisioning_core.model import EngineRecord, EngineStats, Plan, RequestRecord, RunRecord, RunSnapshot, Vault
from provisioning_core.ports import Clock

_log = logging.getLogger("provisioning_core.engine")

EXIT_LEASE_LOST = 70
"""The process's exit code when ``on_lease_lost="exit"``."""


def new_loop(
    settings: Settings,
    vault: Vault | None,
    *,
    me: EngineRecord,
    inbox: Inbox,
    workshop: Workshop,
    notifier: Notifier,
    wake: Callable[[RunRecord], None],
    is_trusted: Callable[[], bool],
    is_dead: Callable[[EngineRecord, EngineRecord], bool] = is_known_dead,
    asked: Collection[str] | None = None,
) -> Loop:
    """The loop and all that it holds; it has not begun."""
    store, clock, plans = settings.store, settings.clock_or_system(), settings.by_name()
    quarantine = Quarantine(me.id, workshop.is_under_way)
    neighbours = Neighbours(store, clock, me, quarantine=settings.quarantine_or_lease, poll=settings.poll, is_dead=is_dead)
    return Loop(
        store=store,
        clock=clock,
        plans=plans,
        vault=vault,
        identity=me,
        inbox=inbox,
        workshop=workshop,
        capacity=Capacity(settings.max_workers, settings.limits),
        committer=Committer(store, clock, settings.on_status, notifier.notify, wake),
        notifier=notifier,
        lookout=Lookout(store, clock, me.id, plans, neighbours, quarantine, settings.poll, asked),
        quarantine=quarantine,
        is_trusted=is_trusted,
    )


class RunningEngine:
    """Begins to work when it is made."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault | None,
        clock: Clock,
        waiters: Waiters,
        audience: Audience,
        asked: Collection[str] | None = None,
    ) -> None:
        self._settings = settings
        self._audience = audience
        self._me = new_identity()
        self._exits = settings.on_lease_lost == "exit"
        self._inbox = Inbox()
        self._lease = Lease(
            settings.store, clock, self._me, ttl=settings.lease, renew_every=settings.renew_every, on_doubt=self._doubt_lease
        )
        self._notifier = Notifier(settings.store, audience)
        self._workshop = Workshop(
            store=settings.store,
            clock=clock,
            vault=vault,
            executor=settings.executor,
            max_workers=settings.max_workers,
            tell=lambda message: self._loop.tell(message),
            audience=audience,
            finish=lambda ended: self._loop.finish(ended),
        )
        self._loop = new_loop(
            settings,
            vault,
            me=self._me,
            inbox=self._inbox,
            workshop=self._workshop,
            notifier=self._notifier,
            wake=waiters.wake,
            is_trusted=lambda: self._lease.is_trusted,
            asked=asked,
        )
        _warn_of_unknown_limits(settings.by_name(), settings.limits)
        try:
            self._lease.begin()
        except BaseException:
            self._notifier.close()
            raise
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

    def stats(self) -> EngineStats:
        """How it stands now. Takes no lock."""
        return EngineStats(
            is_working=True,
            workers=self._settings.max_workers,
            runs=self._loop.runs_in_memory,
            attempts=self._workshop.in_flight,
            ready=self._loop.ready,
            quarantined=self._loop.quarantined,
            untold=self._notifier.backlog,
            is_held=self._loop.is_held,
            lease=self._settings.lease,
            lease_age=self._lease.age,
            is_trusted=self._lease.is_trusted,
            commits=self._loop.commits,
        )

    def give(self, snapshot: RunSnapshot) -> None:
        """A run was created for this engine."""
        self._inbox.put(RunGiven(snapshot=snapshot))

    def nudge(self) -> None:
        """Look at the store now."""
        self._inbox.put(Nudged())

    def be_unsure(self) -> None:
        """Runs may have become ours, or another's, without our being told: ask the store what is ours."""
        self._inbox.put(Nudged(is_unsure=True))

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
        self._audience.engine_closed()
        if everything_ended:
            self._lease.end(retire=True)
        else:
            _log.warning("%d attempts did not end in time; their runs stay ours until they have ended", self._workshop.in_flight)
            self._lease.end_when(lambda: not self.is_anything_alive)

    def _doubt_lease(self) -> None:
        if self._exits:
            _log.critical("the lease may be lost; this process ends, so that nothing of it overlaps with a new owner")
            os._exit(EXIT_LEASE_LOST)
        self.be_unsure()


def _warn_of_unknown_limits(plans: Mapping[str, Plan], limits: Mapping[str, int]) -> None:
    for plan in plans.values():
        for name in sorted(plan.limits - set(limits)):
            _log.warning(
                "plan %r has steps under the limit %r, for which the engine has no number: it does not limit", plan.name, name
            )
