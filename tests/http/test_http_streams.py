"""Live progress: what goes over the wire, and that every event comes once, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from fastapi import FastAPI
from http_people import authorize
from listening import Message, listening
from provisioning_http import Limits, Stop, _streams, _wire, create_router
from starlette.testclient import TestClient

ACME = "/provisioning/tenants/acme"
EVENTS = f"{ACME}/events"


def ran(story: Callable[[], Awaitable[Any]]) -> Any:
    """The story's end, in an event loop of its own."""
    return asyncio.run(story())


def serve(world, **more: Any) -> FastAPI:
    app = FastAPI()
    app.include_router(create_router(world.engine, authorize=authorize, **more))
    return app


def history(messages: list[Message]) -> list[Any]:
    return [message.data for message in messages if message.name == "message"]


def test_a_stream_begins_with_a_snapshot_and_ends_with_the_run(world, app: FastAPI, olaf: TestClient) -> None:
    run = world.start("slow")

    async def story() -> list[Message]:
        async with listening(app, EVENTS, "olaf") as stream:
            first = await stream.next()
            assert (stream.status, first.name, first.data["state"]) == (200, "snapshot", "RUNNING")
            world.open.set()
            return await stream.to_the_end()

    told = ran(story)
    first, last = told[0], told[-1]
    whole = [event.to_dict() for event in world.engine.events("acme")]

    assert history(told) == whole[first.seq :]
    assert [message.id for message in told[1:-1]] == [f"{run.id}:{event['seq']}" for event in whole[first.seq :]]
    assert (last.name, last.data, last.id) == ("end", olaf.get(f"{ACME}/status").json(), f"{run.id}:{len(whole)}")


def test_progress_within_a_step_is_told_as_it_is_made(world, app: FastAPI) -> None:
    run = world.start("telling")

    async def story() -> list[Message]:
        async with listening(app, EVENTS, "anna") as stream, listening(app, EVENTS, "olaf", f"{run.id}:0") as other:
            await stream.next()
            while (await other.next()).data["type"] != "step.running":
                pass
            for _ in range(3):
                world.next.set()
                while (await stream.next()).name != "progress":
                    pass
                assert (await other.next()).name == "progress"
            world.open.set()
            await other.to_the_end()
            return await stream.to_the_end()

    told = ran(story)
    progress = [message for message in told if message.name == "progress"]

    assert [message.data["steps"] for message in progress] == [
        {"copy": {"progress": part, "message": f"{part:.0%} of acme"}} for part in (0.25, 0.5, 0.75)
    ]
    assert [message.data["version"] for message in progress] == sorted({message.data["version"] for message in progress})
    assert 0 < progress[0].data["progress"] < progress[-1].data["progress"] < 1
    assert {message.id for message in progress} == {""}
    assert [message.data for message in told if message.name == "message"] == [
        event.to_dict() for event in world.engine.events("acme")
    ][told[0].seq :]


def test_progress_is_read_and_rendered_once_for_all_streams(world, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("telling")
    rendered: list[Any] = []
    render = _wire.progress
    monkeypatch.setattr(_wire, "progress", lambda view: rendered.append(view.version) or render(view))

    async def story() -> None:
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(listening(app, EVENTS, person)) for person in ("anna", "olaf") * 10]
            for each in streams:
                await each.next()
            for _ in range(3):
                world.next.set()
                for each in streams:
                    while (await each.next()).name != "progress":
                        pass
            world.open.set()

    ran(story)

    assert len(rendered) == 3


def test_what_a_stream_is_sent_as(world, olaf: TestClient) -> None:
    world.start("quick")
    answer = olaf.get(EVENTS, headers={"Accept": "text/event-stream"})

    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["vary"] == "Accept"
    assert answer.text.startswith("retry: 3000\n\nevent: snapshot\ndata: {")


def test_events_are_those_of_the_pages_to_each_kind_of_caller(world, olaf: TestClient, anna: TestClient) -> None:
    run = world.start("broken")
    olaf.post(f"{ACME}/retry", json={"reason": "customer called twice"})
    world.engine.wait("acme", timeout=10)

    for client in (olaf, anna):
        streamed = client.get(EVENTS, headers={"Accept": "text/event-stream", "Last-Event-ID": f"{run.id}:0"})
        told = [line.removeprefix("data: ") for line in streamed.text.split("\n") if line.startswith("data: ")]
        page = client.get(EVENTS).text
        assert page == f'{{"items":[{",".join(told[:-1])}],"next_after":{len(told) - 1}}}'
        assert told[-1] == client.get(f"{ACME}/status").text
    assert "customer called twice" not in streamed.text


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_an_id_goes_on_where_it_left_off(world, olaf: TestClient, seq: int) -> None:
    run = world.start("broken")
    whole = [event.to_dict() for event in world.engine.events("acme")]
    by_header = olaf.get(EVENTS, headers={"Accept": "text/event-stream", "Last-Event-ID": f"{run.id}:{seq}"})
    by_query = olaf.get(EVENTS, headers={"Accept": "text/event-stream"}, params={"last_event_id": f"{run.id}:{seq}"})
    by_number = olaf.get(EVENTS, headers={"Accept": "text/event-stream", "Last-Event-ID": f"{seq}"})

    assert '"snapshot"' not in by_header.text
    assert [f'"seq":{event["seq"]},' in by_header.text for event in whole] == [event["seq"] > seq for event in whole]
    assert by_query.text == by_number.text == by_header.text


