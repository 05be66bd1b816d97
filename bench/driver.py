"""What every contender's driver has in common: one measurement in one process, told by a JSON argument, answered by JSON on stdout.

A driver implements :class:`Peer` and calls :func:`main`. Standard library only, for it runs in every contender's environment.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import resource
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.places import Place, SqliteCommits
from bench.workloads import Workload, tiny, workload

DIED = 9
"""The exit status of a process that was to die half-way."""


class Unsupported(Exception):
    """A contender can't do what is asked; the message says why, and the report shows it."""


class Work:
    """What every step does: nothing, or a sleep. It counts, so that nobody is measured for work that was not done."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.die_at = 0
        self.began_at = 0.0
        """When the first step since ``expect`` began, by ``time.perf_counter``."""
        self.is_done = threading.Event()
        """Set when as many steps as expected are done."""
        self._wanted = 0
        self._calls = itertools.count(1)

    def __call__(self, *_arguments: Any) -> int:
        self.begin()
        if self.seconds:
            time.sleep(self.seconds)  # what the step is said to take: the work that is measured
        return self.end()

    def begin(self) -> None:
        """For steps that sleep in a way of their own."""
        self.began_at = self.began_at or time.perf_counter()

    def end(self) -> int:
        """The same; gives a step's output."""
        done = next(self._calls)
        if done == self._wanted:
            self.is_done.set()
        if done == self.die_at:
            os._exit(DIED)
        return 1

    def expect(self, steps: int) -> None:
        """Count anew, up to so many."""
        self._calls, self._wanted, self.began_at = itertools.count(1), steps, 0.0
        self.is_done.clear()

    def take_count(self) -> int:
        """Steps done since ``expect``, which has to be called again then."""
        return next(self._calls) - 1


