"""What a SQL store tells of itself, and that asking changes nothing."""

from __future__ import annotations

import stat
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy import create_engine, text

from provisioning_core import Engine, Plan, StoreUnavailable, step
from provisioning_core.model import Vault
from provisioning_core.ports import Examinable
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.stores.sql._files import file_system_of

KEY, OTHER = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"


class Account(BaseModel):
    password: SecretStr


@step
def account(given: Account) -> SecretStr:
    return given.password


def _run_with(store: SqlStore, key: bytes, subject: str) -> None:
    plan = Plan("tenant", input=Account, steps=[account])
    with Engine(store=store, plans=[plan], secrets_key=key, poll=0.02) as engine:
        engine.start("tenant", subject=subject, input=Account(password=SecretStr("p4ssw0rd"))).wait(20)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    facts = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}").facts()
    assert list(tmp_path.iterdir()) == []
    assert facts.file is not None
    assert (facts.file.exists, facts.file.is_writable, facts.revision) == (False, True, None)
    assert facts.file.path == str(tmp_path / "runs.db")


def test_a_new_file_is_its_owners_alone_and_whoever_opens_it_to_others_is_told(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    store.prepare()
    facts = store.facts()
    assert facts.file is not None
    assert (facts.file.mode, facts.file.exists, facts.revision, facts.wanted) == (0o600, True, "0001", "0001")
    assert facts.write_seconds is not None
    assert 0 < facts.write_seconds < 5
    assert (facts.clock_ahead, facts.is_durable) == (None, True)
    (tmp_path / "runs.db").chmod(0o644)
    again = store.facts().file
    store.close()
    assert again is not None
    assert again.mode == 0o644


def test_asking_leaves_no_row_and_no_change_behind(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    store.prepare()
    with store.begin() as connection:
        before = "\n".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    store.facts()
    with store.begin() as connection:
        after = "\n".join(connection.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    store.close()
    assert after == before


def test_keys_of_stored_secrets_are_told_by_their_ids(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    _run_with(store, KEY, "acme")
    _run_with(store, OTHER, "globex")
    facts = store.facts()
    store.close()
    assert facts.key_ids == {Vault(KEY).key_id: 2, Vault(OTHER).key_id: 2}  # input and output, each


def test_a_database_in_memory_has_no_file() -> None:
    with closing(SqlStore("sqlite://")) as store:
        facts = store.facts()
    assert (facts.file, facts.is_durable, facts.address) == (None, False, "sqlite://")


def test_a_store_in_memory_is_not_asked() -> None:
    assert isinstance(SqlStore("sqlite://"), Examinable)
    assert not isinstance(MemoryStore(), Examinable)


def test_postgresql_tells_its_clock_and_its_connections(fresh_postgres_url: str) -> None:
    store = SqlStore(fresh_postgres_url)
    empty = store.facts()
    store.prepare()
    facts = store.facts()
    store.close()
    assert (empty.revision, empty.write_seconds, facts.revision) == (None, None, "0001")
    assert (facts.kind, facts.file, facts.connections) == ("postgresql", None, 40)
    assert facts.server_connections is not None
    assert facts.server_connections > 10
    assert facts.clock_ahead is not None
    assert abs(facts.clock_ahead) < 1  # the server is on this host
    assert 0 < facts.clock_error < 1
    assert facts.write_seconds is not None
    assert "***" in facts.address or ":" not in facts.address.split("@")[0].removeprefix("postgresql://")


def test_the_pool_of_an_engine_that_was_handed_in_is_told(fresh_postgres_url: str) -> None:
    url = fresh_postgres_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, pool_size=3, max_overflow=2)
    try:
        assert SqlStore(engine).facts().connections == 5
    finally:
        engine.dispose()
    unlimited = create_engine(url, max_overflow=-1)
    try:
        assert SqlStore(unlimited).facts().connections is None
    finally:
        unlimited.dispose()


def test_a_role_that_may_only_read_is_asked_all_the_same(fresh_postgres_url: str) -> None:
    store = SqlStore(fresh_postgres_url)
    store.prepare()
    with store.begin() as connection:
        connection.execute(text("REVOKE ALL ON provisioning_schema FROM PUBLIC"))
        connection.execute(text("ALTER TABLE provisioning_schema RENAME COLUMN version TO version_"))
        connection.execute(text("ALTER TABLE provisioning_schema ADD COLUMN version integer GENERATED ALWAYS AS (version_) STORED"))
    facts = store.facts()
    store.close()
    assert (facts.revision, facts.write_seconds) == ("0001", None)


def test_a_server_that_is_not_there_raises() -> None:
    with pytest.raises(StoreUnavailable):
        SqlStore("postgresql://nobody:secret@127.0.0.1:1/none").facts()


MOUNTS = """\
22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:22 / /mnt/share rw - nfs4 server:/share rw
24 23 0:23 / /mnt/share/local rw,relatime shared:2 master:3 - xfs /dev/vdb rw
25 22 0:24 / /mnt/with\\040space rw - cifs //server/share rw
26 22 0:25 / /srv rw - ext4 /dev/vdc rw
27 26 0:26 / /srv rw - tmpfs none rw
a line that is none
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/runs.db", "ext4"),
        ("/mnt/share/runs.db", "nfs4"),
        ("/mnt/shared/runs.db", "ext4"),
        ("/mnt/share/local/deep/runs.db", "xfs"),
        ("/mnt/with space/runs.db", "cifs"),
        ("/srv/runs.db", "tmpfs"),  # mounted over the other
    ],
)
def test_the_file_system_is_that_of_the_innermost_mount(path: str, kind: str) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind


def test_where_mounts_are_not_told_the_file_system_is_not_either() -> None:
    assert file_system_of(Path("/var/runs.db"), "") is None


def test_the_files_beside_it_count(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    store.prepare()
    store.facts()
    beside = tmp_path / "runs.db-wal"
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    beside.chmod(0o604)
    facts = store.facts()
    store.close()
    assert facts.file is not None
    assert facts.file.mode == 0o604
