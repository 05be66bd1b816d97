"""The N-th call of each of the store's methods fails: once, or until the store is healed; and nothing is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import pytest
from fault_plans import MakeStore, scenario

from provisioning_core.ports import Store
from provisioning_core.testing import FaultyStore

_AT_ONCE = 8
_ENOUGH = 8
"""Calls that fail until the store is back."""
_NOT_MINE = ("prepare", "register", "retire")
"""Called while an engine opens or closes: elsewhere."""
_ASKED_AGAIN = ("head", "requests", "engines", "claim")
"""Called again and again: how often depends on how long it takes."""
_MOST_OF_THOSE = 3


class LeftOpen(FaultyStore):
    """The engines of many scenarios use the store inside, one after the other."""

    def close(self) -> None:
        return


class Fault(NamedTuple):
    method: str
    number: int
    when: Any
    for_ever: bool


def faults(store: FaultyStore, when: str, *, for_ever: bool) -> list[Fault]:
    """Each call that the scenario makes without faults."""
    scenario(store, "without", lambda _: None)
    counted = {method: count for method, count in store.calls.items() if method not in _NOT_MINE}
    assert counted["commit"] > 10
    counted |= dict.fromkeys(_ASKED_AGAIN, _MOST_OF_THOSE)
    return [Fault(method, number, when, for_ever) for method, count in counted.items() for number in range(1, count + 1)]


@contextmanager
def healed_later(store: FaultyStore) -> Iterator[None]:
    """The store comes back when enough calls have failed."""
    over = threading.Event()

    def heal() -> None:
        while not over.wait(0.01):
            if store.failed.total() >= _ENOUGH:
                store.heal()
                return

    thread = threading.Thread(target=heal)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def try_one(store: FaultyStore, fault: Fault, name: str) -> str | None:
    """What went wrong, if anything."""

    def prepare(store: FaultyStore) -> None:
        store.fail(fault.number, method=fault.method, when=fault.when, for_ever=fault.for_ever)

    try:
        with healed_later(store):
            scenario(store, name, prepare)
    except BaseException as error:
        return f"{fault}: {type(error).__name__}: {error}"
    return None


def try_all(inner: Store, planned: list[Fault]) -> tuple[list[str], int]:
    """One after the other on one store: what went wrong, and how many of the faults happened."""
    found, met = [], 0
    for number, fault in enumerate(planned):
        store = LeftOpen(inner)
        found.append(try_one(store, fault, f"t{number}"))
        met += store.failed.total() > 0
    return [problem for problem in found if problem is not None], met


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for-ever"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_any_call_may_fail(make_store: MakeStore, when: str, for_ever: bool) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(make_store(f"s{number}"))) for number in range(_AT_ONCE)]
        planned = faults(LeftOpen(stores[0]), when, for_ever=for_ever)
        shares = [planned[number::_AT_ONCE] for number in range(_AT_ONCE)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            results = list(pool.map(try_all, stores, shares))
    assert [problem for problems, _ in results for problem in problems] == []
    met = sum(met for _, met in results)
    assert met > len(planned) / 2, "how much goes into one commit varies, but most of the faults must have happened"
