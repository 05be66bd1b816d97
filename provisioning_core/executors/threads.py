"""A pool of daemon threads.

The standard library's pool joins its threads when the interpreter ends, so that one step that hangs keeps the process from
ending; these threads are let go. Nothing is lost by that: what was under way is recorded, and in doubt.

Theory of operation. Calls queue; a thread that waits for one waits on a lock of its own, and the one that went idle last is woken
first. Not every call wakes a thread: one at a time is on its way, and when it finds more calls than its own it wakes the next (Go's
scheduler starts its threads like this). So short calls are done by few threads that stay awake, and long ones get as many as there
are.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

_log = logging.getLogger("provisioning_core.executors")
_Call = tuple[Callable[..., Any], tuple[Any, ...]]


class ThreadExecutor(Executor):
    """At most ``max_workers`` threads, begun as they are needed."""

    def __init__(self, max_workers: int = 16, *, name: str = "provisioning-step") -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers={max_workers} must be at least 1")
        self._max_workers = max_workers
        self._name = name
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._idle: list[threading.Lock] = []
        self._threads: set[int] = set()
        self._begun = 0
        self._is_one_coming = False
        """Whether a thread was woken, or begun, that has not looked at the queue yet."""
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.spawn(_run, future, fn, args, kwargs)
        return future

    def spawn(self, fn: Callable[..., Any], *args: Any) -> None:
        """Call it in a thread; nobody is told what becomes of it. Raises RuntimeError after :meth:`shutdown`."""
        with self._lock:
            self._add(fn, args)
            self._wake_one()

    def follow_up(self, fn: Callable[..., Any], *args: Any) -> None:
        """The same, from a call of this pool that is about to end: its own thread goes on with it, and nobody need be woken."""
        if self.is_own_thread:
            self._add(fn, args)
        else:
            self.spawn(fn, *args)

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is one of this pool's threads."""
        return threading.get_ident() in self._threads

    @property
    def has_calls(self) -> bool:
        """Whether calls wait for a thread."""
        return bool(self._calls)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  the signature is Executor's
        """Take no more calls. Threads end when they are done; ``wait`` is not honoured, since a step may hang."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.release()

    def _add(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._closed:
            raise RuntimeError("the executor was shut down and takes no more calls")
        self._calls.append((fn, args))

    def _wake_one(self) -> None:
        """See to it that a thread comes, unless one is on its way already. With the lock."""
        if self._is_one_coming or not self._calls:
            return
        if self._idle:
            self._is_one_coming = True
            self._idle.pop().release()
        elif self._begun < self._max_workers:
            self._is_one_coming = True
            self._begun += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._begun}", daemon=True).start()

    def _work(self) -> None:
        self._threads.add(threading.get_ident())
        waiting = threading.Lock()
        waiting.acquire()
        has_come = True
        while True:
            with self._lock:
                if has_come:
                    self._is_one_coming = False
                call = self._calls.popleft() if self._calls else None
                if call is None and self._closed:
                    break
                if call is None:
                    self._idle.append(waiting)
                else:
                    self._wake_one()
            has_come = call is None
            if call is None:
                waiting.acquire()
            else:
                _call(*call)
                del call
        self._threads.discard(threading.get_ident())


def _call(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        fn(*args)
    except BaseException:  # noqa: BLE001  a thread of the pool outlives whatever is done in it
        _log.exception("a call that tells nobody how it ended has failed")


def _run(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  a future carries whatever was raised
        future.set_exception(error)
    else:
        future.set_result(result)
