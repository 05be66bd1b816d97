"""The schema: made at once in a new database, upgraded by Alembic, and never guessed at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from databases import new_database
from sqlalchemy import Connection, create_engine, inspect, text

from provisioning_core.errors import MissingExtra, SchemaMismatch, StoreUnavailable
from provisioning_core.stores import SqlStore
from provisioning_core.stores.sql import _schema, migrations
from provisioning_core.testing._store_cases.records import a_run, at_once, created, everything_of, owned

WITHOUT_ALEMBIC = """
import sys
sys.modules["alembic"] = sys.modules["alembic.config"] = None
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import *

store = SqlStore(sys.argv[1])
store.prepare()
created(store, a_run())
print(*store.schema_status(), store.latest("acme").id)
"""


@pytest.fixture
def sqlite_pair(tmp_path: Path) -> list[str]:
    return [f"sqlite:///{tmp_path / name}.db" for name in ("made", "upgraded")]


@pytest.fixture
def postgres_pair(postgres_url: str) -> Iterator[list[str]]:
    with new_database(postgres_url) as made, new_database(postgres_url) as upgraded:
        yield [made, upgraded]


@pytest.fixture(params=["sqlite_pair", "postgres_pair"])
def pair(request: pytest.FixtureRequest) -> list[str]:
    """Two empty databases of one kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(pair: list[str]) -> Iterator[SqlStore]:
    """In an empty database, not prepared."""
    with closing(SqlStore(pair[0])) as store:
        yield store


@pytest.fixture
def other(pair: list[str]) -> Iterator[SqlStore]:
    with closing(SqlStore(pair[1])) as store:
        yield store


def _set_version(store: SqlStore, version: int) -> None:
    with store.begin() as connection:
        connection.execute(text("UPDATE provisioning_schema SET version = :version"), {"version": version})


def _execute(store: SqlStore, *statements: str) -> None:
    with store.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


# a new store


def test_a_new_store_has_the_current_schema(store: SqlStore) -> None:
    assert store.schema_status() == (None, "0001")
    store.prepare()
    assert store.schema_status() == ("0001", "0001")


def test_a_new_store_is_made_without_alembic(store: SqlStore, pair: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_ALEMBIC, pair[0]], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0001 0001 run-1\n", "")


def test_many_stores_can_make_one_database_ready_at_once(pair: list[str]) -> None:
    stores = [SqlStore(pair[0]) for _ in range(6)]
    at_once(*(store.prepare for store in stores))
    created(stores[0], a_run())
    assert [store.latest("acme") for store in stores] == [a_run()] * 6
    for store in stores:
        store.close()


def test_the_products_own_tables_are_left_alone(store: SqlStore) -> None:
    _execute(store, "CREATE TABLE runs (id int)", "INSERT INTO runs VALUES (1)", "CREATE TABLE alembic_version (version_num text)")
    store.prepare()
    store.upgrade()
    with store.begin() as connection:
        assert connection.execute(text("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM alembic_version)")).one() == (1, 0)
        ours = {name for name in inspect(connection).get_table_names() if name not in ("runs", "alembic_version")}
    assert all(name.startswith("provisioning_") for name in ours)


# another schema


