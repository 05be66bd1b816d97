"""The observers of one engine, sorted by what they are told. None of them can break anything: what they raise is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeAlias

from provisioning_core.engine._attempts import Attempt, BrokenOff, Done, Found, Missed, Result, Stale
from provisioning_core.engine._outcomes import Polls, Raised
from provisioning_core.engine._views import event_of, summary_of
from provisioning_core.model import EventRecord, RunRecord
from provisioning_core.ports import AnyObserver, AttemptEnd, AttemptFacts, AttemptObserver, Observer, RunObserver, Tracer

_log = logging.getLogger("provisioning_core.engine")

ResultTold: TypeAlias = Callable[[Result], None]


class Audience:
    """Observers may be added at any time, from any thread."""

    def __init__(self, observers: Iterable[AnyObserver] = ()) -> None:
        self.observers: tuple[AnyObserver, ...] = ()
        self._simple: tuple[Observer, ...] = ()
        self._of_runs: tuple[RunObserver, ...] = ()
        self._of_attempts: tuple[AttemptObserver, ...] = ()
        self._tracer: Tracer | None = None
        for observer in observers:
            self.add(observer)

    def add(self, observer: AnyObserver) -> None:
        """Tell this one, too; one that is told already is not told twice. The first tracer stays the only one."""
        if any(each is observer for each in self.observers):
            return
        self.observers += (observer,)
        if isinstance(observer, RunObserver):
            self._of_runs += (observer,)
        elif isinstance(observer, Observer):
            self._simple += (observer,)
        if isinstance(observer, Tracer):
            self._tracer = self._tracer or observer
        if isinstance(observer, AttemptObserver):
            self._of_attempts += (observer,)

    # what was recorded

    @property
    def listens(self) -> bool:
        """Whether anybody wants to know what was recorded."""
        return bool(self._of_runs or self._simple)

    def tell(self, record: RunRecord, events: Sequence[EventRecord]) -> None:
        """One commit wrote these events, and the run is so now."""
        views = [event_of(event) for event in events]
        for observer in self._simple:
            _guarded(partial(observer.notify, views))
        if self._of_runs:
            run = summary_of(record)
            for run_observer in self._of_runs:
                _guarded(partial(run_observer.notify_run, run, views))

    # attempts

    def attempt_begins(self, attempt: Attempt) -> ResultTold:
        """Called where the attempt runs; gives what is told its result there."""
        if not self._of_attempts:
            return _nobody
        facts = _facts(attempt)
        ends = [end for each in self._of_attempts if (end := _begun(each, facts)) is not None]
        return partial(_end, ends)

    def abroad(self) -> Callable[[], AbstractContextManager[Any]] | None:
        """What stands around the attempt's function in a worker process; asked where the attempt runs here."""
        try:
            return None if self._tracer is None else self._tracer.abroad()
        except Exception:  # noqa: BLE001  an observer can never break a run
            _log.exception("a tracer failed; the step is not affected")
            return None

    def engine_closed(self) -> None:
        """Nothing more is told."""
        if self._tracer is not None:
            _guarded(self._tracer.engine_closed)

    def starting(self, run_id: str, plan: str) -> AbstractContextManager[str | None]:
        """Around the start of a run; gives the trace to keep with it."""
        return nullcontext() if self._tracer is None else _around(self._tracer, run_id, plan)


@contextmanager
def _around(tracer: Tracer, run_id: str, plan: str) -> Iterator[str | None]:
    """The tracer's own context; a start that fails shows in it, a tracer that fails does not show in the start."""
    try:
        around = tracer.starting(run_id, plan)
        trace = around.__enter__()
    except Exception:  # noqa: BLE001  an observer can never break a run
        _log.exception("a tracer failed; the run is not affected")
        yield None
        return
    try:
        yield trace
    except BaseException as error:
        _guarded(partial(around.__exit__, type(error), error, error.__traceback__))
        raise
    _guarded(partial(around.__exit__, None, None, None))


def _begun(observer: AttemptObserver, facts: AttemptFacts) -> AttemptEnd | None:
    try:
        return observer.attempt_begins(facts)
    except Exception:  # noqa: BLE001  an observer can never break a run
        _log.exception("an observer failed; the step is not affected")
        return None


def _end(ends: Sequence[AttemptEnd], result: Result) -> None:
    """Last begun, first ended."""
    outcome = _outcome(result)
    for end in reversed(ends):
        _guarded(partial(end, outcome))


def _nobody(_: Result) -> None:
    """Nobody wants to know."""


def _guarded(tell: Callable[[], object]) -> None:
    try:
        tell()
    except Exception:  # noqa: BLE001  an observer can never break a run
        _log.exception("an observer failed; the run is not affected")


def _facts(attempt: Attempt) -> AttemptFacts:
    return AttemptFacts(
        run_id=attempt.key.run_id,
        subject=attempt.subject,
        plan=attempt.plan.name,
        step=attempt.key.step,
        direction=attempt.direction.value.lower(),
        attempt=attempt.attempt,
        token=attempt.key.token,
        trace=attempt.trace,
    )


def _outcome(result: Result) -> str:
    if isinstance(result, Raised):
        return "interrupted" if result.interrupted else "failed"
    return _WORDS[type(result)]


_WORDS: dict[type, str] = {
    Done: "succeeded",
    Found: "found",
    Missed: "missed",
    Polls: "not_ready",
    Stale: "stale",
    BrokenOff: "broken_off",
}
