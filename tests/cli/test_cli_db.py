"""The store's database: its schema, and runs that ended long ago."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group
from provisioning_cli._when import moment_of
from sqlalchemy import text

from provisioning_core import Engine
from provisioning_core.stores import MemoryStore, SqlStore

Cli = Callable[..., Result]


def test_a_new_database_is_made_ready(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    missing = cli("db", "check", "--db", url, "--json")
    upgraded = cli("db", "upgrade", "--db", url)
    checked = cli("db", "check", "--db", url, "--json")

    assert (missing.exit_code, missing.stdout) == (75, "")
    error = json.loads(missing.stderr)["error"]
    assert (error["code"], error["message"]) == ("schema_mismatch", "The database has no schema yet.")
    assert upgraded.exit_code == 0, upgraded.output
    assert upgraded.stdout.startswith("The schema has revision ")
    document = json.loads(checked.stdout)
    assert (document["ok"], document["revision"]) == (True, document["wanted"])


def test_upgrade_can_print_its_sql_and_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"

    printed = cli("db", "upgrade", "--db", url, "--sql")

    assert "CREATE TABLE provisioning_runs" in printed.stdout
    document = json.loads(cli("db", "upgrade", "--db", url, "--sql", "--json").stdout)
    assert (document["sql"].strip(), document["revision"]) == (printed.stdout.strip(), None)
    assert cli("db", "check", "--db", url).exit_code == 75


def test_the_apps_own_database_is_the_default(cli: Cli) -> None:
    cli("start", "acme", "tenant", "--input", "slug=acme")

    assert cli("db", "check").exit_code == 0


def test_runs_that_ended_long_ago_are_deleted_but_the_latest_of_each_subject(cli: Cli) -> None:
    for _ in range(3):
        cli("start", "acme", "tenant", "--input", "slug=acme", "--again")

    kept = cli("db", "prune", "--json")
    deleted = cli("db", "prune", "--older-than", "0h", "--yes", "--json")
    also = cli("db", "prune", "--before", "0h", "--yes", "--also-latest")

    assert [json.loads(each.stdout)["deleted"] for each in (kept, deleted)] == [0, 2]
    assert also.stdout.startswith("Deleted 1 run that ended before ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--before", "soon", "--yes"], "--before 'soon' is neither an age nor a date. Write 90d, 12h or 2026-01-31."),
        (["--before", "1d", "--status", "running", "--yes"], "can't be deleted"),
    ],
)
def test_what_cannot_be_pruned_is_a_usage_error(cli: Cli, words: list[str], told: str) -> None:
    result = cli("db", "prune", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_a_time_is_an_age_or_a_date() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert moment_of("90d", now, "--before") == now - timedelta(days=90)
    assert moment_of("1.5h", now, "--before") == now - timedelta(minutes=90)
    assert moment_of("2026-01-31", now, "--before") == datetime(2026, 1, 31, tzinfo=UTC)
    assert moment_of("2026-01-31T10:00:00+02:00", now, "--before") == datetime(2026, 1, 31, 8, tzinfo=UTC)
    with pytest.raises(click.UsageError):
        moment_of(f"{'9' * 400}d", now, "--before")


def test_a_store_in_memory_has_no_database() -> None:
    group = create_group(lambda: Engine(store=MemoryStore(), plans=[]))

    result = CliRunner().invoke(group, ["db", "check"])

    assert result.exit_code == 2
    assert "The app's store has no database: it keeps runs in memory. Name a database by --db." in result.stderr


def test_a_password_in_the_address_is_never_shown(cli: Cli) -> None:
    result = cli("db", "check", "--db", "postgresql://ana:hunter2@127.0.0.1:1/none?connect_timeout=2")

    assert result.exit_code == 75
    assert "hunter2" not in result.output


@pytest.mark.parametrize("words", [["check"], ["prune", "--yes"], ["upgrade", "--sql"]])
def test_a_database_that_is_not_there_is_not_made_by_looking_at_it(cli: Cli, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "new.db"

    result = cli("db", *words, "--db", f"sqlite:///{file}")

    assert result.exit_code == (0 if "--sql" in words else 75)
    assert not file.exists()


def test_a_schema_of_a_later_release_is_not_told_to_be_upgraded(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    cli("db", "upgrade", "--db", url)
    with closing(SqlStore(url)) as store, store.begin() as connection:
        connection.execute(text("UPDATE provisioning_schema SET version = 99"))

    result = cli("db", "check", "--db", url)

    assert result.exit_code == 75
    assert result.stderr.splitlines()[1] == "Deploy the release that made it, or a later one."
