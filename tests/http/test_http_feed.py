"""One thread that asks for all who wait: what it hands on has no gaps and no repeats, and what fails is tried again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from provisioning_http import _feed
from provisioning_http._feed import Channel, Feed

from provisioning_core import Event, RunStatus, StoreUnavailable
from provisioning_core.engine import RunNews


def an_event(seq: int) -> Event:
    return Event(run_id="run", seq=seq, at=datetime(2026, 1, 1, tzinfo=UTC), type="step.started")


def news(*numbers: int, status: RunStatus = RunStatus.RUNNING) -> RunNews:
    events = tuple(map(an_event, numbers))
    return RunNews(run_id="run", status=status, version=numbers[-1], seq=numbers[-1], events=events)


def kept(channel: Channel) -> Sequence[int]:
    return [line.seq for line in channel.lines]


def test_what_was_told_already_is_left_out() -> None:
    channel = Channel(2)
    channel.take(news(1, 2, 3))
    channel.take(news(3, 4))
    channel.take(news(2, 3))

    assert (kept(channel), channel.base, channel.seq) == ([3, 4], 2, 4)


def test_after_a_gap_only_what_follows_it_is_kept() -> None:
    channel = Channel(2)
    channel.take(news(3))
    channel.take(news(6, 7))

    assert (kept(channel), channel.base, channel.seq) == ([6, 7], 5, 7)


def test_of_a_long_history_the_end_is_kept() -> None:
    channel = Channel(0)
    channel.take(news(*range(1, _feed.KEPT + 11)))

    assert (channel.base, channel.seq, len(channel.lines)) == (10, _feed.KEPT + 10, _feed.KEPT)


def test_a_version_without_an_event_is_to_be_read_unless_it_was_known() -> None:
    channel, known = Channel(2), Channel(2, version=7)
    for each, version in ((channel, 7), (known, 7)):
        each.take(RunNews(run_id="run", status=RunStatus.RUNNING, version=version, seq=2))
    assert (channel.is_quiet, known.is_quiet) == (False, False)

    known.take(RunNews(run_id="run", status=RunStatus.RUNNING, version=8, seq=2))
    assert known.is_quiet
    known.take(news(3))
    assert (known.is_quiet, known.glance) == (False, None)


def threads() -> int:
    return sum(thread.name == "provisioning-http-feed" for thread in threading.enumerate())


async def version_beyond(subscription: _feed.Subscription, version: int) -> None:
    async with asyncio.timeout(10):
        while subscription.version <= version:
            await subscription.news(10)


def test_one_thread_serves_all_and_ends_with_the_last(world) -> None:
    runs = [world.start("gated", f"tenant-{number}") for number in range(20)]
    feed = Feed(world.engine)

    async def wait(run_id: str) -> int:
        with feed.subscribed(run_id, seq=0) as subscription:
            await version_beyond(subscription, -1)
            return threads()

    async def story() -> list[int]:
        return await asyncio.gather(*(wait(run.id) for run in runs for _ in range(5)))

    assert set(asyncio.run(story())) == {1}
    for thread in threading.enumerate():
        if thread.name == "provisioning-http-feed":
            thread.join(10)
    assert threads() == 0


def test_who_waits_is_told_on_each_event_loop(world) -> None:
    run = world.start("gated")
    version = world.engine.status("acme").version
    feed = Feed(world.engine)
    ready = threading.Barrier(4)
    told: list[int] = []

    async def wait() -> None:
        with feed.subscribed(run.id, seq=0) as subscription:
            await version_beyond(subscription, version - 1)
            await asyncio.to_thread(ready.wait, 10)
            await version_beyond(subscription, version)
            told.append(subscription.version)

    waiting = [threading.Thread(target=lambda: asyncio.run(wait())) for _ in range(3)]
    for each in waiting:
        each.start()
    ready.wait(10)
    world.engine.signal("acme", "approval")
    for each in waiting:
        each.join(10)

    assert [each > version for each in told] == [True] * 3


def test_the_end_is_told_although_the_store_failed_meanwhile(
    world, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_feed, "_PAUSE", 0.01)
    monkeypatch.setattr(_feed, "_LOOK", 0.05)
    run = world.start("quick")
    faults = iter([StoreUnavailable("away"), StoreUnavailable("away"), RuntimeError("odd")])
    status = world.engine.status

    def failing(*subject, **named):
        for fault in faults:
            raise fault
        return status(*subject, **named)

    monkeypatch.setattr(world.engine, "status", failing)

    async def story() -> RunStatus:
        with Feed(world.engine).subscribed(run.id, seq=0) as subscription:
            async with asyncio.timeout(10):
                while subscription.final is None:
                    await subscription.news(10)
            return subscription.final.status

    with caplog.at_level(logging.WARNING, "provisioning_http"):
        assert asyncio.run(story()) == "SUCCEEDED"
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]


def test_a_run_that_has_moved_on_meanwhile_is_not_told_as_ended(world) -> None:
    world.start("quick")
    feed = Feed(world.engine)
    view = world.engine.status("acme")
    channel = Channel(view.seq, version=view.version - 1, is_over=True)
    feed._channels[view.id] = channel
    feed._unread.add(view.id)
    feed._read()
    assert channel.final is None

    channel.version = view.version
    feed._unread.add(view.id)
    feed._read()
    assert channel.final == view
