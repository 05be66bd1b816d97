"""Tells the events of one claimed queue, one after the other, until one is not taken or it has had its share of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from provisioning_core.model import EventRecord
from provisioning_core.observers.webhooks._payload import Link, message_of
from provisioning_core.observers.webhooks._posting import Poster, Tried
from provisioning_core.outbox import Claimed, Delivery, Outbox, Settled
from provisioning_core.ports import Clock, Store

_PAGE = 100
_MOST = 20
"""Events that are sent before what became of them is recorded: so many may come twice when a sender dies."""
GONE = "It answered 410 Gone."


@dataclass(slots=True)
class _Round:
    """How far it came."""

    claimed: Claimed
    after: int
    tries: int
    log: list[Delivery] = field(default_factory=list)
    wait: float = 0.0
    pause: float = 0.0
    answers: bool = False
    given_up: int = 0
    disable: str = ""

    def take(self, seq: int, tried: Tried) -> bool:
        """What came of telling this event; True when the next one may be told."""
        self.log.append(tried.delivery)
        self.pause = max(self.pause, tried.pause)
        match tried.delivery.outcome:
            case "delivered":
                self._pass(seq)
                self.answers, self.given_up = True, 0
            case "given_up":
                self._pass(seq)
                self.given_up += 1
            case "gone":
                self.disable = GONE
            case "failed" | "refused":
                self.tries += tried.counts
                self.wait = tried.wait
        return tried.delivery.outcome in ("delivered", "given_up") and self.pause == 0

    def _pass(self, seq: int) -> None:
        self.after, self.tries = seq, 0

    def settled(self) -> Settled:
        return Settled(
            claimed=self.claimed,
            after=self.after,
            tries=self.tries,
            wait=self.wait,
            log=tuple(self.log),
            answers=self.answers,
            given_up=self.given_up,
            pause=self.pause,
            disable=self.disable,
        )


class Courier:
    """Works on claimed queues. Can be used by many threads at once."""

    def __init__(self, store: Store, outbox: Outbox, poster: Poster, clock: Clock, *, link: Link | None, share: float) -> None:
        self._store = store
        self._outbox = outbox
        self._poster = poster
        self._clock = clock
        self._link = link
        self._share = share

    def deliver(self, claimed: Claimed, is_over: Callable[[], bool]) -> Settled:
        """Tell its events. ``is_over``: asked before each, so that it ends soon when the sender does."""
        began = self._clock.monotonic()
        store_now = 0.0 if claimed.endpoint.old_secret is None else self._outbox.now()
        round_ = _Round(claimed, claimed.after, claimed.tries)
        for event in self._wanted(claimed):
            is_spent = len(round_.log) >= _MOST or self._clock.monotonic() - began > self._share
            if is_spent or is_over():
                return round_.settled()
            if not round_.take(event.seq, self._try(round_, event, store_now)):
                return round_.settled()
        round_.after = max(round_.after, claimed.until)
        return round_.settled()

    def _try(self, round_: _Round, event: EventRecord, store_now: float) -> Tried:
        claimed = round_.claimed
        message = message_of(claimed, event, self._link)
        return self._poster.try_to_tell(
            claimed.endpoint, message, run_id=claimed.run_id, seq=event.seq, attempt=round_.tries + 1, store_now=store_now
        )

    def _wanted(self, claimed: Claimed) -> Iterator[EventRecord]:
        """Its events, oldest first, page by page."""
        after = claimed.after
        while page := [event for event in self._page(claimed, after) if event.seq <= claimed.until]:
            wanted = [event for event in page if claimed.endpoint.wants(event.type, claimed.plan)]
            seqs = [event.seq for event in wanted]
            told = self._outbox.delivered(claimed.endpoint.id, claimed.run_id, seqs) if claimed.missing_only else frozenset()
            yield from (event for event in wanted if event.seq not in told)
            after = page[-1].seq

    def _page(self, claimed: Claimed, after: int) -> list[EventRecord]:
        return self._store.events(claimed.run_id, after=after, limit=_PAGE)