class Peer(ABC):
    """One contender. A driver process makes one, and uses it for one measurement."""

    name = ""
    cannot_resume = ""
    """Why not, for a contender that takes no run up after its process died."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.work = Work()

    @abstractmethod
    def build(self, work: Workload) -> Any:
        """The plan, as this contender declares one. Timed."""

    @abstractmethod
    def open(self, plans: list[Any]) -> None:
        """Make ready to run these plans: tables, threads, workers. Not timed."""

    @abstractmethod
    def run(self, plan: Any, work: Workload) -> None:
        """Start ``work.runs`` runs and return when all have ended and that is recorded. Timed."""

    def close(self) -> None:  # noqa: B027  most have something to close, but need not
        """Let go. Not timed."""

    def expect(self, steps: int) -> None:
        """Count anew. This, and the next two, are for steps that run in another process."""
        self.work.expect(steps)

    def count_done(self) -> int:
        """Steps done since ``expect``; asked once."""
        return self.work.take_count()

    def began_at(self) -> float:
        """When the first step since ``expect`` began, by ``time.perf_counter``, which is the same in all processes."""
        return self.work.began_at

    def status(self, plan: Any) -> Callable[[], Any]:
        """What asks for the status of the run just done, all its steps included."""
        raise Unsupported("has no status of a run")

    def resume(self, plan: Any, work: Workload) -> None:
        """Take up the run that another process began and did not end; return when it has ended. Called instead of ``run``."""
        raise Unsupported(self.cannot_resume)


class Measurement:
    """Carries out one job with one contender."""

    def __init__(self, kind: type[Peer], job: dict[str, Any]) -> None:
        self.job = job
        self.place = Place(kind=job.get("store", "memory"), folder=Path(job["folder"]), postgres=job.get("postgres", ""))
        self.place.prepare()
        self.peer = kind(self.place)

    def _workload(self) -> Workload:
        return workload(self.job["workload"], scale=self.job.get("scale", 1.0), seconds=self.job.get("seconds", 0.0))

    def _opened(self, work: Workload) -> tuple[Any, float]:
        """The plan, and the seconds it took to build; the contender is open and warm."""
        small = self.peer.build(tiny())
        before = time.perf_counter()
        plan = small if work == tiny() else self.peer.build(work)
        built = time.perf_counter() - before
        self.peer.open([small] if plan is small else [small, plan])
        self.peer.expect(tiny().steps)
        self.peer.run(small, tiny())
        self.peer.work.seconds = work.seconds
        gc.collect()
        return plan, built

    def _run(self, plan: Any, work: Workload) -> float:
        self.peer.expect(work.steps)
        before = time.perf_counter()
        self.peer.run(plan, work)
        seconds = time.perf_counter() - before
        done = self.peer.count_done()
        if done != work.steps:
            raise AssertionError(f"{done} steps were done, not {work.steps}")
        return seconds

    def throughput(self) -> dict[str, Any]:
        """Seconds for the workload, and the memory it took."""
        work = self._workload()
        plan, built = self._opened(work)
        base = resident()
        seconds = self._run(plan, work)
        return {
            "seconds": seconds,
            "build_seconds": built,
            "steps": work.steps,
            "runs": work.runs,
            "ideal_seconds": work.ideal_seconds(),
            "base_bytes": base,
            "peak_bytes": peak(),
        }

    def count(self) -> dict[str, Any]:
        """Commits and bytes; ``only_open`` says not to run the workload, for what is counted from outside as a difference."""
        work = self._workload()
        plan, _ = self._opened(work)
        if self.job.get("only_open"):
            return {"steps": work.steps}
        commits = SqliteCommits(self.place.file) if self.place.kind == "sqlite" else None
        size, before = self.place.size(), commits.count() if commits else 0
        began_at = time.time()
        self._run(plan, work)
        ended_at = time.time()
        found: dict[str, Any] = {"steps": work.steps, "began_at": began_at, "ended_at": ended_at}
        if commits:
            found |= {"commits": commits.count() - before, "bytes": self.place.size() - size}
            commits.close()
        return found

    def first_step(self) -> dict[str, Any]:
        """Seconds from a start to the first instruction of its first step, again and again, on an idle contender."""
        plan, _ = self._opened(tiny())
        found = []
        for _ in range(self.job["times"]):
            self.peer.expect(tiny().steps)
            before = time.perf_counter()
            self.peer.run(plan, tiny())
            found.append(self.peer.began_at() - before)
            time.sleep(0.02)  # what goes on behind the run's end is over: the next start meets an idle contender
        return {"seconds": sorted(found)}

    def status(self) -> dict[str, Any]:
        """Seconds for the status of a run that has ended, again and again."""
        work = self._workload()
        plan, _ = self._opened(work)
        self._run(plan, work)
        ask = self.peer.status(plan)
        ask()
        found = []
        for _ in range(self.job["times"]):
            before = time.perf_counter()
            ask()
            found.append(time.perf_counter() - before)
        return {"seconds": sorted(found), "steps": work.steps}

    def half(self) -> dict[str, Any]:
        """Die, as a crash does, when half of the steps are done."""
        if self.peer.cannot_resume:
            raise Unsupported(self.peer.cannot_resume)
        work = self._workload()
        plan, _ = self._opened(work)
        self.peer.work.die_at = work.steps // 2
        self._run(plan, work)
        raise AssertionError("it should have died")

    def resume(self) -> dict[str, Any]:
        """In a process that knows the plan: seconds from the moment it opens, to the first step and to the end."""
        work = self._workload()
        plan = self.peer.build(work)
        self.peer.expect(work.steps)
        before = time.perf_counter()
        self.peer.resume(plan, work)
        seconds = time.perf_counter() - before
        return {
            "steps": work.steps,
            "done": self.peer.count_done(),
            "first_step": self.peer.began_at() - before,
            "seconds": seconds,
        }


def resident() -> int:
    """Bytes of memory that this process holds now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak() -> int:
    """Bytes, the most that this process ever held, and those that it began and that still live, each."""
    return sum(map(_peak_of, _family(os.getpid())))


def _peak_of(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return 1024 * int(lines[0].split()[1]) if lines else 0


def _family(pid: int) -> list[int]:
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:
        children = []
    return [pid, *(member for child in children for member in _family(child))]


def main(kind: type[Peer]) -> None:
    """Carry out the job in ``argv[1]``; the answer is the last line on stdout."""
    job = json.loads(sys.argv[1])
    measurement = Measurement(kind, job)
    try:
        answer = getattr(measurement, job["measure"])()
        measurement.peer.close()
    except Unsupported as why:
        answer = {"unsupported": str(why)}
    except Exception as error:  # noqa: BLE001  whatever it was, the report names it
        traceback.print_exc()
        answer = {"failed": f"{type(error).__name__}: {error}"[:400]}
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
    sys.stdout.flush()
    os._exit(0)  # what a contender left running must not hold the measurement up
