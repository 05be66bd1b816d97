"""Child processes that can be killed: the only executor on which a timeout really ends a step.

Each child serves one call at a time over a pipe. A call may send messages while it runs (progress, ledger entries) and waits for the
answer to each, so that a ledger entry is durable before the next line of the step runs.

Nothing that a child does may outlive the engine that asked for it: another engine takes a dead engine's steps up at once. So a child
ends with its parent, however that ends, by the kernel's hand where there is one that does it (Linux); and a call's ``limit`` is
kept by the child itself, by a timer that no code of the step can hold up, whatever has become of the parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from provisioning_core.executors.threads import ThreadExecutor

Tell = Callable[[Any], Any]
"""Sends a message out of the child and gives back the answer; raises what the answer raised."""


_PR_SET_PDEATHSIG = 1


class WorkerKilled(Exception):
    """The child process ended in the middle of a call: it was killed, or it crashed."""


class ProcessExecutor(Executor):
    """At most ``max_workers`` child processes, begun as they are needed and used again.

    What is called, its arguments and its result must be picklable; modules are imported afresh in the child (``spawn``), so a
    script needs ``if __name__ == "__main__":``. A new child's start and imports count towards the timeout of the step that gets it.
    """

    def __init__(self, max_workers: int = 4) -> None:
        self._threads = ThreadExecutor(max_workers, name="provisioning-process")
        self._spawner = ThreadExecutor(1, name="provisioning-spawner")
        """On Linux a child ends with the thread that began it, so that thread must last as long as this does."""
        self._context = multiprocessing.get_context("spawn")
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._closed = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._threads.submit(self.call, _Plain(fn, args, kwargs))

    def call(
        self,
        work: Callable[[Tell], Any],
        *,
        answer: Tell | None = None,
        begun: Tell | None = None,
        limit: float | None = None,
    ) -> Any:
        """Run ``work(tell)`` in a child and wait for it. ``begun`` gets a function that kills the child.

        After ``limit`` seconds the child ends itself (``SIGALRM``), where the system has such timers. Raises what the work raised,
        WorkerKilled when the child ended, or PicklingError when something can't cross.
        """
        payload = pickle.dumps(work)
        child = self._take()
        if begun is not None:
            begun(child.kill)
        try:
            result = child.call(payload, answer, limit)
        except WorkerKilled:
            self._forget(child)
            raise
        except BaseException:
            self._give_back(child)
            raise
        self._give_back(child)
        return result

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  the signature is Executor's
        """Take no more calls, and end the children; a call under way is killed."""
        self._threads.shutdown()
        with self._lock:
            self._closed = True
            children, self._all, self._idle = self._all, set(), []
        self._spawner.shutdown()
        for child in children:
            child.close()

    def _take(self) -> _Child:
        with self._lock:
            if self._closed:
                raise RuntimeError("the executor was shut down and takes no more calls")
            if self._idle:
                return self._idle.pop()
            child: _Child = self._spawner.submit(_Child, self._context).result()
            self._all.add(child)
            return child

    def _give_back(self, child: _Child) -> None:
        with self._lock:
            if child in self._all:
                self._idle.append(child)

    def _forget(self, child: _Child) -> None:
        with self._lock:
            self._all.discard(child)
        child.close()


class _Plain:
    """A plain call, without messages."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = (fn, args, kwargs)

    def __call__(self, _tell: Tell) -> Any:
        fn, args, kwargs = self._call
        return fn(*args, **kwargs)


class _Child:
    """One child process and the pipe to it."""

    def __init__(self, context: Any) -> None:
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def call(self, payload: bytes, answer: Tell | None, limit: float | None) -> Any:
        self._exchange(partial(self._pipe.send, (payload, limit)))
        while True:
            kind, value = self._exchange(self._pipe.recv)
            if kind == "returned":
                return value
            if kind == "raised":
                raise value
            reply = _answer(answer, value)
            self._exchange(partial(self._pipe.send, reply))

    def _exchange(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (EOFError, OSError) as error:
            raise WorkerKilled("the worker process ended in the middle of the step") from error

    def kill(self, _: Any = None) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.join(5)
        self._pipe.close()


def _answer(answer: Tell | None, message: Any) -> tuple[str, Any]:
    try:
        return "returned", answer(message) if answer is not None else None
    except Exception as error:  # noqa: BLE001  the child raises it where it asked
        return "raised", error


class _PipeClosed(BaseException):
    """The parent is gone. Not an ``Exception``, so that a step that catches everything does not go on."""


def _end_with_parent() -> None:
    """By the kernel's hand where that is to be had; else, and if the parent is gone already, by a thread that waits for its end."""
    parent = multiprocessing.parent_process()
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, name="provisioning-parent", daemon=True).start()


@contextlib.contextmanager
def _limited(limit: float | None) -> Iterator[None]:
    """The process ends when this takes longer: no handler of Python's runs, so it doesn't matter what the step is at."""
    if limit is None or not hasattr(signal, "setitimer"):
        yield
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(limit, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _serve(pipe: Connection) -> None:
    """The child's main loop."""
    _end_with_parent()

    def tell(message: Any) -> Any:
        try:
            pipe.send(("message", message))
            kind, value = pipe.recv()
        except (EOFError, OSError) as error:
            raise _PipeClosed from error
        if kind == "raised":
            raise value
        return value

    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt, _PipeClosed):
        while True:
            payload, limit = pipe.recv()
            with _limited(limit):
                reply = _work(payload, tell)
            _send(pipe, reply)


def _work(payload: bytes, tell: Tell) -> tuple[str, Any]:
    try:
        return "returned", pickle.loads(payload)(tell)  # noqa: S301  the parent alone holds the other end of the pipe
    except _PipeClosed:
        raise
    except BaseException as error:  # noqa: BLE001  the parent raises it where the result is awaited
        return "raised", error


def _send(pipe: Connection, reply: tuple[str, Any]) -> None:
    try:
        pipe.send(reply)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        pipe.send(("raised", pickle.PicklingError(f"the result can't leave the worker process: {error}")))
