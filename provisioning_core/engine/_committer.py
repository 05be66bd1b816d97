"""Writes what changed: all runs in one transaction, each run alone when that fails, and later again while the store is away."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from provisioning_core.engine._live import LiveRun
from provisioning_core.engine._logging import about
from provisioning_core.engine._meter import CommitMeter
from provisioning_core.engine._quarantine import ENDED
from provisioning_core.errors import Conflict, LeaseLost, ProvisioningError, StoreUnavailable
from provisioning_core.model import ErrorInfo, EventRecord, RequestRecord, RunRecord, RunStatus, StatusChange
from provisioning_core.ports import Clock, RunChange, StatusHook, Store

_log = logging.getLogger("provisioning_core.engine")

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0


class HookFailed(Exception):
    """``on_status`` raised; the commit it was part of did not happen."""

    def __init__(self, run_id: str, error: Exception) -> None:
        super().__init__(f"on_status raised {type(error).__name__}: {error}")
        self.run_id = run_id
        self.error = error


@dataclass(slots=True)
class Committed:
    """How a commit went, run by run."""

    written: list[tuple[LiveRun, RunChange]] = field(default_factory=list)
    refused: list[tuple[LiveRun, ProvisioningError]] = field(default_factory=list)
    """Not ours any more, or against the rules of the data: to be dropped."""
    failed: list[tuple[LiveRun, Exception]] = field(default_factory=list)
    """Not written yet: to be tried again."""


class Committer:
    """The loop's way to the store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        hook: StatusHook | None,
        notify: Callable[[RunRecord, Sequence[EventRecord]], None],
        wake: Callable[[RunRecord], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._hook = None if hook is None else guarded_hook(hook)
        self._notify = notify
        self._wake = wake
        self._held_until = 0.0
        self._wait = _FIRST_WAIT
        self.meter = CommitMeter()
        """How long commits take, and how much they write."""

    @property
    def is_held(self) -> bool:
        """Whether the store was away a moment ago: nothing is launched, and nothing written, until it is tried again."""
        return self._clock.monotonic() < self._held_until

    @property
    def held_for(self) -> float:
        """Seconds until it is tried again; a large number when it is not held."""
        left = self._held_until - self._clock.monotonic()
        return left if left > 0 else 3600.0

    def commit(self, lives: Sequence[LiveRun], *, release: bool = False) -> Committed:
        """Write all that changed of these runs. Never raises for what a store or a hook does."""
        now = self._clock.now()
        pairs = [(live, live.change(now, release=release or not live.stays_until(now))) for live in lives]
        result = Committed()
        try:
            self._write(pairs, result)
        except StoreUnavailable as error:
            self._hold(error)
            for live in lives:
                live.not_committed()
            result.failed.extend((live, error) for live in lives)
        except (Conflict, HookFailed):
            for pair in pairs:
                self._write_alone(pair, result)
        return result

    def _write(self, pairs: Sequence[tuple[LiveRun, RunChange]], result: Committed) -> None:
        refused = self._measured([change for _, change in pairs])
        self._wait = _FIRST_WAIT
        for live, change in pairs:
            if live.id in refused:
                result.refused.append((live, LeaseLost()))
            else:
                result.written.append((live, change))
                self._notify(change.run, change.events)
                self._wake(change.run)

    def _measured(self, changes: Sequence[RunChange]) -> frozenset[str]:
        begun = self._clock.monotonic()
        try:
            refused = self._store.commit(changes, hook=self._hook)
        except StoreUnavailable:
            self.meter.failed(self._clock.monotonic() - begun)
            raise
        events = sum(len(change.events) for change in changes)
        self.meter.written(self._clock.monotonic() - begun, runs=len(changes) - len(refused), events=events)
        return refused

    def _write_alone(self, pair: tuple[LiveRun, RunChange], result: Committed) -> None:
        live, change = pair
        try:
            self._write([pair], result)
        except Conflict as error:
            self._give_back(live.record, change, error)
            result.refused.append((live, error))
        except HookFailed as error:
            _log.exception("run %s: on_status failed; the commit is tried again", live.id, extra=about(live.record))
            result.failed.append((live, error.error))
        except StoreUnavailable as error:
            self._hold(error)
            live.not_committed()
            result.failed.append((live, error))

    def _hold(self, error: StoreUnavailable) -> None:
        _log.warning("nothing can be recorded; tried again in %.1f s: %s", self._wait, error.message)
        self._held_until = self._clock.monotonic() + self._wait
        self._wait = min(self._wait * 2, _LONGEST_WAIT)

    def _give_back(self, run: RunRecord, change: RunChange, error: Conflict) -> None:
        """The data's own rules refused a change. A verb's caller is told; a run that moves by itself is set aside.

        Recorded verbs that were carried out in the change are refused for good: they would be refused again and again.
        """
        if run.status.moves:
            self.set_aside(
                run, ErrorInfo(code=error.code, message=_NEEDS_HELP, detail=error.message, hint=error.hint, at=self._clock.now())
            )
        else:
            refused = self._verbs_among(change)
            rests_until = run.runnable_at if run.status is RunStatus.WAITING else None
            back = replace(run, version=run.version + 1, seq=run.seq + len(refused), runnable_at=rests_until)
            events = tuple(self._refusal(run, request, run.seq + i, error) for i, request in enumerate(refused, start=1))
            done = tuple(request.id for request in refused)
            self._write_quietly(RunChange(run=back, events=events, requests_done=done, release=True))

    def _verbs_among(self, change: RunChange) -> list[RequestRecord]:
        """What people had asked for, and the change would have carried out."""
        try:
            waiting = self._store.load(change.run.id).requests if change.requests_done else ()
        except StoreUnavailable:
            return []  # the write fails too, then, and all of this is done again
        return [request for request in waiting if request.id in change.requests_done and request.verb != ENDED]

    def _refusal(self, run: RunRecord, request: RequestRecord, seq: int, error: Conflict) -> EventRecord:
        data = {"verb": request.verb, "code": error.code, "message": error.message}
        return EventRecord(run_id=run.id, seq=seq, at=self._clock.now(), type="request.refused", data=data, actor=request.actor)

    def set_aside(self, run: RunRecord, why: ErrorInfo, refused: Sequence[RequestRecord] = ()) -> None:
        """Leave a run as it was recorded last, and say why it does not go on; verbs that wait for it are refused."""
        told: list[tuple[str, dict[str, str], str | None]] = [("run.set_aside", {"code": why.code, "detail": why.detail}, None)]
        told += [("request.refused", {"verb": each.verb, "code": why.code, "message": why.detail}, each.actor) for each in refused]
        events = tuple(
            EventRecord(run_id=run.id, seq=seq, at=why.at, type=type_, data=said, actor=actor)
            for seq, (type_, said, actor) in enumerate(told, start=run.seq + 1)
        )
        aside = replace(run, version=run.version + 1, seq=events[-1].seq, attention=why, runnable_at=None)
        done = tuple(each.id for each in refused)
        if self._write_quietly(RunChange(run=aside, events=events, requests_done=done, release=True)):
            self._notify(aside, events)
            self._wake(aside)

    def _write_quietly(self, change: RunChange) -> bool:
        try:
            return not self._store.commit([change])
        except ProvisioningError as error:
            _log.error("run %s could not be given back: %s", change.run.id, error.message, extra=about(change.run))
            return False


_NEEDS_HELP = "Provisioning was stopped and needs a person's attention."


def guarded_hook(hook: StatusHook) -> StatusHook:
    """The hook, telling whose change it failed on."""

    def call(change: StatusChange, connection: Any) -> None:
        try:
            hook(change, connection)
        except Exception as error:
            raise HookFailed(change.run_id, error) from error

    return call
