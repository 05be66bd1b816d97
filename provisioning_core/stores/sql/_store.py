"""The store in a SQL database.

Theory of operation. All decisions are the machine's; this loads and saves. Who may write a run is told by its owner and its epoch,
checked in the transaction that writes it. The rules that must hold whatever happens are the database's own: one occupying run of a
subject (an index), no ROLLED_BACK over an effect (triggers), events numbered once (a key). Whether an engine lives is decided by the
database's clock alone, so the clocks of its clients don't matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine

from provisioning_core.errors import Conflict
from provisioning_core.model import (
    OCCUPYING,
    EngineRecord,
    ErrorInfo,
    EventRecord,
    RequestRecord,
    RunFilter,
    RunRecord,
    RunSnapshot,
    Standing,
    StoreFacts,
    UnreadableRun,
)
from provisioning_core.ports import NewRun, RunChange, RunHead, RunPageRecord, StatusHook
from provisioning_core.stores.sql import _examining, _pruning, _schema
from provisioning_core.stores.sql._again import again
from provisioning_core.stores.sql._at_once import fits_one_statement
from provisioning_core.stores.sql._attempt import SqlAttempt, sql_attempt
from provisioning_core.stores.sql._callers import connection_of, on_callers
from provisioning_core.stores.sql._database import database_at
from provisioning_core.stores.sql._hooks import created_by, is_there_and_back, tell
from provisioning_core.stores.sql._leasing import Leasing
from provisioning_core.stores.sql._outbox import SqlOutbox
from provisioning_core.stores.sql._reading import Reader, run_not_found, undamaged
from provisioning_core.stores.sql._standing import StandingReader
from provisioning_core.stores.sql._writing import Guarded, Outdated, Writer

_T = TypeVar("_T")


class SqlStore:
    """Runs in SQLite (``sqlite:///file.db``) or PostgreSQL (``postgresql://user@host/database``, psycopg 3).

    ``where`` is a URL or an Engine of SQLAlchemy. PostgreSQL is used through that engine, which stays the caller's to dispose of; of
    an engine for a SQLite file only the URL is taken. ``sqlite://`` is a database in memory, gone when the store is closed.
    ``busy_timeout`` is how many seconds a writer waits for SQLite's one writer, or on PostgreSQL a statement for a lock (twice that
    for all else), before it raises StoreUnavailable; an engine that was handed in keeps its own settings. On SQLite a
    transactional step takes the one writer for as long as it runs, and holds all other writers up.

    Raises ProvisioningError for an address that can't be used, MissingExtra when psycopg is not installed. Connects at first use.
    """

    has_sessions = True

    def __init__(self, where: str | URL | Engine, *, busy_timeout: float = 30.0) -> None:
        self._database = database_at(where, busy_timeout)
        self._translated = self._database.translated
        self._writer = Writer(self._database.sql)
        self._reader = Reader(self._database.sql)
        self._leasing = Leasing(self._database.sql)
        self.outbox = SqlOutbox(self._database)
        self._standing = StandingReader(self._database.sql)

    def __repr__(self) -> str:
        return f"SqlStore({self._database.url.render_as_string(hide_password=True)!r})"

    @property
    def is_durable(self) -> bool:
        """Whether what it holds outlives the process."""
        return self._database.is_durable

    def prepare(self) -> None:
        """Make a new store ready, or raise SchemaMismatch. Harmless when repeated, and when several processes do it at once."""
        _schema.prepare(self._database)

    def close(self) -> None:
        """Let go of connections. Harmless when repeated; a store that is used again connects again."""
        self._database.close()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction in the store's own database, for ``start(connection=)``. On SQLite it holds all other writers up.

        Committed at the end, rolled back when the block raises.
        """
        with self._database.write(is_users=True) as connection:
            yield connection

    def facts(self) -> StoreFacts:
        """How the database is set up and answers, for ``provision doctor``. Changes nothing. Raises StoreUnavailable."""
        return _examining.examine(self._database)

    # the schema, for operators

    def schema_status(self) -> tuple[str | None, str]:
        """The schema's revision (None when there is none yet), and the one this release works with. Makes nothing."""
        found = _schema.version_of(self._database)
        return None if found is None else _schema.revision(found), _schema.revision()

    def upgrade(self) -> None:
        """Bring the schema to the revision this release works with. Raises MissingExtra without the extra ``migrations``."""
        from provisioning_core.stores.sql import migrations

        migrations.upgrade(self._database)

    def upgrade_sql(self) -> str:
        """The SQL that :meth:`upgrade` would run, for somebody else to run. Raises MissingExtra."""
        from provisioning_core.stores.sql import migrations

        return migrations.upgrade_sql(self._database, self.schema_status()[0])

    def prune(self, *, before: float, statuses: Collection[str] = _pruning.ENDED, keep_latest: bool = True) -> int:
        """Delete runs that ended before this time (seconds since the epoch), with all that belongs to them; how many they were.

        A subject's latest run stays, unless ``keep_latest`` is False: with it goes what a deprovisioning would have to know. One
        that a webhook has still to be told of stays, too. Raises InvalidInput for a status in which a run may go on.
        """
        return _pruning.prune(self._database, before=before, statuses=statuses, keep_latest=keep_latest)

    # engines and their leases

    def register(self, engine: EngineRecord, ttl: float) -> None:
        """Write the engine's row, alive for ``ttl`` seconds by the database's clock."""
        self._write(lambda connection: self._leasing.register(connection, engine, ttl))

    def heartbeat(self, engine_id: str, ttl: float) -> bool:
        """Renew it for ``ttl`` seconds. False when the row is gone or has expired."""
        return self._write(lambda connection: self._leasing.heartbeat(connection, engine_id, ttl))

    def retire(self, engine_id: str) -> None:
        """Remove the engine's row and let go of all its runs."""
        self._write(lambda connection: self._leasing.retire(connection, engine_id))

    def engines(self) -> tuple[EngineRecord, ...]:
        """All rows, expired ones too."""
        return self._ask(self._leasing.engines)

    def bury(self, engine_ids: Collection[str]) -> None:
        """Remove the rows of those of these engines whose time has run out."""
        self._write(lambda connection: self._leasing.bury(connection, engine_ids))

    def claim(
        self, engine_id: str, *, plans: Collection[str], now: float, limit: int, dead: Collection[str] = ()
    ) -> list[RunSnapshot | UnreadableRun]:
        """Take runs of these plans whose time has come and that have no living owner, oldest first."""
        asked = self._leasing.asked(plans, now, limit, dead)
        if not self._ask(lambda connection: self._leasing.is_any_claimable(connection, asked)):
            return []
        return self._write(lambda connection: self._reader.readable(connection, self._leasing.claim(connection, engine_id, asked)))

    def claim_run(self, engine_id: str, run_id: str, *, dead: Collection[str] = ()) -> RunSnapshot | UnreadableRun | None:
        """Take this run whatever its time; None when it has a living owner. Raises NotFound."""

        def take(connection: Connection) -> RunSnapshot | UnreadableRun | None:
            taken = self._leasing.claim_run(connection, engine_id, run_id, dead)
            return self._reader.readable(connection, [run_id])[0] if taken else None

        return self._write(take)

    def owned(self, engine_id: str) -> list[str]:
        """Ids of the runs that this engine owns."""
        return self._ask(lambda connection: self._leasing.owned(connection, engine_id))

    # writing

    def create(self, new: NewRun, *, hook: StatusHook | None = None, connection: Any = None) -> bool:
        """Write a new run; False, and nothing written, when the subject or the idempotency key is taken."""
        if connection is not None:
            return self._create_on_callers(new, hook, connection_of(connection, self._database))
        return again(lambda: self._create(new, hook))

    def _create(self, new: NewRun, hook: StatusHook | None) -> bool:
        created = self._create_at_once(new) if hook is None else None
        return self._create_in_parts(new, hook) if created is None else created

    def _create_at_once(self, new: NewRun) -> bool | None:
        """None when it has to be done in parts."""
        if not self._writer.has_single_writes or not self.outbox.is_silent([(new.run, new.events)]):
            return None
        with self._database.single() as own, self._translated(commits=True):
            return self._writer.create_at_once(own, new)

    def _create_in_parts(self, new: NewRun, hook: StatusHook | None) -> bool:
        with self._database.write() as own:
            with self._translated():
                created = self._writer.create(own, new)
                if created:
                    self.outbox.note(own, [(new.run, new.events)])
            if created:
                tell(hook, created_by(new), own)
            return created

    def _create_on_callers(self, new: NewRun, hook: StatusHook | None, connection: Connection) -> bool:
        self._database.begin_for(connection)
        with on_callers(self._database):
            savepoint = connection.begin_nested()
        with savepoint:
            with on_callers(self._database):
                created = self._writer.create(connection, new)
                if created:
                    self.outbox.note(connection, [(new.run, new.events)], is_callers=True)
            if created:
                tell(hook, created_by(new), connection)
        return created

    def commit(self, changes: Sequence[RunChange], *, hook: StatusHook | None = None) -> frozenset[str]:
        """Write all changes in one transaction; gives the ids of runs that are not the writer's any more. Raises Conflict."""
        try:
            fresh = again(lambda: self._commit(changes, hook))
        except _Refused as refused:
            raise self._conflict(refused.why, changes) from refused.why
        return frozenset(change.run.id for change in changes) - {change.run.id for change in fresh}

    def _commit(self, changes: Sequence[RunChange], hook: StatusHook | None) -> Sequence[RunChange]:
        if any(is_there_and_back(change) for change in changes):
            return self._commit_with_care(changes, hook)
        try:
            if self._is_plain(changes, hook):
                return self._commit_at_once(changes)
            return self._commit_in_good_faith(changes, hook)
        except (Outdated, _Refused):  # refused, perhaps, because it had been written before
            return self._commit_with_care(changes, hook)

    def _is_plain(self, changes: Sequence[RunChange], hook: StatusHook | None) -> bool:
        """Whether nobody has to be told in the transaction, and it can be one statement."""
        if hook is not None and any(change.status_change is not None for change in changes):
            return False
        if not self._writer.has_single_writes or not fits_one_statement(changes):
            return False
        return self.outbox.is_silent((change.run, change.events) for change in changes)

    def _commit_at_once(self, changes: Sequence[RunChange]) -> Sequence[RunChange]:
        with self._database.single() as connection, self._refusing(commits=True):
            is_written = self._writer.write_at_once(connection, changes)
        if not is_written:
            raise Outdated
        return changes

    def _commit_in_good_faith(self, changes: Sequence[RunChange], hook: StatusHook | None) -> Sequence[RunChange]:
        with self._database.write() as connection:
            with self._refusing():
                self._writer.write_in_good_faith(connection, changes)
                self.outbox.note(connection, ((change.run, change.events) for change in changes))
            for change in changes:
                tell(hook, change.status_change, connection)
        return changes

    def _commit_with_care(self, changes: Sequence[RunChange], hook: StatusHook | None) -> Sequence[RunChange]:
        with self._database.write() as connection:
            fresh = self._write_changes(connection, changes)
            for each in fresh:
                tell(hook, each.status_change, connection)
        return [each.change for each in fresh]

    def _write_changes(self, connection: Connection, changes: Sequence[RunChange]) -> list[Guarded]:
        with self._refusing():
            fresh = self._writer.guard(connection, changes)
            self._writer.write(connection, fresh)
            self.outbox.note(connection, ((each.change.run, each.new_events) for each in fresh))
            return fresh

    @contextmanager
    def _refusing(self, *, commits: bool = False) -> Iterator[None]:
        """Tells what the data's rules refuse from what a hook raises."""
        try:
            with self._translated(commits=commits):
                yield
        except Conflict as error:
            raise _Refused(error) from error

    def _conflict(self, error: Conflict, changes: Sequence[RunChange]) -> Conflict:
        """The same, with the run whose change it was."""
        culprit = changes[0].run.id if len(changes) == 1 else self._first_refused(changes)
        return Conflict(error.message, code=error.code, hint=error.hint, run_id=culprit)

    def _first_refused(self, changes: Sequence[RunChange]) -> str | None:
        """Write them one after the other until one is refused. Nothing of it stays."""
        with self._database.write() as connection:
            try:
                for change in sorted(changes, key=lambda change: change.run.status in OCCUPYING):
                    self._write_changes(connection, [change])
            except _Refused:
                return change.run.id
            finally:
                connection.rollback()
        return None

    def shelve(self, run_id: str, epoch: int, why: ErrorInfo) -> None:
        """Set a run aside that can't be read."""
        self._write(lambda connection: self._writer.shelve(connection, run_id, epoch, why))

    def request(self, request: RequestRecord) -> None:
        """Record a verb and see to it that an engine looks at the run. Raises NotFound."""
        if not self._write(lambda connection: self._writer.request(connection, request)):
            raise run_not_found(request.run_id)

    def requests(self, engine_id: str) -> list[RequestRecord]:
        """Recorded verbs for runs that this engine owns, oldest first."""
        return self._ask(lambda connection: self._reader.owned_requests(connection, engine_id))

    def transaction(self, run_id: str, epoch: int) -> AbstractContextManager[SqlAttempt]:
        """One transaction for a transactional step. On SQLite it holds all other writers up.

        A commit whose answer was lost is looked for; StoreUnavailable with ``is_unknown`` is raised only when that can't be done.
        """
        return sql_attempt(self._database, self._writer, run_id, epoch)

    # reading

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:
        """All of one run but its history. Raises NotFound."""
        found = self._read(lambda own: self._reader.snapshots(own, [run_id]), connection)
        if not found:
            raise run_not_found(run_id)
        return found[0]

    def head(self, run_id: str) -> RunHead:
        """Raises NotFound."""
        return self._ask(lambda connection: self._reader.head(connection, run_id))

    def heads(self, run_ids: Collection[str]) -> Mapping[str, RunHead]:
        """Those of these runs that exist."""
        return self._ask(lambda connection: self._reader.heads(connection, run_ids)) if run_ids else {}

    def latest(self, subject: str, *, connection: Any = None) -> RunRecord | None:
        """The subject's newest run."""
        return self._ask(lambda own: self._reader.latest(own, subject), connection)

    def by_idempotency_key(self, subject: str, key: str, *, connection: Any = None) -> RunRecord | None:
        """The subject's run that was started with this key."""
        return self._ask(lambda own: self._reader.by_idempotency_key(own, subject, key), connection)

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        """Newest first. Raises InvalidInput for a cursor that is not one."""
        return self._ask(lambda connection: self._reader.page(connection, where, limit, cursor))

    def counts(self) -> Mapping[str, int]:
        """How many runs there are of each status that occurs."""
        return self._ask(self._reader.counts)

    def standing(self, now: float) -> Standing:
        """How all runs stand. Whether their owners live is told by the database's clock."""
        return self._read(lambda connection: self._standing.read(connection, now))

    def events(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        """In order, from number ``after + 1`` on."""
        return self._ask(lambda connection: self._reader.events(connection, run_id, after, limit))

    def durations(self, plan: str) -> Mapping[str, float]:
        """Mean seconds each step of the plan took in runs that succeeded."""
        return self._ask(lambda connection: self._reader.durations(connection, plan))

    def add_durations(self, plan: str, seconds: Mapping[str, float]) -> None:
        """Take the durations of a succeeded run into the means."""
        self._write(lambda connection: self._writer.add_durations(connection, plan, seconds))

    # both

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        def write() -> _T:
            with self._database.write() as connection, self._translated():
                return work(connection)

        return again(write)

    def _read(self, work: Callable[[Connection], _T], given: Any = None) -> _T:
        return self._look(self._database.read, work, given)

    def _ask(self, work: Callable[[Connection], _T], given: Any = None) -> _T:
        """Read with one statement only."""
        return self._look(self._database.single, work, given)

    def _look(self, connected: Callable[[], AbstractContextManager[Connection]], work: Callable[[Connection], _T], given: Any) -> _T:
        if given is not None:
            with on_callers(self._database), undamaged():
                return work(connection_of(given, self._database))

        def look() -> _T:
            with connected() as connection, self._translated(), undamaged():
                return work(connection)

        return again(look)


class _Refused(Exception):
    """A rule of the data refused a commit, and not what a hook did."""

    def __init__(self, why: Conflict) -> None:
        super().__init__(why.message)
        self.why = why
