"""One try: whatever the other side does, it ends in time, reads little, and says in our own words what came of it."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from webhook_certificates import HOST, Certificates
from webhook_misbehaviour import HEAD, MISBEHAVIOUR, TOO_LATE
from webhook_receiver import OK, Reply, closes, drips, never, raw, receiving, resets, says

from provisioning_core.observers.webhooks._targets import TargetRules
from provisioning_core.observers.webhooks._transport import KEPT, MOST_READ, Answer, Limits, Transport

LIMITS = Limits(total=0.6, connect=0.4)
IN_TIME = 2.0
"""Seconds; the limit, and what a busy machine takes."""


def transport(**settings: Any) -> Transport:
    rules = TargetRules(allow_private=True)
    return Transport(rules, lambda host, port: ["127.0.0.1"], **({"limits": LIMITS} | settings))


@pytest.mark.parametrize(("reply", "status", "told"), [each[1:] for each in MISBEHAVIOUR], ids=[each[0] for each in MISBEHAVIOUR])
def test_it_ends_whatever_the_receiver_does(reply: Reply, status: int | None, told: str | None) -> None:
    with receiving(usual=reply) as receiver:
        began = time.monotonic()
        answer = transport().post(receiver.url(), {"webhook-id": "msg_1"}, b"{}")
        took = time.monotonic() - began
        assert took < IN_TIME
        assert (answer.status, answer.is_refused) == (status, False)
        assert receiver.connections == 1, "no redirect is followed, and nothing is tried twice"
        if status is None:
            assert answer.error.startswith(("It did not", "The connection", "Its answer"))
        if told is not None and (told or status is not None):
            assert told in (answer.body, answer.error)
        assert len(answer.body) <= KEPT


def test_no_more_is_read_than_allowed() -> None:
    sent = 0

    def count(connection: socket.socket, _: Any) -> None:
        nonlocal sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            sent += connection.send(b"a" * 4096)

    with receiving(usual=count) as receiver:
        assert transport().post(receiver.url(), {}, b"{}").status == 200
    assert sent < MOST_READ + 8_000_000, "what the system's buffers took"


DATES = ("Tue, 01 Jan 2030 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT")


@pytest.mark.parametrize("asked", ["5", "garbage", "-1", "99999999999", "", "1.5", *DATES])
def test_what_the_receiver_asks_for_is_handed_on(asked: str) -> None:
    with receiving(usual=says("503 Unavailable", f"Retry-After: {asked}")) as receiver:
        assert transport().post(receiver.url(), {}, b"{}").retry_after == asked


def test_a_closed_port_is_told() -> None:
    with receiving() as receiver:
        url = receiver.url()
    assert transport().post(url, {}, b"{}") == Answer(error="It refused the connection.")


def test_a_name_without_address_is_told() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    found = Transport(TargetRules(allow_private=True), resolve).post("https://hooks.example.com/", {}, b"{}")
    assert found == Answer(error="Its host's name could not be resolved.")


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with receiving() as receiver:
        rules = TargetRules(allow_private=True)
        many = Transport(rules, lambda host, port: ["127.0.0.2", "127.0.0.1"], limits=LIMITS)
        assert many.post(f"http://{HOST}:{receiver.port}/in", {}, b"{}").status == 204
        assert receiver.received[0].headers["host"] == f"{HOST}:{receiver.port}"


# TLS


def test_the_certificate_has_to_be_of_the_name_though_the_address_is_connected_to(certificates: Certificates) -> None:
    with receiving(tls=certificates.good) as receiver:
        asked: list[str | None] = []
        certificates.good.sni_callback = lambda _connection, name, _context: asked.append(name)
        answer = transport(ca_file=certificates.ca_file).post(f"https://{HOST}:{receiver.port}/in?x=1", {}, b"{}")
        certificates.good.sni_callback = None
        assert answer == Answer(status=204)
        assert asked == [HOST]
        assert receiver.received[0].path == "/in?x=1"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("expired", "Its certificate is not trusted: certificate has expired."),
        ("other_name", f"Its certificate is not trusted: Hostname mismatch, certificate is not valid for '{HOST}'."),
        ("self_made", "Its certificate is not trusted: unable to get local issuer certificate."),
    ],
)
def test_nothing_is_sent_under_a_certificate_that_does_not_hold(certificates: Certificates, kind: str, told: str) -> None:
    with receiving(tls=getattr(certificates, kind)) as receiver:
        answer = transport(ca_file=certificates.ca_file).post(f"https://{HOST}:{receiver.port}/in", {}, b"{}")
        assert (answer.status, answer.error) == (None, told)
        assert receiver.received == []


@pytest.mark.parametrize("reply", [raw(OK), never, closes, resets, drips(b"\x16\x03\x01", b"\x00")])
def test_a_receiver_that_does_not_encrypt_gets_nothing(certificates: Certificates, reply: Reply) -> None:
    with receiving(usual=reply, reads=False) as receiver:
        began = time.monotonic()
        answer = transport(ca_file=certificates.ca_file).post(f"https://{HOST}:{receiver.port}/in", {}, b"secret")
        assert time.monotonic() - began < IN_TIME
        assert answer.status is None
        assert answer.error


def test_slow_bytes_within_tls_end_in_time(certificates: Certificates) -> None:
    with receiving(usual=drips(HEAD, b"X: 1\r\n"), tls=certificates.good) as receiver:
        began = time.monotonic()
        answer = transport(ca_file=certificates.ca_file).post(f"https://{HOST}:{receiver.port}/in", {}, b"{}")
        assert time.monotonic() - began < IN_TIME
        assert answer == Answer(error=TOO_LATE)


def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert transport().post(receiver.url(), {}, b"{}").status == 204
        assert (proxy.connections, receiver.connections) == (0, 1)
