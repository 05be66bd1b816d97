"""Reads runs from the store, one by one, and says what does not hold of them. Changes nothing, and needs no plan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from provisioning_core.errors import NotFound, ProvisioningError
from provisioning_core.machine import History, Violation, check_snapshot
from provisioning_core.model import OCCUPYING, RunFilter, RunRecord, RunSnapshot
from provisioning_core.ports import Store

_log = logging.getLogger("provisioning_core.engine")

_PAGE = 100
_EVENTS = 1000
_GOES = 3
"""How often a run is read again that changed while it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """One run that was looked at."""

    run_id: str
    subject: str
    events: int = 0
    """Lines of its history that were looked at."""
    violations: tuple[Violation, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        found = [violation.to_dict() for violation in self.violations]
        return {"run_id": self.run_id, "subject": self.subject, "events": self.events, "violations": found}


def verify_runs(store: Store, run_ids: Iterable[str]) -> Iterator[Verified]:
    """These runs. Raises NotFound."""
    for run_id in run_ids:
        yield _verify(store, run_id)


def verify_all(store: Store, subject: str | None = None) -> Iterator[Verified]:
    """All runs, or all of a subject, newest first; and that each subject has one active run at the most. Raises NotFound."""
    active: dict[str, str] = {}
    is_empty = True
    for run in _all_runs(store, RunFilter(subject=subject)):
        is_empty = False
        if isinstance(run, Violation):
            yield Verified(run_id=run.run_id, subject=subject or "", violations=(run,))
            continue
        try:
            verified = _verify(store, run.id)
        except NotFound:
            continue  # it was pruned meanwhile
        yield verified
        other = active.setdefault(run.subject, run.id) if run.status in OCCUPYING else run.id
        if other != run.id and _are_active(store, run.id, other):
            yield Verified(run_id=run.id, subject=run.subject, violations=(_beside(run, other),))
    if is_empty and subject is not None:
        raise NotFound(f"{subject!r} has no run.", code="run_not_found")


def _all_runs(store: Store, where: RunFilter) -> Iterator[RunRecord | Violation]:
    """Those that can be read, and what is wrong with the others."""
    cursor = None
    while True:
        page = store.runs(where, limit=_PAGE, cursor=cursor)
        yield from page.items
        for run in page.unreadable:
            yield _unreadable(run.id, f"Run {run.id} can't be read: {run.problem}")
        cursor = page.next_cursor
        if cursor is None:
            return


def _are_active(store: Store, *run_ids: str) -> bool:
    """Whether they still are: each was seen at a time of its own."""
    try:
        return all(store.head(run_id).status in OCCUPYING for run_id in run_ids)
    except NotFound:
        return False


def _beside(run: RunRecord, other: str) -> Violation:
    text = f"Run {run.id} of {run.subject!r} is {run.status}, and run {other} of the same subject is active too."
    return Violation(code="one_active_run", run_id=run.id, step=None, text=text)


def _verify(store: Store, run_id: str) -> Verified:
    """Read it again when it changed meanwhile and something seemed wrong: a store need not show it as of one moment."""
    for _ in range(_GOES):
        found = _verify_once(store, run_id)
        if not found.violations or not _has_changed(store, run_id, found):
            break
    return found.verified


@dataclass(frozen=True, slots=True)
class _Found:
    verified: Verified
    version: int | None

    @property
    def violations(self) -> tuple[Violation, ...]:
        return self.verified.violations


def _has_changed(store: Store, run_id: str, found: _Found) -> bool:
    return found.version is not None and store.head(run_id).version != found.version


def _verify_once(store: Store, run_id: str) -> _Found:
    subject, version, count = "", None, 0
    try:
        snapshot = store.load(run_id)
        subject, version = snapshot.run.subject, snapshot.run.version
        count, violations = _look_at(store, snapshot)
    except Exception as error:  # noqa: BLE001  whatever is wrong with what is stored
        violations = (_unreadable(run_id, f"Run {run_id} can't be read: {_problem(error)}"),)
    return _Found(Verified(run_id=run_id, subject=subject, events=count, violations=violations), version)


def _look_at(store: Store, snapshot: RunSnapshot) -> tuple[int, tuple[Violation, ...]]:
    history, run = History(snapshot), snapshot.run
    count, last = 0, 0
    while page := store.events(run.id, after=last, limit=_EVENTS):
        for event in page:
            history.take(event)
        count, last = count + len(page), page[-1].seq
    beyond = _beyond(store, run, last)
    return count, (*check_snapshot(snapshot), *history.end(), *beyond)


def _beyond(store: Store, run: RunRecord, last: int) -> list[Violation]:
    """Events beyond the number that the record has are of later commits, unless there were none."""
    if last <= run.seq or store.head(run.id).version != run.version:
        return []
    text = f"Run {run.id}: its history goes on to event {last}, its record says {run.seq}."
    return [Violation(code="events_gapless", run_id=run.id, step=None, text=text)]


def _unreadable(run_id: str, text: str) -> Violation:
    return Violation(code="readable", run_id=run_id, step=None, text=f"{text}.")


def _problem(error: Exception) -> str:
    """What is wrong with what is stored; raised again when it is the store itself that has a problem."""
    if not isinstance(error, ProvisioningError):
        _log.warning("something stored can't be read", exc_info=error)
        return f"{type(error).__name__}: {error}"
    if error.code != "unreadable_run":
        raise error
    return error.message.rstrip(".")