def test_an_older_schema_says_to_upgrade(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.prepare()
    monkeypatch.setattr(_schema, "VERSION", 2)
    with pytest.raises(SchemaMismatch) as caught:
        store.prepare()
    assert caught.value.message == "The store's schema has version 1, and this release works with version 2."
    assert caught.value.hint == "Run `provision db upgrade`."


def test_a_newer_schema_says_to_deploy_the_later_release(store: SqlStore) -> None:
    store.prepare()
    _set_version(store, 99)
    for refused in (store.prepare, store.upgrade):
        with pytest.raises(SchemaMismatch) as caught:
            refused()
        assert caught.value.message == "The store's schema has version 99, and this release works with version 1."
        assert caught.value.hint == "Deploy the release that made the schema, or a later one."
    assert store.schema_status() == ("0099", "0001")


@pytest.mark.parametrize("statement", ["DROP TABLE provisioning_schema", "DELETE FROM provisioning_schema"])
def test_a_schema_without_its_version_is_not_guessed_at(store: SqlStore, statement: str) -> None:
    store.prepare()
    created(store, a_run())
    _execute(store, statement)
    for refused in (store.prepare, store.upgrade):
        with pytest.raises(SchemaMismatch, match="incomplete") as caught:
            refused()
        assert "backup" in caught.value.hint
    assert store.latest("acme") == a_run()


# upgrades


def test_an_upgrade_from_nothing_gives_the_same_schema(store: SqlStore, other: SqlStore) -> None:
    store.prepare()
    other.upgrade()
    made, upgraded = _described(store), _described(other)
    assert made == upgraded
    assert len(made["tables"]) == 14
    assert len(made["triggers"]) == 3
    other.prepare()
    run = owned(other)
    assert other.load(run.id).run == run


def test_an_upgrade_of_the_current_schema_changes_nothing(store: SqlStore) -> None:
    store.prepare()
    run = owned(store)
    before = _described(store), everything_of(store, run.id)
    store.upgrade()
    store.upgrade()
    assert (_described(store), everything_of(store, run.id)) == before


def test_the_printed_sql_makes_the_same_schema(store: SqlStore, other: SqlStore) -> None:
    store.prepare()
    printed = other.upgrade_sql()
    assert other.schema_status() == (None, "0001")
    _run_script(other, printed)
    assert _described(other) == _described(store)
    assert "CREATE" not in store.upgrade_sql()


def test_an_upgrade_that_fails_leaves_nothing_behind(store: SqlStore) -> None:
    _execute(store, "CREATE TABLE provisioning_schema_copy (id int)", "CREATE VIEW provisioning_durations AS SELECT 1 AS one")
    with pytest.raises(StoreUnavailable):
        store.upgrade()
    with store.begin() as connection:
        assert inspect(connection).get_table_names() == ["provisioning_schema_copy"]
    _execute(store, "DROP VIEW provisioning_durations")
    store.upgrade()
    assert store.schema_status() == ("0001", "0001")


def test_upgrades_at_once_wait_for_each_other(pair: list[str]) -> None:
    stores = [SqlStore(pair[0]) for _ in range(3)]
    at_once(*(store.upgrade for store in stores), *(store.prepare for store in stores))
    assert {store.schema_status() for store in stores} == {("0001", "0001")}
    for store in stores:
        store.close()


def test_the_models_and_the_migrations_agree(store: SqlStore) -> None:
    """Alembic's own comparison finds nothing to do."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from provisioning_core.stores.sql._tables import METADATA

    store.upgrade()
    with store.begin() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": _schema.REVISION_TABLE, "compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_every_revision_sets_the_version(store: SqlStore) -> None:
    from alembic.script import ScriptDirectory

    heads = ScriptDirectory.from_config(migrations._config()).get_heads()
    assert heads == [_schema.revision()]
    store.upgrade()
    assert store.schema_status() == (heads[0], heads[0])


# missing extras


def test_without_alembic_an_upgrade_says_which_extra_to_install(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "alembic.config", None)
    for refused in (store.upgrade, store.upgrade_sql):
        with pytest.raises(MissingExtra) as caught:
            refused()
        assert caught.value.hint == 'Install it: pip install "provisioning-core[migrations]"'


def test_without_psycopg_the_store_says_which_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra) as caught:
        SqlStore("postgresql://127.0.0.1/store")
    assert caught.value.hint == 'Install it: pip install "provisioning-core[postgres]"'


def test_without_cryptography_a_key_says_which_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning_core import Engine
    from provisioning_core.stores import MemoryStore

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(MissingExtra) as caught:
        Engine(store=MemoryStore(), plans=[], secrets_key=b"0" * 32)
    assert caught.value.hint == 'Install it: pip install "provisioning-core[secrets]"'


# what a schema is


def _described(store: SqlStore) -> dict[str, Any]:
    """Everything about the schema that can be told apart."""
    with store.begin() as connection:
        there = inspect(connection)
        return {
            "tables": {name: _described_table(connection, name) for name in sorted(there.get_table_names())},
            "triggers": _triggers(connection),
            "versions": [
                connection.execute(text(f"SELECT * FROM {name}")).all() for name in ("provisioning_schema", _schema.REVISION_TABLE)
            ],
        }


def _described_table(connection: Connection, name: str) -> dict[str, Any]:
    there = inspect(connection)
    columns = [{**column, "type": str(column["type"])} for column in there.get_columns(name)]
    indexes = sorted(there.get_indexes(name), key=lambda index: str(index["name"]))
    return {
        "columns": columns,
        "primary key": there.get_pk_constraint(name),
        "unique": sorted(there.get_unique_constraints(name), key=str),
        "foreign keys": sorted(there.get_foreign_keys(name), key=str),
        "checks": there.get_check_constraints(name),
        "indexes": [{**index, "dialect_options": {k: str(v) for k, v in index["dialect_options"].items()}} for index in indexes],
    }


def _triggers(connection: Connection) -> list[tuple[str, str]]:
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
    else:
        query = """
            SELECT tgname, pg_get_triggerdef(pg_trigger.oid) || pg_get_functiondef(tgfoid)
            FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname
        """
    return [(name, " ".join(definition.split())) for name, definition in connection.execute(text(query))]


def _run_script(store: SqlStore, script: str) -> None:
    """As an operator would, with the database's own tool."""
    engine = create_engine(store._database.url)
    raw = engine.raw_connection()
    if "sqlite" in repr(store):
        raw.driver_connection.executescript(script)
    else:
        raw.driver_connection.execute(script)
        raw.driver_connection.commit()
    raw.close()
    engine.dispose()
