"""What every store in a SQL database has to do."""

from __future__ import annotations

import pytest

from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.attempts import AttemptCases
from provisioning_core.testing._store_cases.secrecy import SecrecyCases
from provisioning_core.testing._store_cases.sql import CallersTransactionCases, DatabaseRuleCases, HookConnectionCases, Notes
from provisioning_core.testing._store_contract import StoreContract


class SqlStoreContract(StoreContract, CallersTransactionCases, HookConnectionCases, AttemptCases, DatabaseRuleCases, SecrecyCases):
    """The contract of all stores, and what a store in the product's own database promises beyond it.

    A subclass supplies the fixture ``store``: an empty one for each test, prepared, in a database without a table ``notes``. The
    extra ``secrets`` has to be installed.
    """

    is_durable = True
    """A database in memory is not; its subclass says so."""

    @pytest.fixture
    def notes(self, store: SqlStore) -> Notes:
        """A table of the product's own in the store's database."""
        return Notes(store)

    def test_it_is_durable_and_has_sessions(self, store: SqlStore) -> None:
        assert (store.is_durable, store.has_sessions) == (self.is_durable, True)  # noqa: S101  what it is for
