"""The end of the process, told to streams: a server that goes down waits for them, and tells them nothing that could be relied on.

Servers differ in whether they send ``http.disconnect`` on shutdown, and run an app's shutdown only when all answers are complete.
So a router listens for SIGTERM and SIGINT itself, while streams or long polls are open, and hands the signal on to whoever listened
before.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_Handler = Callable[[int, FrameType | None], Any] | int | None


class Stop:
    """Ends all streams and long polls of a router, for good until :meth:`clear`.

    Hand one to ``create_router`` where signals can't be listened for, that is when the server does not run in the main thread,
    and call :meth:`set` before the server is told to stop. May be set from any thread and from a signal's handler.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._events: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Event] = WeakKeyDictionary()
        self._signals = _Signals(self.set)

    @property
    def is_set(self) -> bool:
        """Whether streams are to end."""
        return self._is_set

    def set(self) -> None:
        """Let all streams end."""
        self._is_set = True
        for loop, event in list(self._events.items()):
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:
                continue  # that loop is closed, and so are its streams

    def clear(self) -> None:
        """Let streams be opened again. On their event loop, or before there is one."""
        self._is_set = False
        for event in list(self._events.values()):
            event.clear()

    async def wait(self) -> None:
        """Until it is set."""
        event = self._events.setdefault(asyncio.get_running_loop(), asyncio.Event())
        if not self._is_set:
            await event.wait()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Be set by the signals that end a process. Does nothing outside of the main thread."""
        self._signals.listen()
        try:
            yield
        finally:
            self._signals.unlisten()


class _Signals:
    """Calls ``told`` at SIGTERM and SIGINT, then whoever listened before."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._listeners = 0
        self._before: dict[int, _Handler] = {}

    def listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._listeners += 1
        for number in SIGNALS:
            if number not in self._before and (before := signal.getsignal(number)) is not None:
                self._before[number] = before
                signal.signal(number, self._handle)

    def unlisten(self) -> None:
        """The last one restores what was there, unless somebody listens in front of us: then we stay in the chain."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._listeners -= 1
        if self._listeners:
            return
        for number in list(self._before):
            if signal.getsignal(number) == self._handle:
                signal.signal(number, self._before.pop(number))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._told()
        before = self._before.get(number)
        if callable(before):
            before(number, frame)
        elif before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
