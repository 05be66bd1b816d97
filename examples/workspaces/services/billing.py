"""A small billing service, after the manner of the big ones: customers over HTTP, and ``Idempotency-Key`` honoured.

Each customer is a file in ``billing/``, so that what a rollback left behind can be seen.
"""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from examples.workspaces.faults import strikes
from examples.workspaces.files import remove, write_whole
from examples.workspaces.settings import Settings


class Customers:
    """The customers on disk. The id comes from the idempotency key, so the same key can never make a second one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()

    def create(self, key: str, customer: dict[str, Any]) -> dict[str, Any] | None:
        """The customer made with this key, now or before; None when the key was used for a different one."""
        made = {"id": "cus_" + hashlib.sha256(key.encode()).hexdigest()[:16], **customer}
        path = self._path(made["id"])
        with self._lock:
            if path.exists():
                there: dict[str, Any] = json.loads(path.read_bytes())
                return there if there == made else None
            write_whole(path, json.dumps(made, indent=2).encode())
        return made

    def with_reference(self, reference: str) -> list[dict[str, Any]]:
        """All customers that carry this reference of the backend's."""
        everyone = [json.loads(path.read_bytes()) for path in sorted(self._folder.glob("cus_*.json"))]
        return [customer for customer in everyone if customer["reference"] == reference]

    def delete(self, customer_id: str) -> None:
        """Fine if there is none."""
        remove(self._path(customer_id))

    def _path(self, customer_id: str) -> Path:
        if not customer_id.removeprefix("cus_").isalnum():
            raise ValueError("a customer's id is cus_ and letters or digits")
        return self._folder / f"{customer_id}.json"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.settings = settings
        self.customers = Customers(settings.root / "billing")


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if strikes(self.server.settings, "billing"):
            return self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "billing is down for maintenance"})
        key = self.headers["Idempotency-Key"]
        if not key:
            return self._answer(HTTPStatus.BAD_REQUEST, {"error": "send an Idempotency-Key"})
        customer = self.server.customers.create(key, body)
        if customer is None:
            return self._answer(HTTPStatus.CONFLICT, {"error": "this Idempotency-Key was used for another customer"})
        return self._answer(HTTPStatus.OK, customer)

    def do_GET(self) -> None:
        reference = parse_qs(urlsplit(self.path).query).get("reference", [""])[0]
        self._answer(HTTPStatus.OK, {"customers": self.server.customers.with_reference(reference)})

    def do_DELETE(self) -> None:
        self.server.customers.delete(self.path.rsplit("/", 1)[1])
        self._answer(HTTPStatus.OK, {"deleted": True})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's own name
        """Quiet: the demo's lines are what is to be read."""

    def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class BillingService:
    """The service, listening on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, settings: Settings) -> None:
        self._server = _Server(settings)
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="billing", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
