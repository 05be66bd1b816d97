"""What is new of runs, for all who wait for it in this process: one thread asks the engine, event loops are told.

Its work grows with the runs that changed. Who waits costs a wake-up; what an event looks like is rendered once for all of them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

from provisioning_core import Engine, Event, ProvisioningError, RunStatus, RunView
from provisioning_core.engine import RunNews

KEPT = 1000
"""Events of each run that are kept for those who wait; who is further behind reads the store."""
ENDED = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.ROLLED_BACK, RunStatus.ROLLBACK_FAILED)
"""A run that rests in one of these goes on only when a person acts."""
_LOOK = 5.0
"""Seconds that the thread waits for news before it looks whether anybody is still there."""
_PAUSE = 1.0
"""Seconds between tries while the store is away."""
_log = logging.getLogger("provisioning_http")


@dataclass(slots=True)
class Line:
    """One event, with what it looks like for each audience, rendered when it is first asked for."""

    event: Event
    _texts: dict[bool, bytes] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        return self.event.seq

    def text(self, render: Callable[[Event, bool], bytes], *, is_operator: bool) -> bytes:
        """As ``render`` makes it; both audiences have their own."""
        if is_operator not in self._texts:
            self._texts[is_operator] = render(self.event, is_operator)
        return self._texts[is_operator]


@dataclass(slots=True)
class Glance:
    """A run between two events: its version rose, and nothing entered the history. Rendered once for everybody."""

    view: RunView
    _text: bytes = b""

    def text(self, render: Callable[[RunView], bytes]) -> bytes:
        """As ``render`` makes it."""
        self._text = self._text or render(self.view)
        return self._text


@dataclass(slots=True, eq=False)
class Channel:
    """What is known of one run that somebody waits for."""

    seq: int
    """Number of the latest event known."""
    version: int = -1
    is_quiet: bool = False
    """Whether the version rose last without an event."""
    is_over: bool = False
    """Whether the run rests in a status in which it ended, or failed."""
    is_gone: bool = False
    """Whether it was removed from the store."""
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=KEPT))
    final: RunView | None = None
    """The run as it ended; None while it goes on."""
    glance: Glance | None = None
    """The run as it was seen after the latest event; None when nothing was told since."""
    waiting: set[Subscription] = field(default_factory=set)

    @property
    def base(self) -> int:
        """All events after this number are kept here."""
        return self.lines[0].seq - 1 if self.lines else self.seq

    def take(self, news: RunNews) -> None:
        """What was told already is left out; if something is missing in between, what is kept begins anew."""
        fresh = [Line(event) for event in news.events if event.seq > self.seq]
        if fresh and fresh[0].seq != self.seq + 1:
            self.lines.clear()
        self.lines.extend(fresh)
        self.seq = fresh[-1].seq if fresh else self.seq
        self.is_quiet = not fresh and 0 <= self.version < news.version
        self.glance = None if fresh else self.glance
        self.version, self.is_gone, self.final = news.version, news.status is None, None
        self.is_over = news.is_resting and news.status in ENDED

    def show(self, view: RunView) -> bool:
        """The run as it was read. False when it has moved on from its end meanwhile, which will be told next."""
        if self.is_over and self.version != view.version:
            return False
        if self.is_over:
            self.final = view
        else:
            self.glance = Glance(view)
        return True


class Subscription:
    """One who waits for news of one run, on one event loop."""

    def __init__(self, channel: Channel, lock: threading.Lock) -> None:
        self._channel = channel
        self._lock = lock
        self._woken = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """On its own loop."""
        self._woken.set()

    async def news(self, seconds: float) -> bool:
        """Wait until something is new, or for so many seconds at the most. Whether something is."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def after(self, seq: int) -> list[Line] | None:
        """The lines after this number, in order; None when some of them are not kept here: then read the store."""
        with self._lock:
            if seq < self._channel.base:
                return None
            missed = max(0, self._channel.seq - seq)
            return list(islice(reversed(self._channel.lines), missed))[::-1]

    @property
    def version(self) -> int:
        """The run's version, as far as it is known here; -1 at first."""
        return self._channel.version

    @property
    def final(self) -> RunView | None:
        """The run as it ended; None while it goes on."""
        return self._channel.final

    @property
    def glance(self) -> Glance | None:
        """The run as it was seen after the latest event; None when nothing was told since."""
        return self._channel.glance

    @property
    def is_gone(self) -> bool:
        """Whether the run was removed from the store."""
        return self._channel.is_gone


class Feed:
    """Tells event loops what is new of runs. The thread that asks lives while anybody waits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watch = engine.watch()
        self._lock = threading.Lock()
        self._channels: dict[str, Channel] = {}
        self._unread: set[str] = set()
        """Runs that ended, or moved without an event, and are to be read."""
        self._thread: threading.Thread | None = None

    @contextmanager
    def subscribed(self, run_id: str, *, seq: int, version: int = -1) -> Iterator[Subscription]:
        """Wait for news of this run, known up to the event ``seq`` and to this version. On an event loop."""
        with self._lock:
            channel = self._channels.setdefault(run_id, Channel(seq, version))
            subscription = Subscription(channel, self._lock)
            channel.waiting.add(subscription)
            self._watch.add(run_id, after=channel.seq)
            self._begin()
        try:
            yield subscription
        finally:
            with self._lock:
                channel.waiting.discard(subscription)
                if not channel.waiting and self._channels.get(run_id) is channel:
                    del self._channels[run_id]
                    self._watch.remove(run_id)
                    self._unread.discard(run_id)
                if not self._channels:
                    self._watch.ring()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="provisioning-http-feed", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._is_over():
            try:
                for news in self._watch.news(_LOOK):
                    self._tell(news)
                self._read()
            except ProvisioningError as error:
                _log.warning("no news of runs for the moment: %s", error)
                self._pause()
            except Exception:  # noqa: BLE001 - whatever it is, all who wait hang on this thread: it goes on
                _log.exception("no news of runs for the moment")
                self._pause()

    @staticmethod
    def _pause() -> None:
        """Not to ask a store that is away again and again. Nobody waits for this daemon thread to end: nothing cuts it short."""
        time.sleep(_PAUSE)

    def _is_over(self) -> bool:
        with self._lock:
            if not self._channels:
                self._thread = None
            return self._thread is None

    def _tell(self, news: RunNews) -> None:
        with self._lock:
            channel = self._channels.get(news.run_id)
            if channel is None:
                return
            channel.take(news)
            if channel.is_over or channel.is_quiet:
                self._unread.add(news.run_id)
            waiting = list(channel.waiting)
        _wake_all(waiting)

    def _read(self) -> None:
        """Read runs that ended or moved without an event: once for all who wait, and again later if the store is away."""
        with self._lock:
            unread = list(self._unread)
        for run_id in unread:
            view = self._engine.status(run_id=run_id)
            with self._lock:
                self._unread.discard(run_id)
                channel = self._channels.get(run_id)
                if channel is None or not channel.show(view):
                    continue
                waiting = list(channel.waiting)
            _wake_all(waiting)


def _wake_all(waiting: Iterable[Subscription]) -> None:
    """With one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Subscription]] = defaultdict(list)
    for each in waiting:
        by_loop[each.loop].append(each)
    for loop, subscriptions in by_loop.items():
        _wake(loop, subscriptions)


def _wake(loop: asyncio.AbstractEventLoop, subscriptions: list[Subscription]) -> None:
    def wake() -> None:
        for each in subscriptions:
            each.wake()

    try:
        loop.call_soon_threadsafe(wake)
    except RuntimeError:
        _log.debug("an event loop was closed while somebody waited on it")
