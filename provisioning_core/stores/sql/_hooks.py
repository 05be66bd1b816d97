"""What the product's hook is told, in the transaction that it is true with."""

from __future__ import annotations

from sqlalchemy import Connection

from provisioning_core.model import StatusChange
from provisioning_core.ports import NewRun, RunChange, StatusHook


def created_by(new: NewRun) -> StatusChange:
    """A run's first status."""
    run = new.run
    return StatusChange(run_id=run.id, subject=run.subject, plan=run.plan, old=None, new=run.status, at=run.created_at)


def is_there_and_back(change: RunChange) -> bool:
    """Whether only the status that is stored can say if there is anything to tell."""
    told = change.status_change
    return told is not None and told.old is told.new


def tell(hook: StatusHook | None, change: StatusChange | None, connection: Connection) -> None:
    if hook is not None and change is not None:
        hook(change, connection)
