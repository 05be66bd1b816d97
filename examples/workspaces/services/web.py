"""The web server of all tenants: one port, HTTPS, a virtual host per tenant, chosen by the name that the client asks for (SNI).

It reads a host's configuration when a client comes, so publishing a site is a matter of one link in ``vhosts/enabled``.
"""

from __future__ import annotations

import re
import socket
import ssl
import tomllib
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from examples.workspaces.models import VirtualHost
from examples.workspaces.settings import Settings

HANDSHAKE_SECONDS = 5.0


def read_vhost(path: Path) -> VirtualHost:
    """The virtual host that a configuration file describes. Raises OSError, ValueError (not TOML, or a key missing)."""
    return VirtualHost.model_validate(tomllib.loads(path.read_text())["server"])


def context_of(vhost: VirtualHost) -> ssl.SSLContext:
    """What the server shows of this host. Raises ssl.SSLError when the key is not the certificate's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(vhost.certificate, vhost.key)
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.settings = settings
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.sni_callback = self._choose

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, so that a slow handshake holds up nobody else."""
        request.settimeout(HANDSHAKE_SECONDS)
        try:
            secure = self._context.wrap_socket(request, server_side=True)
        except OSError:
            return
        with secure:
            super().finish_request(secure, client_address)

    def shutdown_request(self, request: Any) -> None:
        """The connection's TLS socket has closed it already."""
        request.close()

    def vhost(self, host: str) -> VirtualHost | None:
        """The published host of this name."""
        if not re.fullmatch(r"[a-z0-9.-]{1,253}", host):
            return None
        try:
            return read_vhost(self.settings.vhost_file(host, enabled=True))
        except (OSError, ValueError, KeyError):
            return None

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        vhost = self.vhost(name or "")
        if vhost is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context_of(vhost)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        vhost = self.server.vhost(self.headers.get("Host", "").partition(":")[0])
        page = Path(vhost.root) / "index.html" if vhost and self.path == "/" else None
        if page is None or not page.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        data = page.read_bytes()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's own name
        """Quiet: the demo's lines are what is to be read."""


class WebServer:
    """The server, listening on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, settings: Settings) -> None:
        self._server = _Server(settings)
        self.port: int = self._server.server_address[1]
        self._thread = Thread(target=partial(self._server.serve_forever, poll_interval=0.05), name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def fetch(host: str, *, port: int, authority: Path) -> str:
    """The front page of a site, over HTTPS, the certificate checked against the local authority.

    The name is not looked up anywhere: the connection goes to loopback and names the host. Raises OSError (also when the
    server knows no such host, or shows a certificate that does not fit).
    """
    context = ssl.create_default_context(cafile=str(authority))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=HANDSHAKE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(partial(secure.recv, 65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1] != b"200":
        raise OSError(f"https://{host}/ answered: {head.splitlines()[0].decode(errors='replace')}")
    return body.decode()
