"""The SQL store keeps the contract of all stores on each of its databases."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from provisioning_core.stores import SqlStore
from provisioning_core.testing import SqlStoreContract


def test_no_case_hides_another_of_the_same_name() -> None:
    names = Counter(name for case in SqlStoreContract.__mro__ for name in vars(case) if name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


class TestOnASqliteFile(SqlStoreContract):
    @pytest.fixture
    def store(self, sqlite_store_in_ram: SqlStore) -> SqlStore:
        return sqlite_store_in_ram


class TestOnSqliteInMemory(SqlStoreContract):
    is_durable = False

    @pytest.fixture
    def store(self) -> Iterator[SqlStore]:
        with closing(SqlStore("sqlite://")) as store:
            store.prepare()
            yield store


class TestOnPostgres(SqlStoreContract):
    @pytest.fixture
    def store(self, postgres_store: SqlStore) -> SqlStore:
        return postgres_store
