"""The store in memory keeps the contract of all stores."""

import pytest

from provisioning_core.errors import ProvisioningError
from provisioning_core.ports import NewRun
from provisioning_core.stores import MemoryStore
from provisioning_core.testing import FakeClock, StoreContract
from provisioning_core.testing._store_cases.records import GRAPH, a_run, an_engine


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_it_has_no_transactions_and_forgets() -> None:
    store = MemoryStore()
    assert (store.has_sessions, store.is_durable) == (False, False)
    with pytest.raises(ProvisioningError) as caught:
        store.transaction("run-1", 1)
    assert caught.value.code == "no_sessions"
    with pytest.raises(ProvisioningError) as caught:
        store.create(NewRun(run=a_run(), graph=GRAPH), connection=object())
    assert caught.value.code == "bad_connection"


def test_its_clock_can_be_set_by_hand() -> None:
    clock = FakeClock(start=100.0)
    store = MemoryStore(clock)
    store.register(an_engine("one"), 30.0)
    assert [engine.expires_at for engine in store.engines()] == [130.0]
    clock.advance(29.0)
    assert store.heartbeat("one", 30.0)
    assert clock.advance(30.0) == clock.monotonic() == 159.0
    assert not store.heartbeat("one", 30.0)
    assert [engine.overdue for engine in store.engines()] == [0.0]
