"""A certificate authority of the tests' own, and servers' contexts: a good one, and some that are not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

HOST = "hooks.example.com"


@dataclass(frozen=True)
class Certificates:
    """``ca_file`` is what a client has to trust."""

    ca_file: str
    good: ssl.SSLContext
    expired: ssl.SSLContext
    other_name: ssl.SSLContext
    self_made: ssl.SSLContext


def make_certificates(folder: Path) -> Certificates:
    authority, stranger, ca_file = trustme.CA(), trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    past = datetime.now(UTC) - timedelta(days=1)
    return Certificates(
        ca_file=str(ca_file),
        good=_server(authority.issue_cert(HOST)),
        expired=_server(authority.issue_cert(HOST, not_before=past - timedelta(days=9), not_after=past)),
        other_name=_server(authority.issue_cert("other.example.com")),
        self_made=_server(stranger.issue_cert(HOST)),
    )


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
