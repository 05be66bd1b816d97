"""The commands about the store's database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from provisioning_cli._face import Face, FaceCommand, FaceGroup, json_option, pass_face
from provisioning_cli._output import can_ask, print_json, print_lines, tell
from provisioning_cli._text import moment, several
from provisioning_cli._when import moment_of
from provisioning_core import SchemaMismatch

if TYPE_CHECKING:
    from provisioning_core.stores import SqlStore


@click.group(cls=FaceGroup)
def db() -> None:
    """Make the store's database ready, check it, tidy it up."""


def _database(function: Callable[..., Any]) -> Callable[..., Any]:
    told = "The database, such as sqlite:///runs.db; the app's own by default. Keep passwords in the environment."
    return click.option("--db", "url", envvar="PROVISIONING_DB", show_envvar=True, metavar="URL", help=told)(function)


@db.command(cls=FaceCommand)
@_database
@click.option("--sql", "only_sql", is_flag=True, help="Print the SQL instead of running it.")
@json_option
@pass_face
def upgrade(face: Face, *, url: str | None, only_sql: bool, as_json: bool) -> None:
    """Bring the schema to what this release works with."""
    with _store(face, url) as store:
        sql = store.upgrade_sql() if only_sql else None
        if not only_sql:
            store.upgrade()
        revision, wanted = store.schema_status()
    if as_json:
        print_json({"revision": revision, "wanted": wanted, "sql": sql})
    elif sql is not None:
        print_lines([sql.rstrip()] if sql.strip() else [])
    else:
        print_lines([f"The schema has revision {revision}."])


@db.command(cls=FaceCommand)
@_database
@json_option
@pass_face
def check(face: Face, *, url: str | None, as_json: bool) -> None:
    """Tell whether the schema is what this release works with."""
    with _store(face, url) as store:
        revision, wanted = store.schema_status()
    _must_fit(revision, wanted)
    if as_json:
        print_json({"ok": True, "revision": revision, "wanted": wanted})
    else:
        print_lines([f"✓ the schema has revision {revision}, which this release works with"])


def _must_fit(revision: str | None, wanted: str) -> None:
    if revision is None:
        hint = "Run `provision db upgrade`; the first engine that opens the store makes it, too."
        raise SchemaMismatch("The database has no schema yet.", hint=hint)
    if revision != wanted:
        is_newer = revision > wanted  # they are numbers of four digits
        hint = "Deploy the release that made it, or a later one." if is_newer else "Run `provision db upgrade`."
        raise SchemaMismatch(f"The schema has revision {revision}, this release works with {wanted}.", hint=hint)


@db.command(cls=FaceCommand)
@_database
@click.option(
    "--before",
    "--older-than",
    "before",
    default="90d",
    show_default=True,
    metavar="WHEN",
    help="Runs that ended before: 90d or 12h ago, or a date such as 2026-01-31.",
)
@click.option("--status", "statuses", multiple=True, help="Only runs with this status. Repeat it. By default all that ended well.")
@click.option("--also-latest", is_flag=True, help="A subject's latest run, too; it can't be deprovisioned then.")
@click.option("--yes", is_flag=True, help="Don't ask; in a script nobody is asked.")
@json_option
@pass_face
def prune(
    face: Face, *, url: str | None, before: str, statuses: tuple[str, ...], also_latest: bool, yes: bool, as_json: bool
) -> None:
    """Delete runs that ended long ago, with their history."""
    until = moment_of(before, datetime.now(UTC), "--before")
    _ask(until, yes=yes, as_json=as_json)
    chosen: dict[str, Any] = {"statuses": [status.upper() for status in statuses]} if statuses else {}
    with _store(face, url) as store:
        count = store.prune(before=until.timestamp(), keep_latest=not also_latest, **chosen)
    if as_json:
        print_json({"deleted": count, "before": until})
    else:
        print_lines([f"Deleted {several(count, 'run')} that ended before {moment(until)}."])


def _ask(until: datetime, *, yes: bool, as_json: bool) -> None:
    if yes or as_json or not can_ask():
        return
    if not click.confirm(f"Delete the runs that ended before {moment(until)}?", err=True):
        tell("Nothing was done.")
        raise click.exceptions.Exit(1)


@contextmanager
def _store(face: Face, url: str | None) -> Iterator[SqlStore]:
    from provisioning_core.stores import SqlStore  # SQLAlchemy takes a while to load; other commands do without

    store = SqlStore(url) if url else face.opener(False).store  # noqa: FBT003 - the opener's one argument
    if not isinstance(store, SqlStore):
        raise click.UsageError("The app's store has no database: it keeps runs in memory. Name a database by --db.")
    try:
        yield store
    finally:
        store.close()