@pytest.mark.parametrize("of", ["", "x", "{run}", "{run}:", "{run}:x", "{run}:-1", "{run}:999", "{run}:1:1", "{run}: 1", "0000:1"])
def test_an_id_that_can_not_be_gone_on_from_gets_a_reset(world, olaf: TestClient, of: str) -> None:
    run = world.start("quick")
    last_id = of.format(run=run.id)
    answer = olaf.get(EVENTS, headers={"Accept": "text/event-stream", "Last-Event-ID": last_id})
    status = olaf.get(f"{ACME}/status").text
    last = len(list(world.engine.events("acme")))

    told = f"data: {status}\nid: {run.id}:{last}\n\n"
    assert answer.text == f"retry: 3000\n\nevent: reset\n{told}event: end\n{told}"


def test_an_id_that_is_too_far_behind_gets_a_reset(world, olaf: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streams, "MAX_REPLAY", 2)
    run = world.start("quick")
    last = world.engine.status("acme").seq
    answers = [
        olaf.get(EVENTS, headers={"Accept": "text/event-stream", "Last-Event-ID": f"{run.id}:{last - behind}"}).text
        for behind in (2, 3)
    ]

    assert ["event: reset" in text for text in answers] == [False, True]


def test_an_id_of_an_older_run_gets_a_reset_to_the_latest_one(world, olaf: TestClient) -> None:
    old = world.start("quick")
    new = world.engine.start("quick", subject="acme", input={"slug": "acme"}, again=True)
    new.wait(timeout=10)
    headers = {"Accept": "text/event-stream", "Last-Event-ID": f"{old.id}:1"}
    latest, named = (olaf.get(EVENTS, headers=headers, params=params).text for params in ({}, {"run_id": old.id}))

    assert f"event: reset\ndata: {olaf.get(f'{ACME}/status').text}" in latest
    assert old.id not in latest
    assert "event: reset" not in named
    assert new.id not in named


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_run_of_another_tenant_can_not_be_named(world, olaf: TestClient, accept: str) -> None:
    world.start("quick")
    foreign = world.start("gated", "other")
    answers = [olaf.get(EVENTS, headers={"Accept": accept}, params={"run_id": each}) for each in (foreign.id, "0" * 32)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_pages_of_an_older_run_can_be_had_by_its_id(world, olaf: TestClient) -> None:
    old = world.start("quick")
    world.engine.start("quick", subject="acme", input={"slug": "acme"}, again=True).wait(timeout=10)
    items = olaf.get(EVENTS, params={"run_id": old.id}).json()["items"]

    assert items == [event.to_dict() for event in world.engine.events(run_id=old.id)]


def test_a_stream_goes_on_through_a_rest_and_ends_when_the_run_does(world, app: FastAPI) -> None:
    world.start("gated")

    async def story() -> list[str]:
        async with listening(app, EVENTS, "olaf") as stream:
            first = await stream.next()
            assert first.data["state"] == "WAITING"
            await asyncio.to_thread(world.engine.signal, "acme", "approval")
            return [message.name for message in await stream.to_the_end()]

    names = ran(story)

    assert (names[0], names[-1], set(names[1:-1])) == ("snapshot", "end", {"message"})


def test_a_failed_run_that_is_retried_is_told_of_from_there_at_the_next_connection(world, app: FastAPI) -> None:
    run = world.start("broken")
    failed_at = world.engine.status("acme").seq

    async def story() -> list[Message]:
        async with listening(app, EVENTS, "olaf") as stream:
            [_, end] = await stream.to_the_end()
        assert (end.name, end.data["state"], end.seq) == ("end", "FAILED", failed_at)
        world.mended.set()
        await asyncio.to_thread(world.engine.retry, "acme")
        async with listening(app, EVENTS, "olaf", end.id) as stream:
            return await stream.to_the_end()

    told = ran(story)

    assert [message.seq for message in told[:-1]] == list(range(failed_at + 1, told[-1].seq + 1))
    assert (told[-1].name, told[-1].data["state"], told[-1].data["run_id"]) == ("end", "SUCCEEDED", run.id)


def test_silence_is_broken_by_comments(world, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streams, "PING_SECONDS", 0.05)
    world.start("gated")

    async def story() -> None:
        async with listening(app, EVENTS, "anna") as stream:
            await stream.until(lambda each: each.text.count(": ping\n\n") > 2)
            assert len(stream.messages) == 1

    ran(story)


def test_streams_beyond_the_limit_are_refused_and_a_place_is_given_back(world) -> None:
    world.start("gated")
    app = serve(world, limits=Limits(streams=2))

    async def story() -> None:
        async with listening(app, EVENTS, "anna") as first, listening(app, EVENTS, "olaf") as second:
            assert [(await each.next()).name for each in (first, second)] == ["snapshot", "snapshot"]
            async with listening(app, EVENTS, "root") as third:
                await third.until(lambda each: each.is_complete)
            assert (third.status, third.headers["retry-after"]) == (503, "5")
            assert '"code":"too_many_streams"' in third.text
        async with listening(app, EVENTS, "root") as later:
            assert (await later.next()).name == "snapshot"

    ran(story)


def test_one_principal_does_not_get_all_places(world) -> None:
    world.start("gated")
    app = serve(world, limits=Limits(streams_per_principal=1))

    async def story() -> list[int]:
        async with listening(app, EVENTS, "anna") as first:
            await first.next()
            async with listening(app, EVENTS, "anna") as second, listening(app, EVENTS, "olaf") as other:
                await second.until(lambda each: each.is_complete)
                await other.next()
                return [first.status, second.status, other.status]

    assert ran(story) == [200, 503, 200]


def test_a_stream_ends_when_its_time_is_up_and_nothing_is_missed(world) -> None:
    run = world.start("gated")
    app = serve(world, limits=Limits(stream_seconds=0.05))

    async def story() -> list[Message]:
        async with listening(app, EVENTS, "olaf") as stream:
            [snapshot] = await stream.to_the_end()
        await asyncio.to_thread(world.engine.signal, "acme", "approval")
        last_id, told = snapshot.id, []
        while not told or told[-1].name != "end":
            async with listening(app, EVENTS, "olaf", last_id) as stream:
                told += await stream.to_the_end()
            last_id = told[-1].id if told else last_id
        return [snapshot, *told]

    snapshot, *told, end = ran(story)

    assert [message.seq for message in told] == list(range(snapshot.seq + 1, end.seq + 1))
    assert end.id == f"{run.id}:{world.engine.status('acme').seq}"


def test_a_stop_ends_streams_and_long_polls_and_refuses_new_ones(world) -> None:
    world.start("gated")
    stop = Stop()
    app = serve(world, stop=stop)

    async def story() -> None:
        poll = asyncio.create_task(polled(app))
        async with listening(app, EVENTS, "anna") as stream:
            await stream.next()
            stop.set()
            assert len(await stream.to_the_end()) == 1
        assert await poll == 200
        async with listening(app, EVENTS, "anna") as refused:
            await refused.until(lambda each: each.is_complete)
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        stop.clear()
        async with listening(app, EVENTS, "anna") as again:
            assert (await again.next()).name == "snapshot"

    ran(story)


async def polled(app: FastAPI) -> int:
    async with listening(app, f"{ACME}/status?wait=30", "anna") as poll:
        await poll.until(lambda each: each.is_complete)
        return poll.status


def test_a_client_that_takes_nothing_does_not_keep_its_place_for_ever(world, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streams, "LINGER", 0.05)
    world.start("gated")
    app = serve(world, limits=Limits(stream_seconds=0.05, streams=1))

    async def story() -> None:
        async with listening(app, EVENTS, "anna") as stuck:
            stuck.takes.clear()
            async with asyncio.timeout(10):
                while True:
                    async with listening(app, EVENTS, "olaf") as other:
                        await other.until(lambda each: each.status)
                    if other.status == 200:
                        break
            assert stuck.status == 0

    ran(story)


def test_who_comes_late_reads_from_the_store_what_is_not_kept(world, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_streams, "_PAGE", 2)
    run = world.start("slow")

    async def story() -> tuple[list[Message], list[Message]]:
        async with listening(app, EVENTS, "olaf") as early:
            await early.next()
            async with listening(app, EVENTS, "olaf", f"{run.id}:0") as late:
                await late.next()
                world.open.set()
                return await early.to_the_end(), await late.to_the_end()

    early, late = ran(story)

    assert history(late) == [event.to_dict() for event in world.engine.events("acme")]
    assert history(early) == history(late)[early[0].seq :]
    assert early[-1] == late[-1]


def test_history_that_was_removed_is_told_as_a_reset(world, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    run = world.start("gated")
    events = world.engine.store.events

    def without_the_first(run_id: str, *, after: int = 0, limit: int = 1000) -> Any:
        return events(run_id, after=max(after, 2), limit=limit)

    monkeypatch.setattr(world.engine.store, "events", without_the_first)

    async def story() -> Message:
        async with listening(app, EVENTS, "olaf", f"{run.id}:1") as stream:
            return await stream.next()

    told = ran(story)

    assert (told.name, told.id) == ("reset", f"{run.id}:{world.engine.status('acme').seq}")


def test_a_stream_of_what_does_not_exist_is_a_problem(world, olaf: TestClient) -> None:
    answer = olaf.get(EVENTS, headers={"Accept": "text/event-stream"})

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
