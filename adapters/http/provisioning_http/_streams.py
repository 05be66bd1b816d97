"""Live progress: one answer that goes on while a run does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import anyio
from fastapi.sse import EventSourceResponse
from starlette.types import Receive, Scope, Send

from provisioning_core import ProvisioningError, RunView
from provisioning_http import _wire as wire
from provisioning_http._call import Call
from provisioning_http._feed import ENDED, Line, Subscription
from provisioning_http._headers import SAFE
from provisioning_http._places import no_place
from provisioning_http._problems import Refused
from provisioning_http._rendering import status_body
from provisioning_http._wire import Position

PING_SECONDS = 15.0
"""Of silence until a comment is sent: proxies close what is silent, and a client that is gone is noticed by it."""
LINGER = 2.0
"""Seconds that a stream that is to end may take to send what it was sending."""
MAX_REPLAY = 10_000
"""Events. Who is further behind gets a fresh snapshot; all of the history can be had in pages."""
_PAGE = 1000
_log = logging.getLogger("provisioning_http")
_HEADERS = SAFE | {"X-Accel-Buffering": "no", "Vary": "Accept"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a stream begins: up to where its client has read, and what it is told first, if anything."""

    seq: int
    told: Literal["snapshot", "reset"] | None = None


def opening_of(view: RunView, last_id: str | None) -> Opening:
    """A client without an id gets a snapshot; one whose id can't be gone on from (of another run, not known, too old) a reset."""
    if last_id is None:
        return Opening(seq=view.seq, told="snapshot")
    position = Position.read(last_id, view.id)
    is_known = position is not None and position.run_id == view.id and view.seq - MAX_REPLAY <= position.seq <= view.seq
    return Opening(seq=position.seq) if is_known and position is not None else Opening(seq=view.seq, told="reset")


async def open_stream(call: Call, view: RunView, last_id: str | None) -> EventSourceResponse:
    """The answer to who asks for events as they come. Raises Refused (503) when too many are open or the server goes down."""
    if call.face.stop.is_set:
        raise Refused(503, "going_down", "The server is going down.", hint="Connect again.", headers={"Retry-After": "2"})
    if not call.face.places.has_one(call.principal):
        raise no_place()
    return Stream(call, view, opening_of(view, last_id), is_operator=await call.is_operator())


class Stream(EventSourceResponse):
    """History as it is recorded, each event once and in order, and progress in between: until the run ends, the time is up or the
    server goes down."""

    def __init__(self, call: Call, view: RunView, opening: Opening, *, is_operator: bool) -> None:
        self._call = call
        self._view = view
        self._opening = opening
        self._is_operator = is_operator
        self._is_ending = False
        self._subscription: Subscription | None = None
        super().__init__(self._chunks(), headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Takes a place for as long as it lasts, and ends when it is told to, even if its client takes nothing any more."""
        face = self._call.face
        with face.places.taken(self._call.principal) as is_taken, face.stop.listening():
            if not is_taken:
                await no_place().problem.response()(scope, receive, send)
                return
            with anyio.CancelScope() as bounds:
                ending = asyncio.create_task(self._end_in_time(bounds))
                try:
                    await super().__call__(scope, receive, send)
                finally:
                    ending.cancel()

    async def _end_in_time(self, bounds: anyio.CancelScope) -> None:
        face = self._call.face
        with anyio.move_on_after(face.limits.stream_seconds):
            await face.stop.wait()
        self._is_ending = True
        if self._subscription is not None:
            self._subscription.wake()
        await anyio.sleep(LINGER)
        bounds.cancel()

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self._first()
        if _has_ended(self._view) and self._opening.seq == self._view.seq:
            yield self._status("end", self._view)
            return
        with self._call.face.feed.subscribed(self._view.id, seq=self._view.seq, version=self._view.version) as subscription:
            self._subscription = subscription
            try:
                async for chunk in self._live(subscription):
                    yield chunk
            except ProvisioningError as error:  # the answer has begun: its client connects again, and is told then
                _log.warning("a stream ended early: %s", error)

    def _first(self) -> bytes:
        told = self._opening.told
        return wire.opening() + (self._status(told, self._view) if told is not None else b"")

    async def _live(self, subscription: Subscription) -> AsyncIterator[bytes]:
        seq = self._opening.seq
        version = -1 if self._opening.told is None else self._view.version
        while not self._is_ending and not subscription.is_gone:
            kept = subscription.after(seq)
            lines = await self._read(seq) if kept is None else kept
            if kept is None and (not lines or lines[0].seq != seq + 1):
                view = await self._call.asks(lambda: self._call.engine.status(run_id=self._view.id))
                seq, version = view.seq, view.version
                yield self._status("reset", view)
            elif lines:
                seq = lines[-1].seq
                yield b"".join(line.text(wire.history, is_operator=self._is_operator) for line in lines)
            elif subscription.final is not None and subscription.final.seq == seq:
                yield self._status("end", subscription.final)
                return
            elif (glance := subscription.glance) is not None and glance.view.version > version:
                version = glance.view.version
                yield glance.text(wire.progress)
            elif not await subscription.news(PING_SECONDS):
                yield wire.PING

    async def _read(self, seq: int) -> list[Line]:
        """From the store: who comes back has missed what nobody here has kept."""
        page = await self._call.asks(lambda: self._call.engine.events_page(run_id=self._view.id, after=seq, limit=_PAGE))
        return [Line(event) for event in page]

    def _status(self, name: str, view: RunView) -> bytes:
        body = status_body(view, self._call.links, is_operator=self._is_operator)
        return wire.named(name, body, Position(view.id, view.seq))


def _has_ended(view: RunView) -> bool:
    return view.is_resting and view.status in ENDED
