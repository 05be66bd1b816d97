"""Many runs watched at once, by one thread: what it costs grows with the runs that changed, not with those who want to know.

Runs that this process works on ring a bell at each commit and are looked at soon after; all others are looked at every ``poll``
seconds, with one question to the store for all of them. Between two looks at least ``GAP`` seconds pass: commits that come
faster are told together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from provisioning_core.engine._handle import Deadline, Waiters
from provisioning_core.engine._views import event_of
from provisioning_core.model import Event, RunStatus
from provisioning_core.ports import RunHead, Store

GAP = 0.1
"""Seconds. Slept, not waited for: a ring meanwhile is what they are there to gather, and a caller that wants to end loses no more."""
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNews:
    """What is new of one run since it was last told of."""

    run_id: str
    status: RunStatus | None
    """None when the run is there no more."""
    version: int = 0
    seq: int = 0
    """Number of the last of the events, or of those told before."""
    is_resting: bool = False
    events: tuple[Event, ...] = ()
    """In order; together with those told before, without gaps and without repeats."""


@dataclass(slots=True)
class _Bell:
    """Notes at a commit which run it was; stands among the events that waiting callers are woken by."""

    run_id: str
    watch: Watch

    def set(self) -> None:
        self.watch.ring(self.run_id)


@dataclass(slots=True)
class _Known:
    """What was told of a run."""

    bell: _Bell
    seq: int
    head: RunHead | None = None


class Watch:
    """A set of runs, and what is new of them. Runs may be added and removed by any thread while one thread waits for news."""

    def __init__(self, store: Store, waiters: Waiters, *, poll: float, ready: Callable[[], None]) -> None:
        self._store = store
        self._waiters = waiters
        self._poll = poll
        self._ready = ready
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._rung: set[str] = set()
        self._bell = threading.Event()
        self._looked_at = self._swept_at = float("-inf")

    def add(self, run_id: str, *, after: int = 0) -> None:
        """Tell of this run: first how it is, with its events from number ``after + 1`` on. Harmless when it is watched already."""
        with self._lock:
            if run_id in self._known:
                return
            known = self._known[run_id] = _Known(_Bell(run_id, self), after)
        self._waiters.add(run_id, known.bell)
        self.ring(run_id)

    def remove(self, run_id: str) -> None:
        """Tell of it no more. Harmless when it is not watched."""
        with self._lock:
            known = self._known.pop(run_id, None)
            self._rung.discard(run_id)
        if known is not None:
            self._waiters.remove(run_id, known.bell)

    def ring(self, run_id: str | None = None) -> None:
        """Something was committed of this run; without one, only let :meth:`news` return."""
        with self._lock:
            if run_id in self._known:
                self._rung.add(run_id)
            self._bell.set()

    def news(self, timeout: float) -> list[RunNews]:
        """What is new, as soon as something is; empty after ``timeout`` seconds, or when :meth:`ring` asked to return.

        For one thread at a time. Raises StoreUnavailable; nothing is lost by that: ask again.
        """
        deadline = Deadline(timeout)
        while True:
            self._bell.wait(deadline.within(self._until_sweep()))
            self._bell.clear()
            if (wait := deadline.within(self._looked_at + GAP - time.monotonic())) > 0:
                time.sleep(wait)
            asked = self._asked()
            found = self._look(asked) if asked else []
            if found or deadline.is_over or not asked:
                return found

    def _until_sweep(self) -> float:
        return max(0.0, self._swept_at + self._poll - time.monotonic())

    def _asked(self) -> Collection[str]:
        """Runs to look at now: those that rang, or all when it is time."""
        with self._lock:
            rung, self._rung = self._rung, set()
            if self._until_sweep() > 0:
                return rung
            self._swept_at = time.monotonic()
            return list(self._known)

    def _look(self, asked: Collection[str]) -> list[RunNews]:
        self._looked_at = time.monotonic()
        self._ready()
        heads = self._store.heads(asked)
        looked = {run_id: self._known.get(run_id) for run_id in asked}
        told = [
            (known, heads.get(run_id), self._news_of(run_id, known.seq, heads.get(run_id)))
            for run_id, known in looked.items()
            if known is not None and (known.head is None or heads.get(run_id) != known.head)
        ]
        for known, head, news in told:  # only now that all was read: what an error interrupts is read again at the next sweep
            known.head, known.seq = head, max(known.seq, news.seq)
        return [news for _, _, news in told]

    def _news_of(self, run_id: str, after: int, head: RunHead | None) -> RunNews:
        if head is None:
            return RunNews(run_id=run_id, status=None)
        events = tuple(self._events(run_id, after))
        return RunNews(
            run_id=run_id,
            status=RunStatus(head.status),
            version=head.version,
            seq=events[-1].seq if events else after,
            is_resting=head.is_resting,
            events=events,
        )

    def _events(self, run_id: str, after: int) -> Iterable[Event]:
        while page := self._store.events(run_id, after=after, limit=_PAGE):
            yield from map(event_of, page)
            after = page[-1].seq
            if len(page) < _PAGE:
                return
