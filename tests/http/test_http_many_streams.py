"""Hundreds of streams while dozens of runs work, on a real server in a process of its own, with clients that drop the line."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from listening import Message, messages_in

THOROUGH = bool(os.environ.get("PROVISIONING_THOROUGH"))
STREAMS, RUNS = (500, 50) if THOROUGH else (200, 20)
SERVER = Path(__file__).with_name("stream_server.py")
SEED = 20261124
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """The process, and what it uses."""

    def __init__(self, database: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER), str(database)], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    @property
    def cpu(self) -> float:
        """Seconds used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def megabytes(self) -> float:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self, number: int) -> tuple[float, int]:
        """Seconds until it has ended after this signal, and its exit code."""
        begun = time.perf_counter()
        self._process.send_signal(number)
        code = self._process.wait(timeout=30)
        return time.perf_counter() - begun, code

    def discard(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    made = Server(tmp_path / "runs.db")
    yield made
    made.discard()


async def call(port: int, method: str, path: str, body: Any = None) -> Any:
    """One call over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = b"" if body is None else json.dumps(body).encode()
    kind = "" if body is None else "Content-Type: application/json\r\n"
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{kind}Content-Length: {len(content)}\r\n\r\n".encode())
    writer.write(content)
    head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.split()[1] in (b"200", b"202"), (head, answer)
    return json.loads(answer)


@dataclass(slots=True)
class Follower:
    """One client: follows a tenant's run to its end, and loses the connection now and then."""

    port: int
    tenant: str
    dice: random.Random
    drops: int
    last_id: str | None = None
    told: list[Message] = field(default_factory=list)
    connections: int = 0
    is_listening: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self) -> None:
        while not self.told or self.told[-1].name != "end":
            patience = self.dice.randint(1, 12) if self.drops > 0 else 10**9
            self.drops -= 1
            await self._listen(patience)

    async def _listen(self, patience: int) -> None:
        """Until the server closes, or after so many events, in the middle of whatever comes next."""
        self.connections += 1
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        resume = f"Last-Event-ID: {self.last_id}\r\n" if self.last_id else ""
        path = f"/provisioning/tenants/{self.tenant}/events"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n{resume}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.split()[1] == b"200", head
        text, heard = "", 0
        while heard < patience and (size := int(await reader.readline() or b"0", 16)):
            text += (await reader.readexactly(size + 2))[:-2].decode()
            *whole, text = text.split("\n\n")
            messages = messages_in("\n\n".join(whole))[: patience - heard]
            heard += len(messages)
            self._take(messages)
        writer.close()

    def _take(self, messages: list[Message]) -> None:
        self.told += [message for message in messages if message.name != "progress"]
        if ids := [message.id for message in messages if message.id]:
            self.last_id = ids[-1]
            self.is_listening.set()


async def story(server: Server) -> tuple[list[Follower], dict[str, list[Any]], dict[str, float]]:
    """Runs wait at a gate until all streams are open; then all work at once."""
    dice = random.Random(SEED)
    tenants = [f"tenant-{number}" for number in range(RUNS)]
    for tenant in tenants:
        await call(server.port, "POST", f"/provisioning/tenants/{tenant}/start", {"plan": "working"})
    idle = server.megabytes
    followers = [Follower(server.port, tenants[n % RUNS], random.Random(dice.random()), drops=n % 4) for n in range(STREAMS)]
    tasks = [asyncio.create_task(each.follow()) for each in followers]
    await asyncio.gather(*(each.is_listening.wait() for each in followers))
    loaded, cpu, begun = server.megabytes, server.cpu, time.perf_counter()
    for tenant in tenants:
        await call(server.port, "POST", f"/provisioning/tenants/{tenant}/signals/begin", {})
    await asyncio.gather(*tasks)
    figures = {
        "seconds": time.perf_counter() - begun,
        "cpu": server.cpu - cpu,
        "MB idle": idle,
        "MB with streams": loaded,
        "MB after": server.megabytes,
    }
    pages = {tenant: await call(server.port, "GET", f"/provisioning/tenants/{tenant}/events?limit=1000") for tenant in tenants}
    return followers, {tenant: page["items"] for tenant, page in pages.items()}, figures


def test_every_event_comes_once_to_every_stream_whatever_happens_to_its_connection(server: Server) -> None:
    followers, whole, figures = asyncio.run(asyncio.wait_for(story(server), 100))

    for each in followers:
        first, *told, end = each.told
        assert (first.name, end.name, end.data["state"]) == ("snapshot", "end", "SUCCEEDED")
        assert [message.data for message in told] == whole[each.tenant][first.seq :]
    events, reconnects = sum(len(each.told) - 2 for each in followers), sum(each.connections - 1 for each in followers)
    print(f"{STREAMS} streams, {RUNS} runs: {events} events told, {reconnects} reconnects, {figures}")
    assert reconnects > STREAMS / 2
    assert events == sum(len(whole[each.tenant]) - each.told[0].seq for each in followers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_goes_down_at_once_with_streams_open(server: Server, number: int) -> None:
    async def open_all() -> tuple[float, int, list[str]]:
        for tenant in range(RUNS):
            await call(server.port, "POST", f"/provisioning/tenants/tenant-{tenant}/start", {"plan": "working"})
        poll = asyncio.create_task(call(server.port, "GET", "/provisioning/tenants/tenant-0/status?wait=30"))
        followers = [Follower(server.port, f"tenant-{n % RUNS}", random.Random(n), drops=0) for n in range(STREAMS)]
        tasks = [asyncio.create_task(each._listen(10**9)) for each in followers]
        await asyncio.gather(*(each.is_listening.wait() for each in followers))
        took, code = await asyncio.to_thread(server.stop, number)
        await asyncio.gather(*tasks)
        assert (await poll)["state"] == "WAITING"
        return took, code, [each.told[-1].name for each in followers]

    took, code, last = asyncio.run(asyncio.wait_for(open_all(), 100))

    print(f"{STREAMS} streams open: ended {took:.2f} s after {signal.Signals(number).name}")
    assert took < 5
    assert code in (-number, 0)
    assert last == ["snapshot"] * STREAMS
