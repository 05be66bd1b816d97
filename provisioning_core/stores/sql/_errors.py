"""The database's errors, as errors of the store."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from types import TracebackType

from sqlalchemy import Connection, PoolProxiedConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from provisioning_core.errors import Conflict, ProvisioningError, StoreUnavailable
from provisioning_core.stores.sql._triggers import HAS_EFFECTS

_log = logging.getLogger("provisioning_core.stores")

_MASK = "**********"
_UNDEFINED_TABLE = "42P01"  # PostgreSQL's; its text depends on the server's language

_NOTHING_WRITTEN = frozenset({"40001", "40P01"})
"""PostgreSQL's serialization failure and deadlock: it took everything back, and asks to be asked again."""
_CANCELLED = "57014"  # PostgreSQL's, for a statement that took too long: it cancels none whose effect is recorded
_MAYBE_WRITTEN = ("08", "57", "40003")
"""What PostgreSQL says, or begins with, when a commit's answer may have been another one: lost connections, a server that ends."""
_SQLITE_BUSY, _SQLITE_REFUSES = frozenset({15, 261, 517}), frozenset({5, 6, 13, 19})
"""Its extended codes for others that were in the way for a moment only; its codes for a commit that surely did not happen."""

_HINTS = {
    "file is not a database": "The store's address names a file that something else wrote. Check the path.",
    "readonly database": "Check who may write the store's file, and its folder, where SQLite keeps two more beside it.",
    "unable to open database file": "Check the path, and who may read and write there.",
    "password authentication failed": "Check the user and the password in the store's address.",
}
"""What helps, where trying again does not."""


def is_missing_table(error: BaseException | None) -> bool:
    """Whether a database says that the store's tables are not there."""
    said = getattr(error, "orig", None)
    return getattr(said, "sqlstate", "") == _UNDEFINED_TABLE or "no such table: provisioning_" in str(said)


def _is_passing(error: DBAPIError | PoolTimeout) -> bool:
    """Whether the same is worth another try at once: nothing was recorded, and what was in the way is gone."""
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlite_errorcode", None)
    return error.connection_invalidated or _sqlstate(error) in _NOTHING_WRITTEN or code in _SQLITE_BUSY


def _may_be_written(error: DBAPIError | PoolTimeout) -> bool:
    """Whether a commit that ended like this may have happened all the same."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) not in _SQLITE_REFUSES
    return _sqlstate(error) != _CANCELLED and (_sqlstate(error).startswith(_MAYBE_WRITTEN) or not _sqlstate(error))


def _sqlstate(error: SQLAlchemyError) -> str:
    return getattr(getattr(error, "orig", None), "sqlstate", None) or ""


def let_go(connection: Connection) -> None:
    """Give a connection back. If that fails, the server is gone, and with it whatever was not committed: nobody needs to be told.

    The pool forgets to count one as given back whose options it could not reset, and would in time have none left to give out.
    So that one is taken out of the pool, which then makes another in its place.
    """
    loan = None if connection.closed or connection.invalidated else connection.connection
    try:
        connection.close()
    except Exception:  # noqa: BLE001  what the driver says while the pool resets a connection comes through as it is
        _log.debug("a connection could not be given back", exc_info=True)
        if loan is not None:
            _throw_away(loan)


def _throw_away(loan: PoolProxiedConnection) -> None:
    driver = loan.dbapi_connection
    try:
        loan.detach()
        if driver is not None:
            driver.close()
    except Exception:  # noqa: BLE001  it was broken before
        _log.debug("a connection that could not be given back could not be closed", exc_info=True)


class Translator:
    """Turns SQLAlchemy's errors into the store's. No password of the store's address gets into a message."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)
        self._around, self._around_commits = _Around(self, commits=False), _Around(self, commits=True)

    def __call__(self, *, commits: bool = False) -> AbstractContextManager[object]:
        """Around statements of our own, never around what a caller's code does with its connection. ``commits``: around COMMIT."""
        return self._around_commits if commits else self._around

    def translated(self, error: SQLAlchemyError, *, commits: bool = False) -> ProvisioningError:
        if isinstance(error, IntegrityError | DataError):
            return self._conflict(error)
        if isinstance(error, DBAPIError | PoolTimeout):
            return self._unavailable(error, is_unknown=commits and _may_be_written(error))
        return ProvisioningError(f"The database can't be used like this: {self._said(error)}.", code="bad_connection")

    def _unavailable(self, error: DBAPIError | PoolTimeout, *, is_unknown: bool) -> StoreUnavailable:
        said = self._said(error)
        hint = next((hint for words, hint in _HINTS.items() if words in said), None)
        if is_missing_table(error):
            hint = "Open the engine (or `store.prepare()`) first: it makes the tables."
        message = f"The database did not do what it was asked: {said}."
        if is_unknown:
            message, hint = (
                f"The database did not say whether it recorded this: {said}.",
                "Look at what is recorded before you ask again.",
            )
        return StoreUnavailable(message, hint=hint, is_unknown=is_unknown, is_transient=_is_passing(error))

    def _conflict(self, error: DBAPIError) -> Conflict:
        said = str(error.orig)
        if HAS_EFFECTS in said:
            hint = "Compensate or resolve every step that has an effect first."
            return Conflict("A run can't be ROLLED_BACK over a step that has an effect.", code="has_effects", hint=hint)
        if "provisioning_runs_one_occupying" in said or said.endswith("failed: provisioning_runs.subject"):
            return Conflict("The subject already has another active run.", code="already_active")
        return Conflict(f"The database refused the data: {self._said(error)}.", code="refused_data")

    def _said(self, error: SQLAlchemyError) -> str:
        text = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text.rstrip(".")


class _Around(AbstractContextManager[object]):
    """Keeps nothing of the block it is around, so that one serves all: it is entered several times with every commit."""

    def __init__(self, translator: Translator, *, commits: bool) -> None:
        self._translator = translator
        self._commits = commits

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, SQLAlchemyError):
            raise self._translator.translated(error, commits=self._commits) from error
