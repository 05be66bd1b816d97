"""Sends one message to one address, within limits of time and size, and never raises for what the other side does.

Theory of operation. The name is resolved here, every address it has is checked, and the connection goes to one of these addresses
and nowhere else: a name that says something else a moment later changes nothing. Certificate and SNI are the name's. Nothing is taken
from the environment, no redirect is followed, no answer is decompressed, and one deadline holds for all of it.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from provisioning_core.observers.webhooks._targets import Resolve, Target, TargetRefused, TargetRules, parse_target, vetted_addresses
from provisioning_core.observers.webhooks._timed import TimedSocket, TimedTls, TooLong, time_left

MOST_READ = 16 * 1024
"""Bytes of an answer that are read."""
KEPT = 1024
"""Characters of them that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds: for all of a try, and for one connection."""

    total: float = 15.0
    connect: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of it: a status with the beginning of a body, or an error."""

    status: int | None = None
    retry_after: str | None = None
    body: str = ""
    error: str = ""
    is_refused: bool = False
    """Nothing was sent: the address is not allowed."""


class Transport:
    """Posts messages. Can be used by many threads at once."""

    def __init__(self, rules: TargetRules, resolve: Resolve, *, limits: Limits | None = None, ca_file: str | None = None) -> None:
        self._rules = rules
        self._resolve = resolve
        self._limits = limits or Limits()
        self._context = _context(ca_file)

    def check(self, url: str) -> None:
        """Raises TargetRefused when nothing may be sent there, as far as its name can be resolved now."""
        target = parse_target(url, self._rules)
        if self._rules.allow_private:
            return
        with suppress(OSError, UnicodeError):  # a name may come to life later; each try looks again
            vetted_addresses(target, self._rules, self._resolve)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it."""
        deadline = time.monotonic() + self._limits.total
        try:
            target = parse_target(url, self._rules)
            addresses = vetted_addresses(target, self._rules, self._resolve)
        except TargetRefused as error:
            return Answer(error=error.message, is_refused=True)
        except (OSError, UnicodeError):
            return Answer(error="Its host's name could not be resolved.")
        try:
            return self._exchange(target, addresses, headers, body, deadline)
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            return Answer(error=_in_words(error, self._limits))

    def _exchange(self, target: Target, addresses: list[str], headers: Mapping[str, str], body: bytes, deadline: float) -> Answer:
        connection = _connection_to(target, addresses, self._context, self._limits, deadline)
        try:
            connection.connect()
            connection.request("POST", target.path, body=body, headers=dict(headers), preload_content=False, decode_content=False)
            response = connection.getresponse()
            return Answer(status=response.status, retry_after=response.headers.get("Retry-After"), body=_beginning(response))
        finally:
            connection.close()


def _beginning(response: Any) -> str:
    """How the body begins. One that does not come, or is garbage, does not change what the status says."""
    try:
        data = response.read(MOST_READ, decode_content=False)
    except (HTTPError, http.client.HTTPException, OSError, ValueError):
        return ""
    return _printable(data[: KEPT * 4].decode("utf-8", "replace"))[:KEPT]


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\ufffd" for sign in text)


def _context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = TimedTls
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class _Pinned:
    """Connects to one of the vetted addresses, whatever the name says by now. Mixed into the two kinds of connections."""

    def __init__(self, *arguments: Any, addresses: list[str], limits: Limits, deadline: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._addresses = addresses
        self._limits = limits
        self._deadline = deadline

    def _new_conn(self) -> socket.socket:
        """The connection under it all; urllib3 asks for it here."""
        failed: OSError = OSError("no address")
        for address in self._addresses:
            try:
                return self._connected(address)
            except OSError as error:
                failed = error
        raise failed

    def _connected(self, address: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        plain = TimedSocket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(min(self._limits.connect, time_left(self._deadline)))
            plain.connect((address, self.port))  # type: ignore[attr-defined]  # the connection's
            plain.settimeout(time_left(self._deadline))
            plain.deadline = self._deadline
        except BaseException:
            plain.close()
            raise
        return plain


class _PinnedHttp(_Pinned, HTTPConnection):
    pass


class _PinnedHttps(_Pinned, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        assert isinstance(self.sock, TimedTls)  # noqa: S101  the context makes no others
        self.sock.deadline = self._deadline


def _connection_to(
    target: Target, addresses: list[str], context: ssl.SSLContext, limits: Limits, deadline: float
) -> _PinnedHttp | _PinnedHttps:
    given: dict[str, Any] = {"addresses": addresses, "limits": limits, "deadline": deadline, "timeout": limits.total}
    if target.scheme == "http":
        return _PinnedHttp(target.host, target.port, **given)
    return _PinnedHttps(target.host, target.port, ssl_context=context, **given)


def _in_words(error: Exception, limits: Limits) -> str:
    """In words of ours: an exception's own may repeat what was sent."""
    match error:
        case TimeoutError():
            return f"It did not answer within {limits.total:g} s."
        case TooLong():
            return "Its answer was too long."
        case ssl.SSLCertVerificationError():
            return f"Its certificate is not trusted: {error.verify_message.rstrip('.')}."
        case ssl.SSLError():
            return "The encrypted connection could not be made, or broke."
        case ConnectionRefusedError():
            return "It refused the connection."
        case OSError():
            return f"The connection broke ({type(error).__name__})."
        case _:
            return f"Its answer was not understood ({type(error).__name__})."
