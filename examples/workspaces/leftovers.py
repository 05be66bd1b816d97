"""Looks everywhere a tenant leaves traces, without asking the engine."""

from __future__ import annotations

from collections.abc import Callable

from examples.workspaces import tenants
from examples.workspaces.services.mail import mails
from examples.workspaces.settings import DOMAIN, Settings
from examples.workspaces.systems import billing, databases, storage, vhosts


def leftovers(settings: Settings, slug: str) -> list[str]:
    """What there is of the tenant, each in a few words; empty when nothing is left but the row that says it failed."""
    host = f"{slug}.{DOMAIN}"
    checks: dict[str, Callable[[], bool]] = {
        "its database": lambda: databases.exists(settings, slug),
        "its storage area": lambda: storage.find(settings, slug) is not None,
        "its certificate": lambda: settings.tls_folder(slug).exists(),
        "its virtual host": lambda: settings.vhost_file(host).exists(),
        "its published link": lambda: settings.vhost_file(host, enabled=True).is_symlink(),
        "its pages": lambda: settings.public_folder(slug).exists(),
        "its site": lambda: answers(settings, host),
        "its billing customer": lambda: billing.find(settings, slug) is not None,
        "its seed data": lambda: _has_documents(settings, slug),
        "its host name": lambda: _has_host(settings, slug),
        "a welcome mail without a goodbye": lambda: _was_only_welcomed(settings, slug),
    }
    return [what for what, is_there in checks.items() if is_there()]


def answers(settings: Settings, host: str) -> bool:
    """Whether the site answers over HTTPS."""
    try:
        vhosts.visit(settings, host)
    except OSError:
        return False
    return True


def tenant_state(settings: Settings, slug: str) -> str:
    """The tenant's status in the backend's own table."""
    with tenants.connected(settings) as connection:
        row = tenants.row_of(connection, slug)
    return row["status"] if row else "unknown"


def _has_documents(settings: Settings, slug: str) -> bool:
    with tenants.connected(settings) as connection:
        return bool(tenants.documents_of(connection, slug))


def _has_host(settings: Settings, slug: str) -> bool:
    with tenants.connected(settings) as connection:
        row = tenants.row_of(connection, slug)
    return row is not None and row["host"] is not None


def _was_only_welcomed(settings: Settings, slug: str) -> bool:
    subjects = [str(mail["Subject"]) for mail in mails(settings, f"founder@{slug}.example")]
    return bool(subjects) and "ready" in subjects[-1]
