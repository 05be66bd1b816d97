"""One transaction for one attempt of a transactional step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from provisioning_core.errors import LeaseLost, ProvisioningError, StoreUnavailable
from provisioning_core.model import Completion, ResourceRecord
from provisioning_core.stores.sql._again import again
from provisioning_core.stores.sql._database import Database
from provisioning_core.stores.sql._writing import Writer

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class SqlAttempt:
    """The step's session, and what is noted beside its writes.

    The session works in a savepoint, so a step that commits or rolls back by itself ends that only. What the engine notes is kept
    until the session's part is done, and written behind it: a step's own rollback can't undo it.
    """

    def __init__(self, connection: Connection, database: Database, writer: Writer, run_id: str, epoch: int) -> None:
        from sqlalchemy.orm import Session

        self.session: Session = Session(bind=connection, join_transaction_mode="create_savepoint")
        self._connection = connection
        self._transaction = connection.get_transaction()
        self._database = database
        self._writer = writer
        self._run_id = run_id
        self._epoch = epoch
        self._resources: list[ResourceRecord] = []
        self._completion: Completion | None = None
        self._is_checked = False

    def record(self, resources: Sequence[ResourceRecord]) -> None:
        """Enter resources into the ledger in the same transaction."""
        self._resources.extend(resources)

    def complete(self, completion: Completion) -> None:
        """Note the output in the same transaction. Raises LeaseLost when the run's epoch moved on."""
        self._end_the_steps_part()
        self._check_epoch()
        with self._database.translated():
            self._writer.add_completions(self._connection, self._run_id, [completion])
        self._completion = completion

    def finish(self) -> None:
        """All that is left before the commit."""
        self._end_the_steps_part()
        self._check_epoch()
        with self._database.translated():
            self._writer.add_resources(self._connection, ((self._run_id, entry) for entry in self._resources))

    def was_committed(self, lost: StoreUnavailable) -> bool:
        """The commit failed: whether it happened all the same. False when that can't be told; raises when it is known not to have."""
        noted = self._completion
        if noted is None or not lost.is_unknown:
            raise lost
        try:
            is_recorded = again(lambda: self._is_recorded(noted))
        except StoreUnavailable:
            return False
        if not is_recorded:
            raise StoreUnavailable("The step's transaction was not committed.", is_transient=True) from lost
        return True

    def _is_recorded(self, noted: Completion) -> bool:
        with self._database.write() as connection, self._database.translated():
            epoch, found = self._writer.completed(connection, self._run_id, noted.step)
        if epoch != self._epoch:
            raise LeaseLost
        return found == noted.token

    def _end_the_steps_part(self) -> None:
        if self._transaction is None or not self._transaction.is_active:
            hint = "Use the session's own commit() and rollback(), not its connection's."
            raise ProvisioningError("The step ended the transaction that it was given.", code="transaction_ended", hint=hint)
        self.session.commit()

    def _check_epoch(self) -> None:
        if self._is_checked:
            return
        with self._database.translated():
            if not self._writer.is_epoch(self._connection, self._run_id, self._epoch):
                raise LeaseLost
        self._is_checked = True


@contextmanager
def sql_attempt(database: Database, writer: Writer, run_id: str, epoch: int) -> Iterator[SqlAttempt]:
    """Committed when the block ends, rolled back when it raises. What a cut connection made it raise is told as StoreUnavailable."""
    ended: SqlAttempt | None = None
    try:
        with database.write(is_users=True) as connection:
            attempt = SqlAttempt(connection, database, writer, run_id, epoch)
            try:
                yield attempt
                attempt.finish()
            except Exception as error:
                if connection.invalidated:
                    raise StoreUnavailable("The connection was cut during the step's transaction.", is_transient=True) from error
                raise
            finally:
                attempt.session.close()
            ended = attempt
    except StoreUnavailable as error:
        if ended is None or not ended.was_committed(error):
            raise
