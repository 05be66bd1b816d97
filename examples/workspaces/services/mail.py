"""A local mail server: takes mail over SMTP and keeps each one as a file in ``mail/``, a folder per recipient."""

from __future__ import annotations

import email
import hashlib
import socket
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import TYPE_CHECKING

from examples.workspaces.faults import strikes
from examples.workspaces.files import write_whole
from examples.workspaces.settings import Settings
from provisioning_core import MissingExtra

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session


class _Mailbox:
    """Stores what it is handed. A mail that is sent twice under one Message-ID is kept once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's own name
        if strikes(self._settings, "mail"):
            return "451 4.3.0 The mailbox is busy, try again later"
        data = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        message_id = str(email.message_from_bytes(data)["Message-ID"])
        for recipient in envelope.rcpt_tos:
            write_whole(mailbox(self._settings, recipient) / f"{hashlib.sha256(message_id.encode()).hexdigest()[:16]}.eml", data)
        return "250 Kept"


class MailServer:
    """The server, listening on a free port of 127.0.0.1 until it is closed."""

    def __init__(self, settings: Settings) -> None:
        try:
            from aiosmtpd.controller import Controller
        except ImportError as error:
            raise MissingExtra("examples", "the example's mail server") from error
        self._controller = Controller(_Mailbox(settings), hostname="127.0.0.1", port=_free_port(), server_hostname="localhost")
        self._controller.start()
        self.port: int = self._controller.port

    def close(self) -> None:
        self._controller.stop()


def _free_port() -> int:
    """The controller connects to the port it was told, so it can't be told 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def mailbox(settings: Settings, address: str) -> Path:
    """The folder of one recipient's mail."""
    return settings.root / "mail" / address.replace("/", "_")


def mails(settings: Settings, address: str) -> list[EmailMessage]:
    """All mail that one recipient has got, oldest first."""
    files = sorted(mailbox(settings, address).glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    return [email.message_from_bytes(path.read_bytes(), policy=default) for path in files]
