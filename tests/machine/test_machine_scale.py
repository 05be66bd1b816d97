"""A whole run costs O(steps + edges), there and back. Counted, so that it can't depend on how busy the computer is."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provisioning_core import machine as m
from provisioning_core.model import Direction, Node, PlanGraph, Retry, RunRecord, RunStatus

MANY = 20_000
WORKERS = 16
AGAIN = Retry(attempts=2, initial=1.0, jitter=0.0)


def graph(steps: Iterator[tuple[int, tuple[int, ...]]], **options: Any) -> PlanGraph:
    nodes = (Node(name=f"s{i}", needs=tuple(f"s{need}" for need in needs), has_compensation=True, **options) for i, needs in steps)
    return PlanGraph(plan="p", version="1", nodes=tuple(nodes))


def chain(n: int, **options: Any) -> PlanGraph:
    return graph(((i, (i - 1,) if i else ()) for i in range(n)), **options)


def fan_out(n: int, **options: Any) -> PlanGraph:
    return graph(((i, (0,) if i else ()) for i in range(n)), **options)


def join(n: int, **options: Any) -> PlanGraph:
    return graph(((i, tuple(range(n - 1)) if i == n - 1 else ()) for i in range(n)), **options)


SHAPES = (chain, fan_out, join)


class Drive:
    """An engine with sixteen workers and nothing else."""

    def __init__(self, plan: PlanGraph) -> None:
        self.machine = m.Machine(plan, RunRecord(id="r", plan="p", plan_version="1", fingerprint="", subject="s"), {})
        self.at = 0.0
        self.launches = 0
        self.alive: deque[m.Launch] = deque()

    def tell(self, kind: type[Any], **data: Any) -> None:
        decision = self.machine.handle(kind(at=self.at, **data))
        launches = [command for command in decision.commands if isinstance(command, m.Launch)]
        self.launches += len(launches)
        self.alive.extend(launches)

    def run(self, end: Callable[[m.Launch], type[Any]] = lambda _: m.AttemptSucceeded) -> RunStatus:
        """Until it rests. ``end`` says how an attempt ends."""
        while self.machine.status.moves:
            if self.machine.wanting and len(self.alive) < WORKERS:
                self.tell(m.CapacityOffered, slots=WORKERS - len(self.alive))
            elif self.alive:
                launch = self.alive.popleft()
                self.tell(end(launch), step=launch.step, token=launch.token)
            else:
                assert self.machine.next_timer_at is not None
                self.at = self.machine.next_timer_at
                self.tell(m.TimePassed)
        return self.machine.status


def there_and_back(plan: PlanGraph) -> Drive:
    drive = Drive(plan)
    drive.tell(m.TakenUp)
    assert drive.run() is RunStatus.SUCCEEDED
    drive.tell(m.DeprovisionRequested)
    assert drive.run() is RunStatus.ROLLED_BACK
    return drive


@pytest.mark.parametrize("shape", SHAPES)
def test_twenty_thousand_steps_there_and_back_take_seconds(shape: Callable[[int], PlanGraph]) -> None:
    assert there_and_back(shape(MANY)).launches == 2 * MANY


@pytest.mark.parametrize("shape", SHAPES)
def test_a_failure_before_twenty_thousand_steps_blocks_them_once_and_continue_frees_them(shape: Callable[[int], PlanGraph]) -> None:
    drive = Drive(shape(MANY))
    drive.tell(m.TakenUp)
    assert drive.run(lambda launch: m.AttemptFailed if launch.step == "s0" else m.AttemptSucceeded) is RunStatus.FAILED
    drive.tell(m.ContinueRequested)
    assert drive.run() is RunStatus.SUCCEEDED


# counted


class CountingList(list[Any]):
    """Counts how often an element is looked at."""

    looks = 0

    def __getitem__(self, index: Any) -> Any:
        self.looks += 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[Any]:
        for element in super().__iter__():
            self.looks += 1
            yield element


def fails_once_each(drive: Drive) -> None:
    seen: set[str] = set()

    def end(launch: m.Launch) -> type[Any]:
        is_first = launch.step not in seen
        seen.add(launch.step)
        return m.AttemptFailed if is_first else m.AttemptSucceeded

    assert drive.run(end) is RunStatus.SUCCEEDED


def succeeds(drive: Drive) -> None:
    assert drive.run() is RunStatus.SUCCEEDED


def succeeds_beside_a_doubt(drive: Drive) -> None:
    """The last step is held in doubt all the while."""
    drive.tell(m.CapacityOffered, slots=10**6)
    held = drive.alive.pop()
    drive.tell(m.AttemptLost, step=held.step, token=held.token)
    assert drive.run() is RunStatus.WAITING


def times_out_each(drive: Drive) -> None:
    """One after the other, and each is told to have ended."""
    seen: set[str] = set()
    while drive.machine.status.moves:
        drive.tell(m.CapacityOffered, slots=1)
        if drive.alive and drive.alive[0].step not in seen:
            seen.add(drive.alive[0].step)
            drive.at += 10.0
            drive.tell(m.TimePassed)
        if drive.alive:
            launch = drive.alive.popleft()
            drive.tell(m.AttemptSucceeded, step=launch.step, token=launch.token)
        elif not drive.machine.wanting and drive.machine.next_timer_at is not None:
            drive.at = drive.machine.next_timer_at
            drive.tell(m.TimePassed)
    assert drive.machine.status is RunStatus.SUCCEEDED


def is_undone(drive: Drive) -> None:
    succeeds(drive)
    drive.tell(m.RollbackRequested)
    assert drive.run() is RunStatus.ROLLED_BACK


def is_undone_with_every_compensation_failing_once(drive: Drive) -> None:
    succeeds(drive)
    drive.tell(m.RollbackRequested)
    seen: set[str] = set()

    def end(launch: m.Launch) -> type[Any]:
        is_first = launch.direction is Direction.COMPENSATE and launch.step not in seen
        seen.add(launch.step)
        return m.AttemptFailed if is_first else m.AttemptSucceeded

    assert drive.run(end) is RunStatus.ROLLED_BACK


LIVES: dict[Callable[[Drive], None], dict[str, Any]] = {
    succeeds: {},
    fails_once_each: {"retry": AGAIN},
    succeeds_beside_a_doubt: {"in_doubt": "hold"},
    times_out_each: {"retry": AGAIN, "timeout": 10.0},
    is_undone: {},
    is_undone_with_every_compensation_failing_once: {"compensation_retry": AGAIN},
}


def cost_per_step(plan: PlanGraph, live: Callable[[Drive], None]) -> tuple[float, float]:
    """Looks at a step's state, and function calls; both per step."""
    drive = Drive(plan)
    board = drive.machine._board
    cells = board.cells = CountingList(board.cells)
    calls = 0

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call" and "provisioning_core/machine" in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        drive.tell(m.TakenUp)
        live(drive)
    finally:
        sys.setprofile(before)
    return cells.looks / len(plan.nodes), calls / len(plan.nodes)


@pytest.mark.parametrize("live", LIVES, ids=lambda live: live.__name__)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_costs_the_same_in_a_small_plan_and_in_a_large_one(
    shape: Callable[..., PlanGraph], live: Callable[[Drive], None]
) -> None:
    small, large = (cost_per_step(shape(n, **LIVES[live]), live) for n in (100, 800))
    assert large[0] <= 1.1 * small[0], "looks at steps grow with the size of the plan"
    assert large[1] <= 1.1 * small[1], "calls grow with the size of the plan"
