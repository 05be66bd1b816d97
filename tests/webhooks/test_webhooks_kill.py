"""Senders are killed in the middle of their work, receivers misbehave in all ways: nothing is missing, out of order or renamed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from databases import new_database
from webhook_misbehaviour import MISBEHAVIOUR
from webhook_receiver import Received, Receiver, Reply, receiving

from provisioning_core.model import RunRecord
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.outbox_records import a_telling_run, an_endpoint, told

THOROUGH = "PROVISIONING_THOROUGH" in os.environ
RUNS, COMMITS, EVENTS = (100, 25, 4) if THOROUGH else (20, 3, 3)
KILLS = 50 if THOROUGH else 6
PROCESS = Path(__file__).with_name("sending_process.py")
DELETES = "is gone"
SLOW = ("never", "drips", "goes on and on", "billion", "without end")
MANNERS = [each for each in MISBEHAVIOUR if each[0] != DELETES]
"""All but 410, which ends it all and has tests of its own."""


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "postgres":
        with new_database(request.getfixturevalue("postgres_url")) as url:
            yield url
        return
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield f"sqlite:///{folder}/store.db"


class Moody:
    """Takes most of what it gets, and keeps account."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.wanted: dict[tuple[str, str], list[int]] = defaultdict(list)
        """By path and run: the events that have to come."""
        self.taken: set[tuple[str, str, int]] = set()
        self.met: set[str] = set()
        self.duplicates = 0
        self.out_of_order: list[tuple[str, str, int]] = []

    def chooses(self, request: Received) -> Reply:
        run_id, seq = request.told["data"]["run_id"], request.seq
        before = [each for each in self.wanted[request.path, run_id] if each < seq]
        if before and (request.path, run_id, max(before)) not in self.taken:
            self.out_of_order.append((request.path, run_id, seq))
        name, reply, status, _ = self._manner()
        self.met.add(name)
        if status is not None and 200 <= status < 300:
            self.duplicates += (request.path, run_id, seq) in self.taken
            self.taken.add((request.path, run_id, seq))
        return reply

    def _manner(self) -> tuple[str, Reply, int | None, str | None]:
        """Well-mannered mostly; seldom slow, since that takes its time."""
        if self._dice.random() < 0.7:
            return MANNERS[0]
        found = self._dice.choice(MANNERS)
        return self._dice.choice(MANNERS) if any(word in found[0] for word in SLOW) else found

    @property
    def missing(self) -> set[tuple[str, str, int]]:
        return {(*key, seq) for key, seqs in self.wanted.items() for seq in seqs} - self.taken


@pytest.mark.timeout(1200 if THOROUGH else 300)
def test_nothing_is_missing_when_senders_are_killed(store_url: str) -> None:
    seed = random.randrange(10_000)
    print("seed", seed)
    dice, moody = random.Random(seed), Moody(random.Random(seed + 1))
    with closing(SqlStore(store_url)) as store, receiving(chooses=moody.chooses) as receiver:
        store.prepare()
        for path, events in (("/all", ("*",)), ("/runs", ("run.*",))):
            store.outbox.add(an_endpoint(path[1:], url=receiver.url(path), events=events))
        senders = [a_sender(store_url), a_sender(store_url)]
        try:
            kill_while_telling(store, receiver, moody, senders, dice)
            assert receiver.wait_until(lambda: not moody.missing, 600.0 if THOROUGH else 120.0), f"missing: {sorted(moody.missing)}"
        finally:
            for each in senders:
                each.kill()
                each.communicate()
        assert moody.out_of_order == []
        assert len(moody.met) >= 25
        messages = {(each.path, each.told["data"]["run_id"], each.seq): (each.id, each.body) for each in receiver.received}
        assert all(messages[each.path, each.told["data"]["run_id"], each.seq] == (each.id, each.body) for each in receiver.received)
        assert len({message_id for message_id, _ in messages.values()}) == RUNS * COMMITS * EVENTS
        assert store.outbox.backlog().keys() <= {"all", "runs"}
        print(len(moody.taken), "taken,", len(receiver.received), "requests,", moody.duplicates, "taken again")


def kill_while_telling(
    store: SqlStore, receiver: Receiver, moody: Moody, senders: list[subprocess.Popen[str]], dice: random.Random
) -> None:
    """Commit events, and kill a sender after every so many requests; another takes its place."""
    runs = [a_telling_run(store, f"run-{number}") for number in range(RUNS)]
    for kill in range(KILLS):
        share = RUNS * COMMITS // KILLS
        for number in range(kill * share, (kill + 1) * share):
            runs[number % RUNS] = tell(store, runs[number % RUNS], moody, dice)
        receiver.wait_for(len(receiver.received) + dice.randrange(1, 20), timeout=2.0)
        victim = senders.pop(dice.randrange(len(senders)))
        victim.kill()
        victim.communicate()
        senders.append(a_sender(_url(store)))


def tell(store: SqlStore, run: RunRecord, moody: Moody, dice: random.Random) -> RunRecord:
    kinds = [dice.choice(("run.running", "run.waiting", "step.running", "step.failed")) for _ in range(EVENTS)]
    for seq, kind in enumerate(kinds, run.seq + 1):
        moody.wanted["/all", run.id].append(seq)
        if kind.startswith("run."):
            moody.wanted["/runs", run.id].append(seq)
    return told(store, run, *kinds)


def a_sender(store_url: str) -> subprocess.Popen[str]:
    """One that has begun."""
    process = subprocess.Popen([sys.executable, str(PROCESS), store_url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "sending\n"
    return process


def _url(store: SqlStore) -> str:
    return store._database.url.render_as_string(hide_password=False)
