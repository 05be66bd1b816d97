"""Carries attempts out: threads, one event loop for async steps, worker processes; each outcome goes back to the scheduler loop.

The loop's thread launches, stops and counts; workers only tell. A step's own exception is an outcome, never an error of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from provisioning_core.engine._async_thread import AsyncThread
from provisioning_core.engine._attempts import (
    Attempt,
    AttemptMessage,
    BrokenOff,
    Done,
    Ended,
    Key,
    Result,
    Sink,
    Stale,
)
from provisioning_core.engine._audience import Audience
from provisioning_core.engine._logging import about_attempt
from provisioning_core.engine._outcomes import Outcome, Polls, Raised, outcome_of, perform, perform_async
from provisioning_core.engine._remote import ContextHere, answer_for, remote_work, work_without_words
from provisioning_core.engine._values import Materials, materials_of, result_of
from provisioning_core.errors import LeaseLost, StoreUnavailable
from provisioning_core.executors import ProcessExecutor, ThreadExecutor, WorkerKilled
from provisioning_core.model import (
    ONCE,
    Binding,
    Completion,
    Direction,
    Resource,
    ResourceRecord,
    RunSnapshot,
    StepContext,
    Vault,
    maker,
)
from provisioning_core.ports import Clock, Store, TransactionalAttempt

_log = logging.getLogger("provisioning_core.engine")
_make_ended = maker(Ended, ("key", "direction", "result"))


@dataclass(slots=True)
class Running:
    """An attempt that has not ended, and how to stop it."""

    attempt: Attempt
    sink: Sink
    task: asyncio.Task[Any] | None = None
    kill: Callable[[Any], Any] | None = None
    is_broken_off: bool = False
    """The engine asked it to end, for reasons of its own."""


class Workshop:
    """All attempts of one engine."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        vault: Vault | None,
        executor: Executor | None,
        max_workers: int,
        tell: Callable[[AttemptMessage], None],
        finish: Callable[[Ended], None],
        audience: Audience | None = None,
    ) -> None:
        """``finish`` is told of an end by a thread of this workshop that has nothing else to do, and may go on in it."""
        self._store = store
        self._clock = clock
        self._vault = vault
        self._executor = executor
        self._threads = ThreadExecutor(max_workers)
        self._async = AsyncThread()
        self._tell = tell
        self._audience = audience or Audience()
        self._finish = finish
        self._running: dict[Key, Running] = {}

    @property
    def in_flight(self) -> int:
        """Attempts that have not ended, given-up ones included: each still holds a worker."""
        return len(self._running)

    def launch(self, attempt: Attempt) -> None:
        """Begin an attempt whose intent is recorded."""
        running = Running(attempt, Sink(attempt, self._tell))
        self._running[attempt.key] = running
        binding = attempt.binding
        try:
            if binding is not None and binding.is_async and not self._is_remote:
                self._begin_async(running, binding)
            else:
                self._begin(running, binding)
        except Exception as error:  # noqa: BLE001  an executor handed in may refuse for any reason; the run must learn of it
            self._end(running, Raised(code="executor_refused", detail=f"{type(error).__name__}: {error}"))

    def _begin(self, running: Running, binding: Binding | None) -> None:
        if self._executor is None or self._is_remote or binding is None or running.attempt.transactional:
            self._threads.follow_up(self._carry_out, running, binding)
        else:
            self._executor.submit(self._carry_out, running, binding)

    def _begin_async(self, running: Running, binding: Binding) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                self._end(running, Raised(code="cancelled", detail="Cancelled before it began."))

        running.task = self._async.run(self._carry_out_async(running, binding), ended)

    def stop(self, key: Key, *, kill: bool) -> None:
        """Ask an attempt to end; ``kill`` ends it where the executor can."""
        running = self._running.get(key)
        if running is None:
            return
        running.sink.is_asked_to_end = True
        if running.task is not None:
            self._async.cancel(running.task)
        if kill and running.kill is not None:
            running.kill(None)

    def break_off_run(self, run_id: str) -> None:
        """Ask all attempts of a run to end: it is not ours any more."""
        self._break_off([key for key in self._running if key.run_id == run_id])

    def break_off_all(self) -> None:
        """Ask all to end: the engine closes, or does not know whether it still owns its runs. What they raise then is no failure."""
        self._break_off(list(self._running))

    def _break_off(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._running[key].is_broken_off = True
            self.stop(key, kill=True)

    def is_under_way(self, key: Key) -> bool:
        """Whether this attempt runs here and has not ended."""
        return key in self._running

    def forget(self, key: Key) -> None:
        """An attempt has ended and its end was told."""
        self._running.pop(key, None)

    def close(self) -> None:
        """Let the workers go. What is still under way goes on in its daemon thread and is told to nobody."""
        self._threads.shutdown()
        self._async.close()

    # choosing where

    @property
    def _is_remote(self) -> bool:
        return isinstance(self._executor, ProcessExecutor | ProcessPoolExecutor)

    # in a worker

    def _carry_out(self, running: Running, binding: Binding | None) -> None:
        told = self._audience.attempt_begins(running.attempt)
        try:
            result = self._result(running, binding)
        except BaseException as error:  # noqa: BLE001  our own fault; the run must still learn that the attempt ended
            _log.exception("attempt %s broke", running.attempt.key, extra=about_attempt(running.attempt))
            result = Raised(code="internal_error", detail=f"{type(error).__name__}: {error}")
        told(_as_meant(running, result))
        ended = self._ended(running, result)
        if self._threads.is_own_thread and not self._threads.has_calls:
            self._finish(ended)
        else:
            self._tell(ended)

    async def _carry_out_async(self, running: Running, binding: Binding) -> None:
        told = self._audience.attempt_begins(running.attempt)
        try:
            materials = materials_of(running.attempt, self._vault)
            if isinstance(materials, Raised):
                result: Result = materials
            else:
                running.sink.secrets = materials.secrets
                arguments = materials.bind(binding, _context_for(running, binding))
                outcome = await perform_async(binding.fn, arguments, running.attempt.retry)
                result = self._settle(running, outcome, materials)
        except BaseException as error:  # noqa: BLE001  our own fault; the run must still learn that the attempt ended
            _log.exception("attempt %s broke", running.attempt.key, extra=about_attempt(running.attempt))
            result = Raised(code="internal_error", detail=f"{type(error).__name__}: {error}")
        told(_as_meant(running, result))
        self._end(running, result)

    def _settle(self, running: Running, outcome: Outcome, materials: Materials) -> Result:
        return result_of(running.attempt, outcome, materials, self._vault)

    def _end(self, running: Running, result: Result) -> None:
        self._tell(self._ended(running, result))

    def _ended(self, running: Running, result: Result) -> Ended:
        return _make_ended(running.attempt.key, running.attempt.direction, _as_meant(running, result))

    def _result(self, running: Running, binding: Binding | None) -> Result:
        if binding is None:
            return _no_code(running.attempt)
        materials = materials_of(running.attempt, self._vault)
        if isinstance(materials, Raised):
            return materials
        running.sink.secrets = materials.secrets
        if running.attempt.transactional:
            return self._in_transaction(running, binding, materials)
        if self._is_remote:
            return self._settle(running, self._remotely(running, binding, materials), materials)
        arguments = materials.bind(binding, _context_for(running, binding))
        return self._settle(running, perform(binding.fn, arguments, running.attempt.retry), materials)

    def _remotely(self, running: Running, binding: Binding, materials: Materials) -> Outcome:
        attempt = running.attempt
        work = remote_work(attempt, materials.bind(binding, ContextHere()), around=self._audience.abroad())
        try:
            if isinstance(self._executor, ProcessExecutor):
                outcome: Outcome = self._executor.call(
                    work,
                    answer=answer_for(running.sink),
                    begun=lambda kill: setattr(running, "kill", kill),
                    limit=self._limit_of(attempt),
                )
                return outcome
            assert self._executor is not None  # noqa: S101  _is_remote said so
            return self._executor.submit(work_without_words, work).result()
        except WorkerKilled as error:
            return Raised(code="worker_killed", detail=str(error), interrupted=True)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            return Raised(code="not_picklable", detail=str(error), retryable=False, hint=_PICKLE_HINT)
        except Exception as error:  # noqa: BLE001  a broken pool raises its own errors
            return outcome_of(error, ONCE)
        finally:
            running.kill = None

    def _limit_of(self, attempt: Attempt) -> float | None:
        """Seconds after which the worker process ends itself, should this engine not live to end it."""
        return None if attempt.deadline_at is None else max(0.0, attempt.deadline_at - self._clock.now()) + _GRACE

    def _in_transaction(self, running: Running, binding: Binding, materials: Materials) -> Result:
        """What the step writes and its completion are committed together, or not at all."""
        result = self._try_in_transaction(running, binding, materials)
        running.sink.transaction_ended(is_committed=not isinstance(result, Raised | Polls | Stale))
        return result

    def _try_in_transaction(self, running: Running, binding: Binding, materials: Materials) -> Result:
        attempt = running.attempt
        result: Result | None = None
        try:
            with self._store.transaction(attempt.key.run_id, attempt.epoch) as transaction:
                result = self._perform_in(transaction, running, binding, materials)
        except _RollBack as left:
            return left.result
        except LeaseLost:
            return Stale()
        except StoreUnavailable as error:
            return self._settle_lost(running, result, error)
        except Exception as error:  # noqa: BLE001  flush and commit raise the database's own errors
            return self._settle(running, outcome_of(error, attempt.retry), materials)
        if isinstance(result, Done) and attempt.direction is Direction.FORWARD:
            return Done(output=result.output, is_completed=True)
        return result

    def _settle_lost(self, running: Running, result: Result | None, error: StoreUnavailable) -> Result:
        """The store was away when the step's transaction began or ended: no failure of the step's, so it is done again.

        A commit whose answer was lost is looked for, however long that takes: done again it would be written twice.
        """
        attempt = running.attempt
        if error.is_unknown and isinstance(result, Done) and attempt.direction is Direction.FORWARD:
            stored = self._load_at_last(attempt.key.run_id)
            if stored.run.epoch != attempt.epoch:
                return Stale()
            if any((each.step, each.token) == (attempt.key.step, attempt.key.token) for each in stored.completions):
                return Done(output=result.output, is_completed=True)
        return Polls(after=_LONGEST_LOOK, message=error.message)

    def _load_at_last(self, run_id: str) -> RunSnapshot:
        pause, wait = threading.Event(), _FIRST_LOOK
        while True:
            pause.wait(wait)
            try:
                return self._store.load(run_id)
            except StoreUnavailable:
                wait = min(wait * 2, _LONGEST_LOOK)

    def _perform_in(self, transaction: TransactionalAttempt, running: Running, binding: Binding, materials: Materials) -> Result:
        attempt = running.attempt
        running.sink.write_along = lambda resource: transaction.record([self._entry(attempt, resource)])
        arguments = materials.bind(binding, _context_for(running, binding), transaction.session)
        result = self._settle(running, perform(binding.fn, arguments, attempt.retry), materials)
        if isinstance(result, Raised | Polls):
            raise _RollBack(result)
        if isinstance(result, Done) and attempt.direction is Direction.FORWARD:
            transaction.complete(Completion(step=attempt.key.step, token=attempt.key.token, output=result.output))
        return result

    def _entry(self, attempt: Attempt, resource: Resource) -> ResourceRecord:
        return ResourceRecord(
            step=attempt.key.step,
            kind=resource.kind,
            id=resource.id,
            details=resource.details,
            attempt=attempt.attempt,
            token=attempt.key.token,
            at=self._clock.now(),
        )


_GRACE = 1.0
"""Seconds after its time is up in which an attempt's end is this engine's to bring about."""
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
"""Seconds until the store is asked whether it has recorded something, and between two times."""
_PICKLE_HINT = "On worker processes a step must stand at the top level of a module, and its arguments and output must be picklable."


def _context_for(running: Running, binding: Binding) -> StepContext | None:
    return running.sink.context() if binding.wants_context else None


def _as_meant(running: Running, result: Result) -> Result:
    """What an attempt raises that was asked to end is no failure of its own."""
    return BrokenOff() if running.is_broken_off and isinstance(result, Raised) else result


class _RollBack(Exception):
    """Leaves a transaction without committing it."""

    def __init__(self, result: Raised | Polls) -> None:
        super().__init__()
        self.result = result


def _no_code(attempt: Attempt) -> Raised:
    what = {Direction.FORWARD: "", Direction.COMPENSATE: "compensation of ", Direction.PROBE: "probe of "}[attempt.direction]
    return Raised(
        code="no_code",
        detail=f"The code of this process has no {what}step {attempt.key.step!r}.",
        hint="Deploy the code that has it, or settle the step by hand.",
        retryable=False,
    )
