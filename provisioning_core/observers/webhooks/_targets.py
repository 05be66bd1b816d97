"""Where messages may go: an https address of a public host, or, if the operator allows it, any."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from provisioning_core.errors import InvalidInput
from provisioning_core.observers.webhooks._networks import is_public

Resolve = Callable[[str, int], Sequence[str]]
"""``resolve(host, port)``: all addresses of a host. Raises OSError when it has none."""

LONGEST_URL = 2000
_PORTS = {"https": 443, "http": 80}
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"({_LABEL}\.)+{_LABEL}")
_ANY_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCAL = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "arpa", "onion", "test", "invalid")
"""Last labels that are nobody's in the public name system."""


class TargetRefused(InvalidInput):
    """Webhooks are not sent to this address."""

    default_code = "webhook_target_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRules:
    """``allow_private``: any host and port, http too. ``ports``: those that a public host may be reached on."""

    allow_private: bool = False
    ports: frozenset[int] = frozenset({443})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A checked address."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query."""


def parse_target(url: str, rules: TargetRules) -> Target:
    """The address as it is written. Raises TargetRefused, which never repeats it: it may hold a token."""
    if not 1 <= len(url) <= LONGEST_URL or _VISIBLE.fullmatch(url) is None or "\\" in url:
        _refuse(f"It has to be 1 to {LONGEST_URL} visible ASCII signs, without backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse("It is no address.")
    _check_parts(parts, rules)
    host = _checked_host((parts.hostname or "").lower(), rules)
    if port == 0 or (not rules.allow_private and (port or _PORTS[parts.scheme]) not in rules.ports):
        _refuse(f"Its port is not one of those allowed: {', '.join(str(each) for each in sorted(rules.ports))}.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, port=port or _PORTS[parts.scheme], path=path)


def _check_parts(parts: SplitResult, rules: TargetRules) -> None:
    if parts.scheme != "https" and not (rules.allow_private and parts.scheme == "http"):
        _refuse("It has to begin with https://.")
    if "@" in parts.netloc:
        _refuse("It names a user; put a token into the path, or verify signatures instead.")
    if parts.fragment:
        _refuse("It has a fragment (#), which is never sent.")


def _checked_host(host: str, rules: TargetRules) -> str:
    if rules.allow_private:
        if _ANY_NAME.fullmatch(host) is None and not _is_address(host):
            _refuse("Its host is no name.")
        return host
    last = host.rpartition(".")[2]
    if _is_address(host) or _NUMBER.fullmatch(last):
        _refuse("Its host is a number; use a name.")
    if _NAME.fullmatch(host) is None or len(host) > 253:
        _refuse("Its host is no full name of the public name system.")
    if last in _LOCAL:
        _refuse("Its host is a name of a private network.")
    return host


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def vetted_addresses(target: Target, rules: TargetRules, resolve: Resolve) -> list[str]:
    """The addresses that may be connected to. Raises TargetRefused when one of them is not public, OSError when there is none."""
    found = list(dict.fromkeys(resolve(target.host, target.port)))
    if not found:
        raise OSError("the name has no address")
    if not rules.allow_private and not all(is_public(address) for address in found):
        _refuse("Its host leads into a private network.")
    return found


def resolve_by_system(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _refuse(why: str) -> NoReturn:
    hint = "An operator can allow private targets: Webhooks(allow_private_targets=True)."
    raise TargetRefused(f"Webhooks can't be sent to this address. {why}", hint=hint)
