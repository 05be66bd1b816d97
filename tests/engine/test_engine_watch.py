"""Many runs watched at once: all that is new is told, once and in order, and what does not change costs nothing."""

from __future__ import annotations

import threading

import pytest
from engine_plans import MakeEngine

from provisioning_core import Engine, Event, Plan, StoreUnavailable, gate, step
from provisioning_core.engine import RunNews, Watch
from provisioning_core.stores import MemoryStore
from provisioning_core.testing import FaultyStore

APPROVAL = gate("approval")


@step(needs=[APPROVAL])
def after() -> None: ...


GATED = Plan("gated", steps=[APPROVAL, after])


def waiting_run(engine: Engine, subject: str = "acme") -> str:
    run = engine.start("gated", subject=subject)
    run.wait(timeout=10)
    return run.id


def news_until(watch: Watch, status: str) -> list[RunNews]:
    """All that is told of the one run that is watched, until it rests in this status."""
    told: list[RunNews] = []
    while not (told and told[-1].status == status and told[-1].is_resting):
        found = watch.news(10)
        assert found, f"no news for ten seconds, after {told}"
        told += found
    return told


def events_of(told: list[RunNews]) -> list[Event]:
    return [event for news in told for event in news.events]


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def worker(make_engine: MakeEngine, store: FaultyStore) -> Engine:
    return make_engine(GATED, store=store)


@pytest.fixture
def front(make_engine: MakeEngine, store: FaultyStore) -> Engine:
    """An engine beside the one that works: it hears no commit."""
    return make_engine(GATED, store=store, work=False)


@pytest.mark.parametrize("who", ["worker", "front"])
def test_each_event_is_told_once_wherever_the_run_is_worked_on(worker: Engine, front: Engine, who: str) -> None:
    run_id = waiting_run(worker)
    watch = (worker if who == "worker" else front).watch()
    watch.add(run_id)
    first = news_until(watch, "WAITING")
    worker.signal("acme", "approval")
    told = first + news_until(watch, "SUCCEEDED")

    assert events_of(told) == list(worker.events("acme"))
    view = worker.status("acme")
    assert (told[-1].version, told[-1].seq) == (view.version, view.seq)


def test_only_what_comes_after_the_number_is_told(worker: Engine) -> None:
    run_id = waiting_run(worker)
    whole = list(worker.events("acme"))
    watch = worker.watch()
    watch.add(run_id, after=2)

    assert events_of(watch.news(10)) == whole[2:]
    assert watch.news(0.3) == []


def test_what_does_not_change_is_asked_for_with_one_question_and_read_no_more(
    front: Engine, worker: Engine, store: FaultyStore
) -> None:
    watch = front.watch()
    for number in range(50):
        watch.add(waiting_run(worker, f"tenant-{number}"))
    told = [news for _ in range(2) for news in watch.news(0.5)]
    before = store.calls.copy()
    assert watch.news(0.5) == []
    quiet = store.calls - before
    worker.signal("tenant-7", "approval")
    moved = watch.news(10)

    assert len({news.run_id for news in told}) == 50
    assert (quiet["events"], quiet["load"]) == (0, 0)
    assert 1 <= quiet["heads"] <= 6
    assert {worker.status(run_id=news.run_id).subject for news in moved} == {"tenant-7"}


def test_nothing_is_lost_when_the_store_fails_in_the_middle(worker: Engine, store: FaultyStore) -> None:
    watch = worker.watch()
    runs = [waiting_run(worker, subject) for subject in ("one", "two", "three")]
    for run_id in runs:
        watch.add(run_id)
    store.fail(2, method="events")
    with pytest.raises(StoreUnavailable):
        watch.news(10)
    told = watch.news(10)

    assert {news.run_id: list(news.events) for news in told} == {run_id: list(worker.events(run_id=run_id)) for run_id in runs}


def test_a_run_that_is_not_there_is_told_as_gone(worker: Engine) -> None:
    watch = worker.watch()
    watch.add("unknown")

    assert watch.news(10) == [RunNews(run_id="unknown", status=None)]


def test_what_is_removed_is_told_no_more_and_what_is_added_again_is_told_anew(worker: Engine) -> None:
    run_id = waiting_run(worker)
    watch = worker.watch()
    watch.add(run_id)
    watch.add(run_id)
    first = watch.news(10)
    watch.remove(run_id)
    watch.remove(run_id)
    worker.signal("acme", "approval")
    worker.wait("acme", timeout=10)
    assert watch.news(0.2) == []
    watch.add(run_id, after=first[-1].seq)

    assert events_of(watch.news(10)) == list(worker.events("acme", after=first[-1].seq))


def test_who_waits_for_news_can_be_called_back(worker: Engine) -> None:
    watch = worker.watch()
    told: list[list[RunNews]] = []
    waiting = threading.Thread(target=lambda: told.append(watch.news(60)))
    waiting.start()
    watch.ring()
    waiting.join(10)

    assert told == [[]]


def test_histories_of_more_than_a_page_are_told_whole(worker: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning_core.engine import _watch

    monkeypatch.setattr(_watch, "_PAGE", 2)
    watch = worker.watch()
    watch.add(waiting_run(worker))

    assert events_of(watch.news(10)) == list(worker.events("acme"))
