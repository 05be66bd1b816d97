"""A tenant's database: a SQLite file of its own, or a schema and a role on PostgreSQL; its migrations, and its full-text index."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL, Connection, inspect, make_url, text

from examples.workspaces.files import remove
from examples.workspaces.models import Database
from examples.workspaces.settings import Settings, for_psycopg, for_sqlalchemy
from examples.workspaces.sql import transaction
from provisioning_core import MissingExtra

MIGRATIONS = (
    "CREATE TABLE users (email VARCHAR(200) PRIMARY KEY, role VARCHAR(20), salt VARCHAR(32) NOT NULL, hash VARCHAR(128) NOT NULL)",
    "CREATE TABLE pages (title VARCHAR(200) PRIMARY KEY, body TEXT NOT NULL)",
    "ALTER TABLE pages ADD COLUMN tags VARCHAR(200) NOT NULL DEFAULT ''",
)
"""Version n is the state after the first n; only ever add to the end."""


def name_of(slug: str) -> str:
    """The tenant's name as SQL takes it. A slug has no underscore, so no two tenants share one."""
    return "tenant_" + slug.replace("-", "_")


def create(settings: Settings, slug: str) -> Database:
    """Make the database, or take over one that an earlier attempt made."""
    if settings.postgres:
        password = secrets.token_urlsafe(24)
        _create_schema(settings, name_of(slug), password)
        return Database(kind="postgresql", name=name_of(slug), role=name_of(slug), password=SecretStr(password))
    settings.database_file(slug).parent.mkdir(parents=True, exist_ok=True)
    return Database(kind="sqlite", name=slug)


def drop(settings: Settings, slug: str) -> None:
    """Remove the database with all that is in it; fine if there is none."""
    if settings.postgres:
        _drop_schema(settings, name_of(slug))
    file = settings.database_file(slug)
    for path in (file, file.with_name(f"{file.name}-journal")):
        remove(path)


def find(settings: Settings, slug: str) -> Database | None:
    """The database, if it is there and fully migrated. A role's password can't be found out again, so only for SQLite."""
    if settings.postgres or not settings.database_file(slug).exists():
        return None
    database = Database(kind="sqlite", name=slug)
    with connected(settings, database) as connection:
        return database if version(connection) == len(MIGRATIONS) else None


def connected(settings: Settings, database: Database) -> AbstractContextManager[Connection]:
    """One transaction on the tenant's database, as the tenant's own role."""
    return transaction(_url(settings, database))


def migrate(connection: Connection) -> int:
    """Bring the database to the newest version, which is given back; does nothing if it is there."""
    connection.execute(text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY)"))
    for number, statement in list(enumerate(MIGRATIONS, start=1))[version(connection) :]:
        connection.execute(text(statement))
        connection.execute(text("INSERT INTO schema_version (version) VALUES (:number)"), {"number": number})
    return version(connection)


def version(connection: Connection) -> int:
    """How many of the migrations were applied."""
    if not inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.execute(text("SELECT COALESCE(MAX(version), 0) FROM schema_version")).scalar_one())


def build_index(connection: Connection, pages: list[tuple[str, str]]) -> int:
    """Put the pages into the database and a full-text index over them; how many there are."""
    drop_index(connection)
    rows = [{"title": title, "body": body} for title, body in pages]
    if rows:
        connection.execute(text("INSERT INTO pages (title, body) VALUES (:title, :body)"), rows)
    if connection.dialect.name == "postgresql":
        words = "to_tsvector('english', title || ' ' || body)"
        connection.execute(text(f"ALTER TABLE pages ADD COLUMN search tsvector GENERATED ALWAYS AS ({words}) STORED"))
        connection.execute(text("CREATE INDEX pages_search ON pages USING gin (search)"))
    else:
        connection.execute(text("CREATE VIRTUAL TABLE pages_search USING fts5(title, body, tokenize='porter unicode61')"))
        connection.execute(text("INSERT INTO pages_search (title, body) SELECT title, body FROM pages"))
    return len(rows)


def drop_index(connection: Connection) -> None:
    """Remove the index and the pages; fine if there are none."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE pages DROP COLUMN IF EXISTS search"))
    else:
        connection.execute(text("DROP TABLE IF EXISTS pages_search"))
    connection.execute(text("DELETE FROM pages"))


def search(connection: Connection, words: str) -> list[str]:
    """Titles of the pages that have these words, the best first."""
    if connection.dialect.name == "postgresql":
        found = "SELECT title FROM pages, plainto_tsquery('english', :words) AS q WHERE search @@ q"
        query = f"{found} ORDER BY ts_rank(search, q) DESC, title"
    else:
        words = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
        query = "SELECT title FROM pages_search WHERE pages_search MATCH :words ORDER BY rank, title"
    return [row.title for row in connection.execute(text(query), {"words": words})]


def has_index(settings: Settings, database: Database) -> bool:
    """Whether the full-text index is there."""
    with connected(settings, database) as connection:
        found = inspect(connection)
        if connection.dialect.name == "postgresql":
            return any(column["name"] == "search" for column in found.get_columns("pages"))
        return found.has_table("pages_search")


def exists(settings: Settings, slug: str) -> bool:
    """Whether anything of the tenant's database is left."""
    if not settings.postgres:
        return settings.database_file(slug).exists()
    with _administrator(settings) as connection:
        query = "SELECT 1 FROM pg_roles WHERE rolname = %(name)s UNION SELECT 1 FROM pg_namespace WHERE nspname = %(name)s"
        return connection.execute(query, {"name": name_of(slug)}).fetchone() is not None


def _url(settings: Settings, database: Database) -> URL:
    if database.kind == "sqlite":
        return URL.create("sqlite", database=str(settings.database_file(database.name)))
    password = database.password.get_secret_value() if database.password else None
    address = make_url(for_sqlalchemy(settings.postgres)).set(username=database.role, password=password)
    return address.update_query_dict({"options": f"-csearch_path={database.name}"})


@contextmanager
def _administrator(settings: Settings) -> Iterator[Any]:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("postgres", "a tenant's schema on PostgreSQL") from error
    with psycopg.connect(for_psycopg(settings.postgres)) as connection:
        yield connection


def _create_schema(settings: Settings, name: str, password: str) -> None:
    from psycopg import sql

    role = sql.Identifier(name)
    with _administrator(settings) as connection:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        verb = sql.SQL("ALTER" if known else "CREATE")
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(password)))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(role, role))


def _drop_schema(settings: Settings, name: str) -> None:
    from psycopg import sql

    role = sql.Identifier(name)
    with _administrator(settings) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(role))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
