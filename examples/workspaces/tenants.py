"""The backend's own tables, which the library knows nothing of, and how the tenant's row is kept in step with its run."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from examples.workspaces.models import Tenant, Workspace
from examples.workspaces.settings import DOMAIN, Settings
from examples.workspaces.sql import transaction
from provisioning_core import RunStatus, StatusChange

ONBOARDING, ACTIVE, CLOSING, CLOSED, FAILED = "ONBOARDING", "ACTIVE", "CLOSING", "CLOSED", "FAILED"

metadata = MetaData()

tenants = Table(
    "tenants",
    metadata,
    Column("slug", String(40), primary_key=True),
    Column("company", String(100), nullable=False, default=""),
    Column("status", String(20), nullable=False),
    Column("host", String(100), unique=True),
    Column("token_digest", String(64)),
)

documents = Table(
    "documents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(40), nullable=False, index=True),
    Column("title", String(200), nullable=False),
    Column("body", Text, nullable=False),
)


class NameTaken(Exception):
    """Another tenant has this name."""


_STATE_OF = {
    RunStatus.SUCCEEDED: ACTIVE,
    RunStatus.FAILED: FAILED,
    RunStatus.CANCELLED: FAILED,
    RunStatus.ROLLED_BACK: FAILED,
    RunStatus.ROLLBACK_FAILED: FAILED,
}


def prepare(settings: Settings) -> None:
    """Make the backend's tables, if they are not there yet."""
    settings.root.mkdir(parents=True, exist_ok=True)
    with connected(settings) as connection:
        metadata.create_all(connection)


def connected(settings: Settings) -> AbstractContextManager[Connection]:
    """One transaction on the backend's database."""
    return transaction(settings.backend_url)


def follow(change: StatusChange, connection: Any) -> None:
    """Set the tenant's status to fit the run's; called in the transaction that commits the run's change, so both always agree."""
    row = connection.execute(select(tenants.c.status).where(tenants.c.slug == change.subject)).one_or_none()
    status = next_status(row.status if row else ONBOARDING, change)
    if row is None:
        connection.execute(insert(tenants).values(slug=change.subject, status=status))
    elif row.status != status:
        connection.execute(update(tenants).where(tenants.c.slug == change.subject).values(status=status))


def next_status(present: str, change: StatusChange) -> str:
    """A tenant that is active and whose run is rolled back is being closed; all other runs bring it on board, or fail to."""
    if change.old is RunStatus.SUCCEEDED and change.new is RunStatus.ROLLING_BACK:
        return CLOSING
    if present == CLOSING:
        return CLOSED if change.new is RunStatus.ROLLED_BACK else CLOSING
    return _STATE_OF.get(change.new, ONBOARDING)


def sign_up(connection: Connection, workspace: Workspace, token: str) -> None:
    """Enter a new tenant, or anew one that failed or left. Raises NameTaken."""
    values = {"company": workspace.company, "status": ONBOARDING, "token_digest": digest(token)}
    free = tenants.c.status.in_([FAILED, CLOSED])
    if connection.execute(update(tenants).where(tenants.c.slug == workspace.slug, free).values(values)).rowcount == 0:
        try:
            connection.execute(insert(tenants).values(slug=workspace.slug, **values))
        except IntegrityError as error:
            raise NameTaken(f"The name {workspace.slug!r} is taken, please choose another.") from error


def digest(token: str) -> str:
    """What is kept of a tenant's access token."""
    return hashlib.sha256(token.encode()).hexdigest()


def row_of(connection: Connection, slug: str) -> dict[str, Any] | None:
    """One tenant, as the backend has it."""
    found = connection.execute(select(tenants).where(tenants.c.slug == slug)).mappings().one_or_none()
    return dict(found) if found else None


def allocate_host(session: Session, workspace: Workspace) -> Tenant:
    """Give the tenant its host name; the table's unique constraint keeps two tenants from having the same one."""
    tenant = Tenant(slug=workspace.slug, host=f"{workspace.slug}.{DOMAIN}")
    session.execute(update(tenants).where(tenants.c.slug == tenant.slug).values(host=tenant.host, company=workspace.company))
    return tenant


def free_host(session: Session, slug: str) -> None:
    """Take the host name away from the tenant."""
    session.execute(update(tenants).where(tenants.c.slug == slug).values(host=None))


def add_documents(session: Session, slug: str, pairs: list[tuple[str, str]]) -> None:
    """Give the tenant these documents, and no others."""
    remove_documents(session, slug)
    session.execute(insert(documents), [{"tenant": slug, "title": title, "body": body} for title, body in pairs])


def remove_documents(session: Session, slug: str) -> None:
    """Remove all of the tenant's documents."""
    session.execute(delete(documents).where(documents.c.tenant == slug))


def documents_of(connection: Connection, slug: str) -> list[tuple[str, str]]:
    """Title and body of each of the tenant's documents."""
    rows = connection.execute(select(documents.c.title, documents.c.body).where(documents.c.tenant == slug).order_by(documents.c.id))
    return [(row.title, row.body) for row in rows]
