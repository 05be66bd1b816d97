"""The sender's places: shared among endpoints, given back, and none of them held for ever."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from provisioning_core.observers.webhooks._sender import Pace, Sender
from provisioning_core.outbox import Claimed, Settled
from provisioning_core.stores import MemoryStore
from provisioning_core.testing._store_cases.outbox_records import a_telling_run, an_endpoint

HANGING = ("hang-1", "hang-2", "hang-3")


class Courier:
    """Hangs at some endpoints until it is let go; counts."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._changed = threading.Condition()

    def deliver(self, claimed: Claimed, is_over: Callable[[], bool]) -> Settled:
        name = claimed.endpoint.id
        with self._changed:
            self.at_once[name] += 1
            self.most[name] = max(self.most[name], self.at_once[name])
            self._changed.notify_all()
        if name in HANGING:
            self.let_go.wait(20)
        with self._changed:
            self.at_once[name] -= 1
            self.done[name] += 1
            self._changed.notify_all()
        return Settled(claimed=claimed, after=claimed.until, tries=0)

    def wait_until(self, condition: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, 10.0)


@pytest.fixture
def courier() -> Iterator[Courier]:
    courier = Courier()
    yield courier
    courier.let_go.set()


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for name in (*HANGING, "healthy"):
        store.outbox.add(an_endpoint(name))
    for number in range(20):
        a_telling_run(store, f"run-{number}", "run.succeeded")
    return store


def test_endpoints_that_hang_do_not_stop_the_others(store: MemoryStore, courier: Courier) -> None:
    sender = Sender(store.outbox, courier, Pace(per_endpoint=4, at_once=8, poll=0.02))
    sender.begin()
    try:
        assert courier.wait_until(lambda: courier.done["healthy"] == 20), courier.done
        assert courier.at_once.total() <= 8
        assert all(courier.at_once[name] for name in HANGING)
        assert max(courier.most.values()) <= 4
    finally:
        courier.let_go.set()
    assert courier.wait_until(lambda: courier.done.total() == 80)
    sender.close(10)
    assert (sender.in_flight, store.outbox.backlog()) == (0, {})


def test_an_endpoint_never_has_more_than_its_places(store: MemoryStore, courier: Courier) -> None:
    courier.let_go.set()
    sender = Sender(store.outbox, courier, Pace(per_endpoint=2, at_once=16, poll=0.02))
    sender.begin()
    assert courier.wait_until(lambda: courier.done.total() == 80)
    sender.close(10)
    assert set(courier.most.values()) <= {1, 2}


def test_what_is_done_at_the_end_is_recorded(store: MemoryStore, courier: Courier) -> None:
    sender = Sender(store.outbox, courier, Pace(at_once=8, poll=0.02))
    sender.begin()
    assert courier.wait_until(lambda: courier.at_once.total() >= 3)
    threading.Timer(0.1, courier.let_go.set).start()
    sender.close(10)
    done = courier.done.total()
    assert sum(store.outbox.backlog().values()) == 80 - done
    assert done >= 3


def test_what_hangs_at_the_end_is_left_behind_and_due_again(store: MemoryStore, courier: Courier) -> None:
    sender = Sender(store.outbox, courier, Pace(at_once=8, poll=0.02, lease=0.01))
    sender.begin()
    assert courier.wait_until(lambda: courier.at_once.total() >= 3)
    began = time.monotonic()
    sender.close(0.1)
    assert time.monotonic() - began < 3.0
    courier.let_go.set()
    other = Sender(store.outbox, courier, Pace(at_once=8, poll=0.02))
    other.begin()
    assert courier.wait_until(lambda: not store.outbox.backlog() or courier.done.total() >= 80)
    other.close(10)
    assert store.outbox.backlog() == {}


def test_a_sender_can_be_closed_again_and_before_it_began(store: MemoryStore, courier: Courier) -> None:
    sender = Sender(store.outbox, courier, Pace())
    sender.close(1)
    sender.begin()
    sender.begin()
    assert sum(each.name == "provisioning-webhooks" for each in threading.enumerate()) == 1
    courier.let_go.set()
    sender.close(10)
    sender.close(10)
    assert sum(each.name == "provisioning-webhooks" for each in threading.enumerate()) == 0
