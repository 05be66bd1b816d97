"""Mail to the tenant's people, over SMTP."""

from __future__ import annotations

import hashlib
import smtplib
from email.message import EmailMessage

from examples.workspaces import services
from examples.workspaces.settings import Settings

SENDER = "hello@workspaces.example"
TIMEOUT_SECONDS = 10.0


def send(settings: Settings, *, to: str, subject: str, body: str, idempotency_key: str) -> str:
    """Send one mail; its Message-ID, which is the same whenever the key is, so that a second copy can be told from a second mail.

    Raises smtplib.SMTPException when the server refuses it, OSError when it can't be reached.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, to, subject
    message["Message-ID"] = f"<{hashlib.sha256(idempotency_key.encode()).hexdigest()[:32]}@workspaces.example>"
    message.set_content(body)
    with smtplib.SMTP("127.0.0.1", services.find(settings).smtp, local_hostname="localhost", timeout=TIMEOUT_SECONDS) as server:
        server.send_message(message)
    return str(message["Message-ID"])
