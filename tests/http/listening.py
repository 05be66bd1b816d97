"""An event stream as its client sees it: the app is driven in the test's own event loop, one message at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

SOON = 10.0
"""Seconds after which a test gives up."""


@dataclass(frozen=True, slots=True)
class Message:
    """One server-sent event; ``message`` is the name of those without one."""

    name: str
    id: str
    data: Any

    @property
    def seq(self) -> int:
        return int(self.id.rpartition(":")[2])


def messages_in(text: str) -> list[Message]:
    """All events in a stream's text, read as browsers read them."""
    return [message for block in text.split("\n\n") if (message := _message(block)) is not None]


def _message(block: str) -> Message | None:
    fields: dict[str, str] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(":")
        if name:
            fields[name] = f"{fields[name]}\n{value.lstrip(' ')}" if name in fields else value.removeprefix(" ")
    if "data" not in fields:
        return None
    return Message(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))


class Listener:
    """One open stream."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""
        self.is_complete = False
        self.takes = asyncio.Event()
        self.takes.set()
        self.is_gone = asyncio.Event()
        self._begun = asyncio.Event()
        self._changed = asyncio.Event()
        self._read = 0

    async def receive(self) -> dict[str, Any]:
        if not self._begun.is_set():
            self._begun.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.takes.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()
            self.is_complete = not message.get("more_body", False)
        self._changed.set()

    async def until(self, condition: Any) -> None:
        """Wait until this holds of the listener."""
        async with asyncio.timeout(SOON):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def next(self) -> Message:
        """The next event. Fails when the stream ends instead."""
        await self.until(lambda _: len(self.messages) > self._read or self.is_complete)
        message = self.messages[self._read]
        self._read += 1
        return message

    async def to_the_end(self) -> list[Message]:
        """All events, when the stream is closed."""
        await self.until(lambda _: self.is_complete)
        return self.messages

    @property
    def messages(self) -> list[Message]:
        return messages_in(self.text)


@asynccontextmanager
async def listening(app: Any, url: str, person: str = "", last_id: str | None = None) -> AsyncIterator[Listener]:
    """A stream that is left when the block ends."""
    listener = Listener()
    headers = {"accept": "text/event-stream", "host": "testserver"}
    headers |= {"authorization": f"Bearer {person}"} if person else {}
    headers |= {} if last_id is None else {"last-event-id": last_id}
    task = asyncio.create_task(app(_scope(url, headers.items()), listener.receive, listener.send))
    try:
        yield listener
    finally:
        listener.is_gone.set()
        listener.takes.set()
        async with asyncio.timeout(SOON):
            await task


def _scope(url: str, headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": parts.path,
        "raw_path": quote(parts.path).encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1234),
        "server": ("testserver", 80),
        "state": {},
    }
