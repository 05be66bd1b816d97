"""Signals that end a process reach the streams first, then whoever listened before."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from provisioning_http import Stop


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """Signals that the server, which listened first, was told of."""
    told: list[int] = []
    handlers = {number: signal.signal(number, lambda given, _: told.append(given)) for number in (signal.SIGTERM, signal.SIGINT)}
    yield told
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_it_and_is_handed_on(heard: list[int], number: int) -> None:
    stop = Stop()
    with stop.listening():
        signal.raise_signal(number)

    assert (stop.is_set, heard) == (True, [number])


def test_the_last_one_restores_what_was_there(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = Stop()
    with stop.listening():
        with stop.listening():
            assert signal.getsignal(signal.SIGTERM) is not before
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    signal.raise_signal(signal.SIGTERM)

    assert (stop.is_set, heard) == (False, [signal.SIGTERM])


def test_two_routers_are_both_told_in_whatever_order_they_end(heard: list[int]) -> None:
    first, second = Stop(), Stop()
    outer, inner = first.listening(), second.listening()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    signal.raise_signal(signal.SIGTERM)
    inner.__exit__(None, None, None)

    assert (first.is_set, second.is_set, heard) == (True, True, [signal.SIGTERM])


def test_outside_of_the_main_thread_nothing_is_listened_for(heard: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []

    def listen() -> None:
        with Stop().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join(10)

    assert seen == [before]


def test_a_process_without_handlers_ends_by_the_signal_as_ever() -> None:
    code = "import signal\nfrom provisioning_http import Stop\nwith Stop().listening(): signal.raise_signal(signal.SIGTERM)\n"

    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == -signal.SIGTERM


def test_it_may_be_set_from_any_thread_and_again_after_it_was_cleared() -> None:
    stop = Stop()

    async def waited() -> bool:
        waiting = asyncio.create_task(stop.wait())
        await asyncio.sleep(0)
        threading.Thread(target=stop.set).start()
        async with asyncio.timeout(10):
            await waiting
        return stop.is_set

    async def twice() -> list[bool]:
        first = await waited()
        stop.clear()
        return [first, stop.is_set, await waited()]

    assert asyncio.run(twice()) == [True, False, True]
    assert asyncio.run(stop.wait()) is None
