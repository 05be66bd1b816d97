"""Which database a store is in: the URL or the engine a user hands in, checked."""

from __future__ import annotations

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from provisioning_core.errors import ProvisioningError

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_HINT = "Use sqlite:///file.db or postgresql://user@host/database (with psycopg 3)."


def checked_url(url: str | URL) -> URL:
    """The URL with the driver that we use. Raises ProvisioningError for what is no URL, or another kind of database."""
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):
        # Without its cause: that could show the URL, and with it a password.
        raise ProvisioningError("The store's address is not a database URL.", code="bad_store_url", hint=_HINT) from None
    if found.drivername not in _DRIVERS:
        raise _unsupported(found.drivername)
    return found.set(drivername=_DRIVERS[found.drivername])


def checked_engine(engine: Engine) -> Engine:
    """The engine as it is. Raises ProvisioningError for another kind of database or driver, or an asynchronous engine."""
    if not isinstance(engine, Engine):
        raise ProvisioningError(
            f"A store needs a URL or SQLAlchemy's Engine, not {type(engine).__name__}.",
            code="unsupported_database",
            hint="Of an AsyncEngine hand in a synchronous one for the same database.",
        )
    driver = f"{engine.dialect.name}+{engine.dialect.driver}"
    if driver not in _DRIVERS:
        raise _unsupported(driver)
    return engine


def is_memory(url: URL) -> bool:
    """Whether this SQLite database is gone with its connection."""
    database = url.database or ""
    return database in ("", ":memory:") or "mode=memory" in database or url.query.get("mode") == "memory" or ":memory:" in database


def passwords_of(url: URL) -> tuple[str, ...]:
    """What must not get into messages."""
    asked = url.query.get("password")
    return tuple(str(secret) for secret in (url.password, asked) if secret)


def _unsupported(driver: str) -> ProvisioningError:
    return ProvisioningError(f"A store can't be kept with {driver!r}.", code="unsupported_database", hint=_HINT)
