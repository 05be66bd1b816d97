"""A pool of daemon threads.

The standard library's pool joins its threads when the interpreter ends, so that one step that hangs keeps the process from
ending; these threads are let go. Nothing is lost by that: what was under way is recorded, and in doubt.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any

_Call = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class ThreadExecutor(Executor):
    """At most ``max_workers`` threads, begun as they are needed."""

    def __init__(self, max_workers: int = 16, *, name: str = "provisioning-step") -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers={max_workers} must be at least 1")
        self._max_workers = max_workers
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor was shut down and takes no more calls")
            self._calls.put((future, fn, args, kwargs))
            if not self._idle.acquire(blocking=False) and self._threads < self._max_workers:
                self._threads += 1
                threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  the signature is Executor's
        """Take no more calls. Threads end when they are done; ``wait`` is not honoured, since a step may hang."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for _ in range(self._threads):
                self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, fn, args, kwargs = call
            if future.set_running_or_notify_cancel():
                _run(future, fn, args, kwargs)
            del future, fn, args, kwargs, call
            self._idle.release()


def _run(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001  a future carries whatever was raised
        future.set_exception(error)
    else:
        future.set_result(result)
