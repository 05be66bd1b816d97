"""The runs that this engine owns: how they come (given, claimed, taken over), how they go, and what people ask for them.

Whatever breaks one run sets that run aside, loudly; the others go on.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from provisioning_core.engine import _wording
from provisioning_core.engine._adopting import adopt
from provisioning_core.engine._attempts import Key
from provisioning_core.engine._capacity import Capacity
from provisioning_core.engine._committer import Committer
from provisioning_core.engine._inbox import VerbPosted
from provisioning_core.engine._live import LiveRun
from provisioning_core.engine._logging import about, about_unreadable
from provisioning_core.engine._lookout import Lookout
from provisioning_core.engine._promises import Promises
from provisioning_core.engine._quarantine import ENDED, Quarantine, farewell, is_waited_for
from provisioning_core.engine._reports import take_up
from provisioning_core.engine._roster import Roster
from provisioning_core.engine._verbs import carry_out
from provisioning_core.engine._workshop import Workshop
from provisioning_core.errors import Conflict, LeaseLost, PlanChanged, ProvisioningError, StoreUnavailable
from provisioning_core.machine import AttemptLost, PauseRequested, Violation, check_snapshot
from provisioning_core.model import Plan, RequestRecord, RunSnapshot, RunStatus, UnreadableRun, Vault
from provisioning_core.ports import Clock, Store

_log = logging.getLogger("provisioning_core.engine")

_KILLS = "Its engine died {} times in a row while it worked on this run."
_UNREADABLE = "Deploy the version that wrote it, or restore its rows from a backup."
_MOST_TAKEOVERS, _MOST_IDLE_TAKEOVERS = 5, 25
"""A run whose engine died so many times in a row is set aside; the second if none of its attempts was under way then."""


class Custody:
    """Kept by the loop's thread alone."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        plans: Mapping[str, Plan],
        vault: Vault | None,
        engine_id: str,
        roster: Roster,
        promises: Promises,
        committer: Committer,
        lookout: Lookout,
        quarantine: Quarantine,
        workshop: Workshop,
        capacity: Capacity,
    ) -> None:
        self._store = store
        self._clock = clock
        self._plans = plans
        self._vault = vault
        self._me = engine_id
        self._roster = roster
        self._promises = promises
        self._committer = committer
        self._lookout = lookout
        self._quarantine = quarantine
        self._workshop = workshop
        self._capacity = capacity
        self._farewells: list[Key] = []

    # runs come

    def look_at_store(self, free_workers: int) -> None:
        """Take up runs that nobody owns, verbs that were recorded for ours, and what is known of other engines' attempts."""
        try:
            self._say_farewells()
            found = self._lookout.look(free_workers, self._roster.ids)
        except StoreUnavailable as error:
            _log.warning("the store is away: %s", error.message)
            self._lookout.put_off()
            return
        for run_id in found.lost:
            if live := self._roster.get(run_id):
                self.drop(live, LeaseLost())
        for request in found.requests:
            if live := self._roster.get(request.run_id):
                self.guarded(live, self._carry_out_recorded, live, request)
        for claimed in found.claimed:
            if isinstance(claimed, UnreadableRun):
                self._shelve(claimed)
            else:
                self._open_anew(claimed)
        for key in found.ended:
            if live := self._roster.get(key.run_id):
                self.guarded(live, self._lose, live, key.step, key.token)

    def _open_anew(self, snapshot: RunSnapshot) -> None:
        """Open a run that was just claimed; what this engine still held of it, under an older epoch, is out of date.

        Not if it was taken from itself, because its lease had run out by the store's clock (which was set, perhaps): then nobody
        wrote in between, and only the epoch is another one.
        """
        live = self._roster.get(snapshot.run.id)
        if live is not None and live.record.version == snapshot.run.version:
            live.record = replace(live.record, epoch=snapshot.run.epoch)
            return
        if live is not None:
            self.drop(live, LeaseLost())
        self.open(snapshot)

    def open(self, snapshot: RunSnapshot, asked: RequestRecord | None = None) -> LiveRun | None:
        """Take a run that this engine owns into memory, and up; ``asked`` is the verb for which it was claimed."""
        if self._roster.get(snapshot.run.id) is not None:
            return self._roster.get(snapshot.run.id)
        try:
            zombies = self._lookout.zombies(snapshot)
            live = LiveRun(self._plans[snapshot.run.plan], snapshot, zombies)
        except StoreUnavailable as error:
            _log.warning("run %s is taken up later: %s", snapshot.run.id, error.message, extra=about(snapshot.run))
            self._lookout.hasten(is_unsure=True)
            return None
        except Exception as error:  # noqa: BLE001  whatever is wrong with one run must not stop the others
            _log.exception("run %s can't be read; it is set aside", snapshot.run.id, extra=about(snapshot.run))
            why = _wording.attention("unreadable_run", str(error), self._clock.now())
            self._committer.set_aside(snapshot.run, why, refused=snapshot.requests)
            return None
        self._roster.add(live)
        self._begin(live, snapshot, asked)
        return self._roster.get(live.id)

    def _begin(self, live: LiveRun, snapshot: RunSnapshot, asked: RequestRecord | None) -> None:
        if snapshot.run.attention is not None:
            return
        if snapshot.run.takeovers >= (_MOST_TAKEOVERS if live.had_attempts else _MOST_IDLE_TAKEOVERS):
            live.set_attention(_wording.attention("kills_its_engine", _KILLS.format(snapshot.run.takeovers), self._clock.now()))
            self._roster.touch(live)
        elif violations := check_snapshot(snapshot):
            self._stop_for_violations(live, snapshot, violations, asked)
        else:
            self.guarded(live, self._take_up, live, snapshot, asked)

    def _take_up(self, live: LiveRun, snapshot: RunSnapshot, asked: RequestRecord | None) -> None:
        at = self._clock.now()
        verbs = [request.verb for request in (*snapshot.requests, *([asked] if asked else []))]
        if live.status.moves or live.status is RunStatus.WAITING:
            try:
                adopt(live, self._vault, at, accept="adopt_plan" in verbs)
            except PlanChanged as changed:
                if asked is None:
                    self._stop_for_changed_plan(live, changed, at)
                return
        take_up(live, at, random.random())  # noqa: S311  jitter
        for request in snapshot.requests:
            self._carry_out_recorded(live, request)
        self._roster.touch(live)

    def _stop_for_changed_plan(self, live: LiveRun, changed: PlanChanged, at: float) -> None:
        take_up(live, at, 0.5)
        if live.status in (RunStatus.RUNNING, RunStatus.WAITING):
            live.handle(PauseRequested(at=at))
        live.set_attention(_wording.attention(changed.code, changed.message, at, changed.hint))
        self._roster.touch(live)

    def _stop_for_violations(
        self, live: LiveRun, snapshot: RunSnapshot, violations: Sequence[Violation], asked: RequestRecord | None
    ) -> None:
        """What is recorded can't be: nothing is done about it, and what was asked is refused, until a person has looked at it."""
        why = _wording.impossible_record(violations, self._clock.now())
        _log.error("run %s is set aside: %s", live.id, why.detail, extra=about(live.record))
        live.set_attention(why)
        live.add_event("run.set_aside", why.at, data={"code": why.code, "detail": why.detail})
        refusal = Conflict(f"The run was set aside: {why.detail}", code=why.code, hint=why.hint, run_id=live.id, status=live.status)
        for request in snapshot.requests:
            if request.verb != ENDED:
                self._refuse(live, request, refusal)
                live.request_done(request.id)
        self._roster.touch(live)
        if asked is not None:
            raise refusal

    def _shelve(self, run: UnreadableRun) -> None:
        _log.error("run %s can't be read; it is set aside: %s", run.id, run.problem, extra=about_unreadable(run))
        try:
            self._store.shelve(run.id, run.epoch, _wording.attention("unreadable_run", run.problem, self._clock.now(), _UNREADABLE))
        except StoreUnavailable as error:
            _log.warning("run %s could not be set aside: %s", run.id, error.message, extra=about_unreadable(run))
            self._lookout.hasten(is_unsure=True)

    # and go

    def drop(self, live: LiveRun, error: ProvisioningError) -> None:
        """Another engine has it now, or it can't go on here: forget it, and ask what is alive of it to end.

        By the store it may still be ours, under a later epoch or because it could not be given back: then it is found as a stray.
        """
        self._workshop.break_off_run(live.id)
        self._capacity.drop_planned(live.id)
        self._quarantine.forget_run(live.id)
        self._roster.forget(live.id)
        self._promises.break_all_of(live.id, error)
        self._farewells.extend(Key(live.id, step, token) for step, token in (*live.ended, *live.unlaunched))
        self._lookout.hasten(is_unsure=True)

    def guarded(self, live: LiveRun, action: Callable[..., None], *arguments: Any) -> None:
        """What breaks one run sets that run aside; the others go on."""
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001  an invariant broke, a step's text can't be read, …
            _log.exception("run %s is set aside", live.id, extra=about(live.record))
            self.drop(live, LeaseLost())
            detail = f"{type(error).__name__}: {error}"
            self._committer.set_aside(live.record, _wording.attention("set_aside", detail, self._clock.now()))
            return
        self._roster.touch(live)

    # verbs

    def take_verb(self, posted: VerbPosted) -> None:
        """Carry a verb out; its caller is answered at once when it is refused, else when it is committed."""
        live = self._roster.get(posted.request.run_id)
        was_here = live is not None
        try:
            live = live or self._claim_for(posted)
            if live is None:
                posted.done.set_result(False)
                return
            carry_out(live, posted.request, self._clock.now(), self._vault)
        except ProvisioningError as error:
            posted.done.set_exception(error)
            if live is not None and not was_here:
                live.hurry()
                self._roster.touch(live)
        except Exception as error:  # noqa: BLE001  an invariant broke: the run is set aside, the caller learns of it
            posted.done.set_exception(error)
            if live is not None:
                self.guarded(live, _raise, error)
        else:
            self._roster.touch(live)
            self._promises.add(posted)

    def _claim_for(self, posted: VerbPosted) -> LiveRun | None:
        claimed = self._lookout.claim_run(posted.request.run_id)
        if isinstance(claimed, UnreadableRun):
            self._shelve(claimed)
            raise ProvisioningError("the run's records can't be read.", code="unreadable_run", hint=_UNREADABLE)
        return None if claimed is None else self.open(claimed, posted.request)

    def _carry_out_recorded(self, live: LiveRun, request: RequestRecord) -> None:
        at = self._clock.now()
        try:
            if request.verb == ENDED:
                self._lose(live, request.arguments["step"], request.arguments["token"])
            else:
                carry_out(live, request, at, self._vault)
        except ProvisioningError as error:
            self._refuse(live, request, error)
        live.request_done(request.id)
        self._roster.touch(live)

    def _refuse(self, live: LiveRun, request: RequestRecord, error: ProvisioningError) -> None:
        data = {"verb": request.verb, "code": error.code, "message": error.message}
        live.add_event("request.refused", self._clock.now(), data=data, actor=request.actor)

    # attempts that outlive an engine's ownership

    def _lose(self, live: LiveRun, step: str, token: int) -> None:
        """An attempt that another engine began is known to have ended."""
        self._quarantine.forget(Key(live.id, step, token))
        if step not in live.graph.index:
            return
        if live.is_taken_up:
            live.handle(AttemptLost(at=self._clock.now(), step=step, token=token, chance=random.random()))  # noqa: S311  jitter
        elif live.machine.cell(step).token == token:
            live.disown(step)

    def say_farewell(self, key: Key) -> None:
        """An attempt that this engine began has ended, and its run is not ours any more: its new owner may wait for that."""
        self._farewells.append(key)

    def _say_farewells(self) -> None:
        """Not of what runs here: the token of an attempt that was never recorded may have been given out again."""
        while self._farewells:
            key = self._farewells[-1]
            if not self._workshop.is_under_way(key) and is_waited_for(self._store, self._me, key):
                self._store.request(farewell(key, self._clock.now()))
            self._farewells.pop()


def _raise(error: Exception) -> None:
    raise error
