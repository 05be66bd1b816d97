"""A kit for tests: a plan's fault matrix, a clock set by hand, engines without threads, the proof of a history, suites for stores.

Needs pytest for the suites. Subclass one in a test module and supply the fixture ``store``::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self): ...
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from provisioning_core.testing._clock import FakeClock
from provisioning_core.testing._faulty_store import FaultyStore
from provisioning_core.testing._ledger import LedgerFile, LedgerLine
from provisioning_core.testing._matrix import Proof, fault_matrix
from provisioning_core.testing._matrix_result import Cell, FaultMatrix, PlanFaulty
from provisioning_core.testing._verify import verify_history
from provisioning_core.testing._virtual import Call, VirtualEngine, VirtualWorld

if TYPE_CHECKING:
    from provisioning_core.testing._outbox_contract import OutboxContract
    from provisioning_core.testing._sql_contract import SqlStoreContract
    from provisioning_core.testing._store_contract import StoreContract

_CASES = "provisioning_core.testing._store_cases"

__all__ = [
    "Call",
    "Cell",
    "FakeClock",
    "FaultMatrix",
    "FaultyStore",
    "LedgerFile",
    "LedgerLine",
    "OutboxContract",
    "PlanFaulty",
    "Proof",
    "SqlStoreContract",
    "StoreContract",
    "VirtualEngine",
    "VirtualWorld",
    "fault_matrix",
    "verify_history",
]


def __getattr__(name: str) -> Any:
    # pytest and SQLAlchemy are imported by those only who use the suites.
    if name not in ("OutboxContract", "SqlStoreContract", "StoreContract"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _let_pytest_explain()
    if name == "OutboxContract":
        from provisioning_core.testing._outbox_contract import OutboxContract

        return OutboxContract
    if name == "StoreContract":
        from provisioning_core.testing._store_contract import StoreContract

        return StoreContract
    from provisioning_core.testing._sql_contract import SqlStoreContract

    return SqlStoreContract


def _let_pytest_explain() -> None:
    """Failed assertions of the suites then show both sides, as those in test modules do."""
    import pytest

    if not any(name.startswith(_CASES) for name in sys.modules):
        pytest.register_assert_rewrite(_CASES)
