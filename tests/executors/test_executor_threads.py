"""The pool of threads: every call is done, by as few threads as can do it, and by as many as it takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from provisioning_core.executors import ThreadExecutor

_PATIENCE = 20


@pytest.fixture
def executor() -> Iterator[ThreadExecutor]:
    with ThreadExecutor(4) as executor:
        yield executor


def test_what_was_called_is_told(executor: ThreadExecutor) -> None:
    assert [executor.submit(pow, 2, exp=n).result(_PATIENCE) for n in range(5)] == [1, 2, 4, 8, 16]
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0).result(_PATIENCE)


def test_as_many_calls_as_there_are_workers_run_at_once(executor: ThreadExecutor) -> None:
    together = threading.Barrier(4)
    waiting = [executor.submit(together.wait, _PATIENCE) for _ in range(8)]
    assert sorted(each.result(_PATIENCE) for each in waiting) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_no_more_than_that_run_at_once(executor: ThreadExecutor) -> None:
    lock, running, most = threading.Lock(), 0, 0
    go = threading.Event()

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(0.01)
        with lock:
            running -= 1

    for each in [executor.submit(work) for _ in range(40)]:
        each.result(_PATIENCE)
    assert most == 4


def test_a_call_that_is_cancelled_before_it_begins_is_not_made() -> None:
    go, begun = threading.Event(), threading.Event()
    with ThreadExecutor(1) as executor:
        executor.submit(lambda: (begun.set(), go.wait(_PATIENCE)))
        assert begun.wait(_PATIENCE)
        second = executor.submit(pow, 2, 3)
        assert second.cancel()
        go.set()
        with pytest.raises(CancelledError):
            second.result(_PATIENCE)
        assert executor.submit(pow, 2, 3).result(_PATIENCE) == 8


def test_a_follow_up_is_done_by_the_thread_it_comes_from(executor: ThreadExecutor) -> None:
    threads: list[int] = []
    done = threading.Event()

    def first() -> None:
        threads.append(threading.get_ident())
        executor.follow_up(second)

    def second() -> None:
        threads.append(threading.get_ident())
        done.set()

    executor.spawn(first)
    assert done.wait(_PATIENCE)
    assert threads[0] == threads[1]


def test_several_follow_ups_of_one_call_run_at_once(executor: ThreadExecutor) -> None:
    together = threading.Barrier(4)
    done = threading.Semaphore(0)

    def meet() -> None:
        together.wait(_PATIENCE)
        done.release()

    def first() -> None:
        for _ in range(4):
            executor.follow_up(meet)

    executor.spawn(first)
    for _ in range(4):
        assert done.acquire(timeout=_PATIENCE)


def test_a_follow_up_from_elsewhere_is_an_ordinary_call(executor: ThreadExecutor) -> None:
    done = threading.Event()
    executor.follow_up(done.set)
    assert done.wait(_PATIENCE)


def test_calls_that_call_each_other_are_all_made(executor: ThreadExecutor) -> None:
    """Each of many makes two more."""
    left, lock, done = [7 * (2**8 - 1)], threading.Lock(), threading.Event()

    def work(depth: int) -> None:
        with lock:
            left[0] -= 1
            if left[0] == 0:
                done.set()
        if depth > 0:
            executor.follow_up(work, depth - 1)
            executor.spawn(work, depth - 1)

    for _ in range(7):
        executor.submit(work, 7)
    assert done.wait(_PATIENCE)


def test_a_call_that_fails_in_silence_costs_no_thread(executor: ThreadExecutor, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadExecutor(1) as executor:
        executor.spawn(divmod, 1, 0)
        assert executor.submit(pow, 2, 3).result(_PATIENCE) == 8
    assert "ZeroDivisionError" in caplog.text


def test_after_its_end_it_takes_no_more() -> None:
    executor = ThreadExecutor(2)
    assert executor.submit(pow, 2, 3).result(_PATIENCE) == 8
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(pow, 2, 3)


def test_what_was_taken_before_the_end_is_done() -> None:
    executor, go = ThreadExecutor(1), threading.Event()
    first, second = executor.submit(go.wait, _PATIENCE), executor.submit(pow, 2, 3)
    executor.shutdown()
    go.set()
    assert (first.result(_PATIENCE), second.result(_PATIENCE)) == (True, 8)


def test_threads_end_with_the_pool() -> None:
    executor = ThreadExecutor(3, name="short-lived")
    together = threading.Barrier(3)
    for each in [executor.submit(together.wait, _PATIENCE) for _ in range(3)]:
        each.result(_PATIENCE)
    executor.shutdown()
    for thread in threading.enumerate():
        if thread.name.startswith("short-lived"):
            thread.join(_PATIENCE)
            assert not thread.is_alive()


def test_no_workers_are_no_pool() -> None:
    with pytest.raises(ValueError, match="max_workers=0"):
        ThreadExecutor(0)
