"""Deleting runs that ended long ago."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, Select, delete, exists, func, select, text
from sqlalchemy.exc import OperationalError

from provisioning_core.errors import InvalidInput, SchemaMismatch
from provisioning_core.model import RunStatus
from provisioning_core.stores.sql._again import again
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._schema import version_of
from provisioning_core.stores.sql._tables import graphs, runs, webhook_endpoints, webhook_queues

ENDED = ("SUCCEEDED", "ROLLED_BACK", "CANCELLED")
_CAN_GO = frozenset({*ENDED, RunStatus.FAILED.value})
_AT_ONCE = 200


def prune(database: Database, *, before: float, statuses: Collection[str], keep_latest: bool) -> int:
    """Delete in many small transactions, so that nobody waits long."""
    for status in statuses:
        if status not in _CAN_GO:
            hint = f"Runs can be deleted when they are {', '.join(sorted(_CAN_GO))}."
            raise InvalidInput(f"Runs that are {status!s} can't be deleted.", code="not_ended", hint=hint)
    if version_of(database) is None:
        raise SchemaMismatch("The database has no schema yet, so there is nothing to delete.", hint="Is it the right one?")
    wanted = _ended(before, [str(status) for status in statuses], keep_latest)
    total = 0
    while (deleted := again(lambda: _delete_some(database, wanted))) > 0:
        total += deleted
    _delete_graphs(database)
    return total


def _ended(before: float, statuses: Sequence[str], keep_latest: bool) -> Select[tuple[str]]:
    untold = (
        exists()
        .where(webhook_queues.c.run_id == runs.c.id, webhook_endpoints.c.id == webhook_queues.c.endpoint, webhook_endpoints.c.enabled)
        .correlate(runs)
    )
    ended = select(runs.c.id).where(runs.c.status.in_(statuses), runs.c.finished_at < before, runs.c.owner.is_(None), ~untold)
    if keep_latest:
        other = runs.alias()
        latest = select(func.max(other.c.number)).where(other.c.subject == runs.c.subject).scalar_subquery()
        ended = ended.where(runs.c.number < latest)
    return ended.limit(_AT_ONCE).with_for_update(of=runs, skip_locked=True)


def _delete_some(database: Database, wanted: Select[tuple[str]]) -> int:
    """What belongs to a run goes with it: its foreign keys say so."""
    with database.write() as connection, database.translated():
        ids = list(connection.execute(wanted).scalars())
        if ids:
            connection.execute(delete(runs).where(runs.c.id.in_(ids)))
        return len(ids)


def _delete_graphs(database: Database) -> None:
    """Those that no run goes by any more. While runs are being created it is left for the next time."""
    with database.write() as connection, database.translated():
        if database.sql.name != "postgresql" or _are_alone(connection):
            connection.execute(delete(graphs).where(~exists().where(runs.c.fingerprint == graphs.c.fingerprint)))


def _are_alone(connection: Connection) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(text("LOCK TABLE provisioning_graphs IN EXCLUSIVE MODE NOWAIT"))
    except OperationalError:
        return False
    return True
