"""What the fault matrix found: cells, problems, and the table that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a cell ended."""

    THERE = "there"
    """Provisioned: everything is there, once."""
    GONE = "gone"
    """Undone: nothing is left."""
    HONEST = "honest"
    """It rests in a status that a person can act on, and what is outside is what the run's record says has an effect."""
    LEFT_BEHIND = "LEFT"
    """Something is outside that the run's record knows nothing of any more."""
    REPEATED = "REPEAT"
    """Something is there more often than once."""
    LOST = "LOST"
    """Something is not there that should be."""
    STUCK = "STUCK"
    """The run does not get to its end, though the fault is over."""
    NOTHING = "·"
    """The fault can't strike this step."""

    @property
    def is_problem(self) -> bool:
        """Whether it is a fault of the plan."""
        return self in (Verdict.LEFT_BEHIND, Verdict.REPEATED, Verdict.LOST, Verdict.STUCK)


_MEANINGS = {
    Verdict.THERE: "provisioned, everything there once",
    Verdict.GONE: "undone, nothing left",
    Verdict.HONEST: "rests in a status a person can act on, and its record accounts for everything outside",
    Verdict.LEFT_BEHIND: "something stayed outside that the record knows nothing of",
    Verdict.REPEATED: "something is there twice",
    Verdict.LOST: "something is not there that should be",
    Verdict.STUCK: "it does not get to its end, though the fault is over",
    Verdict.NOTHING: "can't happen to this step",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of the plan: what happened, and how to mend it."""

    step: str
    """The step to mend; not always the one that the fault struck."""
    fault: str
    kind: Verdict
    what: str
    mend: str

    def __str__(self) -> str:
        return f"step {self.step}: {self.what}. {self.mend}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One step under one fault."""

    step: str
    fault: str
    verdict: Verdict
    problems: tuple[Problem, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the fault can't strike this step."""
        return self.verdict is Verdict.NOTHING

    def prove(self) -> None:
        """Raise PlanFaulty with every problem, if there is one."""
        __tracebackhide__ = True
        if self.problems:
            lines = "\n".join(f"  {problem}" for problem in self.problems)
            raise PlanFaulty(f"step {self.step}, fault {self.fault!r}: {self.verdict}\n{lines}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One step under all faults."""

    step: str
    cells: Mapping[str, Cell]
    """By the fault's name."""


class PlanFaulty(AssertionError):
    """The plan does not survive every fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMatrix:
    """Every step under every fault; as text, the table with its legend and what is to be mended."""

    plan: str
    rows: tuple[Row, ...]
    legend: Mapping[str, str]
    """What each fault does, by its name, in the order of the columns."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All faults of the plan that were found."""
        return tuple(problem for row in self.rows for cell in row.cells.values() for problem in cell.problems)

    @property
    def is_clean(self) -> bool:
        """Whether none was found."""
        return not self.problems

    def assert_clean(self) -> None:
        """Raise PlanFaulty, with the whole table, if a problem was found."""
        __tracebackhide__ = True
        if self.problems:
            raise PlanFaulty(f"\n{self}")

    raise_for_problems = assert_clean

    def __str__(self) -> str:
        parts = [self._head(), *self._table(), "", *self._legend()]
        if self.problems:
            parts += ["", "To be mended:", *merged(self.problems)]
        return "\n".join(parts)

    def _head(self) -> str:
        tried = sum(not cell.is_empty for row in self.rows for cell in row.cells.values())
        found = len(merged(self.problems))
        problems = {0: "no problem", 1: "one problem"}.get(found, f"{found} problems")
        return f"Plan {self.plan}: {len(self.rows)} steps, {tried} cells, {problems}"

    def _table(self) -> Iterable[str]:
        faults = list(self.legend)
        first = max([len(row.step) for row in self.rows] + [len("step")])
        widths = [max(6, *(len(word) for word in fault.split())) for fault in faults]
        depth = max((len(fault.split()) for fault in faults), default=0)
        for line in range(depth):
            words = [[*fault.split(), *[""] * depth][line] for fault in faults]
            yield _line("step" if line == depth - 1 else "", first, words, widths)
        for row in self.rows:
            yield _line(row.step, first, [row.cells[fault].verdict for fault in faults], widths)

    def _legend(self) -> Iterable[str]:
        width = max(len(fault) for fault in [*self.legend, *Verdict])
        yield from (f"{name:<{width}}  {tells}" for name, tells in self.legend.items())
        shown = {cell.verdict for row in self.rows for cell in row.cells.values()}
        yield ""
        yield from (f"{verdict:<{width}}  {meaning}" for verdict, meaning in _MEANINGS.items() if verdict in shown)


def _line(name: str, first: int, words: list[str], widths: list[int]) -> str:
    columns = "  ".join(f"{word:<{width}}" for word, width in zip(words, widths, strict=True))
    return f"{name:<{first}}  {columns}".rstrip()


def merged(problems: Iterable[Problem]) -> list[str]:
    """One entry for each thing to mend, with the faults that showed it; the first one's words."""
    found: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in problems:
        found.setdefault((problem.step, problem.kind, problem.mend), []).append(problem)
    return [_entry(same) for same in found.values()]


def _entry(same: list[Problem]) -> str:
    first = same[0]
    others = list(dict.fromkeys(problem.fault for problem in same if problem.fault != first.fault))
    also = f"\n      seen too under: {', '.join(others)}" if others else ""
    return f"  {first.kind:<6} step {first.step}: {first.what}.\n      {first.mend}.{also}"
