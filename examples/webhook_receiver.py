"""A receiver of webhooks that checks what it gets; the standard library alone, to be copied into whatever you have.

    WEBHOOK_SECRET=whsec_... python examples/webhook_receiver.py 8080

What a receiver has to do: verify the signature over the bytes as they came, before anything else; refuse what is old; take an
event once, though it may come twice, by its ``webhook-id``; and answer 2xx at once, before it begins to work on it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOLERANCE = 300
"""Seconds that a message may be old, or ahead of our clock."""
MOST = 64 * 1024
"""Bytes of a message that are read."""


class NotGenuine(Exception):
    """Somebody else sent it, or it was changed, or it is old."""


def verified(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> dict[str, Any]:
    """The message. Raises NotGenuine."""
    message_id, timestamp, given = (headers.get(f"webhook-{name}") or "" for name in ("id", "timestamp", "signature"))
    if not timestamp.isdecimal() or abs(now - int(timestamp)) > TOLERANCE:
        raise NotGenuine("it is old, or has no time")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # Several signatures come while a secret is being replaced.
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in given.split(" ")):
        raise NotGenuine("its signature does not fit")
    message: dict[str, Any] = json.loads(body)
    return message


class Inbox:
    """Takes each event once. A product keeps the ids in its database, in the transaction that acts on the event."""

    def __init__(self, act: Callable[[dict[str, Any]], None]) -> None:
        self._act = act
        self._seen: set[str] = set()

    def take(self, message_id: str, message: dict[str, Any]) -> None:
        if message_id not in self._seen:
            self._act(message)
            self._seen.add(message_id)


def server(port: int, secret: str, inbox: Inbox, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Answers 204 to what is genuine, 401 to all else. TLS is left to what stands before it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("content-length") or ""
            if not length.isdecimal() or int(length) > MOST:
                return self._answer(413)
            body = self.rfile.read(int(length))
            try:
                message = verified(secret, self.headers, body, time.time())
            except NotGenuine:
                return self._answer(401)
            inbox.take(self.headers["webhook-id"], message)
            return self._answer(204)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return ThreadingHTTPServer((host, port), Handler)


def show(message: dict[str, Any]) -> None:
    """What a product would act on: mark the tenant as ready, tell billing, open a ticket."""
    data = message["data"]
    print(f"{message['type']}  {data.get('tenant_id', '')}  {data.get('link') or ''}".rstrip(), flush=True)


def main() -> None:
    with server(int(sys.argv[1]), os.environ["WEBHOOK_SECRET"], Inbox(show)) as listening:
        print(f"listening on port {listening.server_address[1]}", flush=True)
        listening.serve_forever()


if __name__ == "__main__":
    main()
