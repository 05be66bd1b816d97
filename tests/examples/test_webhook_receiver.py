"""The example's receiver takes what the engine sends, once, and nothing else."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from examples.webhook_receiver import MOST, Inbox, NotGenuine, server, verified
from provisioning_core import Engine, Plan, step
from provisioning_core.observers.webhooks import Webhooks
from provisioning_core.stores import MemoryStore

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type":"run.succeeded","data":{"tenant_id":"acme"}}'


@step
def one() -> int:
    return 1


def signed(body: bytes = BODY, *, secret: str = SECRET, at: datetime | None = None, message_id: str = "msg_1") -> dict[str, str]:
    when = at or datetime.now(UTC)
    signature = Webhook(secret).sign(message_id, when, body.decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(int(when.timestamp())), "webhook-signature": signature}


@pytest.fixture
def taken() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def listening(taken: list[dict[str, Any]]) -> Iterator[ThreadingHTTPServer]:
    with server(0, SECRET, Inbox(taken.append)) as found:
        threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True).start()
        yield found
        found.shutdown()


def post(listening: ThreadingHTTPServer, headers: dict[str, str], body: bytes = BODY) -> int:
    asked = urllib.request.Request(f"http://127.0.0.1:{listening.server_address[1]}/", data=body, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_what_is_genuine_is_taken_once(listening: ThreadingHTTPServer, taken: list[dict[str, Any]]) -> None:
    assert [post(listening, signed()) for _ in range(3)] == [204, 204, 204]
    assert post(listening, signed(message_id="msg_2")) == 204
    assert [each["data"]["tenant_id"] for each in taken] == ["acme", "acme"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(secret="whsec_" + "QUFB" * 8),
        signed(b'{"type":"run.failed"}'),
        signed(at=datetime.now(UTC) - timedelta(days=1)),
        signed(at=datetime.now(UTC) + timedelta(days=1)),
        {**signed(), "webhook-id": "msg_9"},
        {**signed(), "webhook-timestamp": "soon"},
        {**signed(), "webhook-signature": ""},
        {**signed(), "webhook-signature": "v1,"},
        {**signed(), "webhook-signature": "v2," + signed()["webhook-signature"].removeprefix("v1,")},
    ],
)
def test_what_is_not_is_refused(listening: ThreadingHTTPServer, taken: list[dict[str, Any]], headers: dict[str, str]) -> None:
    assert post(listening, headers) == 401
    assert taken == []


def test_what_is_too_large_is_not_read(listening: ThreadingHTTPServer) -> None:
    with socket.create_connection(listening.server_address[:2], timeout=10) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MOST + 1))
        assert connection.recv(100).split(b" ")[1] == b"413"


def test_it_reads_several_signatures_as_the_standards_library_does() -> None:
    headers, other = signed(), signed(secret="whsec_" + "QUFB" * 8)
    headers["webhook-signature"] = f"{other['webhook-signature']} v1a,xyz {headers['webhook-signature']}"
    now = datetime.now(UTC).timestamp()
    assert verified(SECRET, headers, BODY, now) == Webhook(SECRET).verify(BODY, headers)
    with pytest.raises(NotGenuine):
        verified(SECRET, headers, BODY + b" ", now)


def test_it_gets_what_an_engine_sends() -> None:
    """The program itself, started as its first lines say."""
    hooks = Webhooks(allow_private_targets=True, link="https://app.example.com/runs/{run_id}", poll=0.05)
    with Engine(store=MemoryStore(), plans=[Plan("workspace", steps=[one])], webhooks=hooks) as engine:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        view, secret = hooks.add(f"http://127.0.0.1:{port}/", events=["run.succeeded"])
        command = [sys.executable, str(ROOT / "examples" / "webhook_receiver.py"), str(port)]
        environment = {**os.environ, "WEBHOOK_SECRET": secret}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline() == f"listening on port {port}\n"
                assert hooks.test(view.id).status == 204
                assert process.stdout.readline() == "webhook.test\n"
                run = engine.start("workspace", subject="acme")
                assert process.stdout.readline() == f"run.succeeded  acme  https://app.example.com/runs/{run.id}\n"
            finally:
                process.kill()
