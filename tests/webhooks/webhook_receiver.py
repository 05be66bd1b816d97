"""A receiver that behaves as it is told: well, or in one of many ways badly. It speaks over bare sockets."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

Reply = Callable[[socket.socket, "Receiver"], None]
OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
ENDLESS = 64 * 1024


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def seq(self) -> int:
        return self.told["data"]["seq"]


def says(status: str, *headers: str, body: bytes = b"") -> Reply:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "", ""]
    return lambda connection, _: connection.sendall("\r\n".join(lines).encode() + body)


def raw(data: bytes) -> Reply:
    """These bytes, and the end."""
    return lambda connection, _: connection.sendall(data)


def never(connection: socket.socket, receiver: Receiver) -> None:
    receiver.is_over.wait(20)


def closes(connection: socket.socket, receiver: Receiver) -> None:
    pass


def resets(connection: socket.socket, receiver: Receiver) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drips(head: bytes, drop: bytes, every: float = 0.05) -> Reply:
    """The head at once, then a drop again and again."""

    def drip(connection: socket.socket, receiver: Receiver) -> None:
        connection.sendall(head)
        while not receiver.is_over.wait(every):
            connection.sendall(drop)

    return drip


def floods(head: bytes, chunk: bytes) -> Reply:
    """The head, then as much as is taken."""

    def flood(connection: socket.socket, receiver: Receiver) -> None:
        connection.sendall(head)
        while not receiver.is_over.is_set():
            connection.sendall(chunk)

    return flood


def http_date(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


def bomb() -> bytes:
    body = gzip.compress(b"\0" * 20_000_000)
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@dataclass
class Receiver:
    """``replies`` are used up one after the other, by path; then ``chooses`` says how to reply, or else ``usual`` does.

    ``tls`` wraps its connections. With ``reads=False`` it does not wait for a request.
    """

    usual: Reply = field(default_factory=lambda: raw(OK))
    chooses: Callable[[Received], Reply] | None = None
    tls: ssl.SSLContext | None = None
    reads: bool = True
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path: str = "/in") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Received]:
        """The first so many requests, or as many as came in time."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.received) >= count, timeout)
            return list(self.received)

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Whether it came true; asked after each request."""
        with self._arrived:
            return self._arrived.wait_for(condition, timeout)

    def close(self) -> None:
        self.is_over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        with connection:
            try:
                if self.tls is not None:
                    with self.tls.wrap_socket(connection, server_side=True) as inside:
                        self._answer(inside)
                else:
                    self._answer(connection)
            except (OSError, ValueError):
                pass

    def _answer(self, connection: socket.socket) -> None:
        reply = self._reply_to(_read(connection)) if self.reads else self.usual
        reply(connection, self)

    def _reply_to(self, request: Received) -> Reply:
        with self._arrived:
            self.received.append(request)
            waiting, chosen = self.replies.get(request.path), self.usual if self.chooses is None else self.chooses(request)
            self._arrived.notify_all()
            return waiting.pop(0) if waiting else chosen


def _read(connection: socket.socket) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return Received(first.split(" ")[1], headers, body, time.time())


@contextmanager
def receiving(**settings: Any) -> Iterator[Receiver]:
    receiver = Receiver(**settings)
    try:
        yield receiver
    finally:
        receiver.close()
