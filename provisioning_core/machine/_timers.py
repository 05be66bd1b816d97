"""Points in time at which a step must be looked at again."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum
from typing import assert_never

from provisioning_core.machine._board import Board, Cell
from provisioning_core.model import StepStatus

_WAITS_FOR_NEXT = (StepStatus.RETRYING, StepStatus.IN_DOUBT, StepStatus.COMPENSATING)
_SPARE = 16


class Timer(IntEnum):
    """What for."""

    DEADLINE = 1
    """The live attempt's time is up."""
    AGAIN = 2
    """The next attempt may begin."""
    GATE = 3
    """A gate opens by itself, or has waited long enough."""


class Timers:
    """A heap. The cells are the truth; the heap may hold stale entries, which are passed over, and swept out when they are many."""

    __slots__ = ("_board", "_heap")

    def __init__(self, board: Board) -> None:
        self._board = board
        self._heap: list[tuple[float, int, int, Timer]] = []

    @property
    def next_at(self) -> float | None:
        while self._heap and not self._is_meant(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def set(self, at: float, i: int, kind: Timer) -> None:
        """Look at a step at that time, unless it has moved on by then."""
        heapq.heappush(self._heap, (at, i, self._board.cells[i].token, kind))
        if len(self._heap) > 2 * len(self._board.cells) + _SPARE:
            self._heap = sorted({entry for entry in self._heap if self._is_meant(*entry)})

    def due(self, at: float) -> Iterator[tuple[int, Timer]]:
        """Those that have gone off, earliest first. What is done about one may make others stale."""
        while self._heap and self._heap[0][0] <= at:
            entry = heapq.heappop(self._heap)
            if self._is_meant(*entry):
                yield entry[1], entry[3]

    def _is_meant(self, at: float, i: int, token: int, kind: Timer) -> bool:
        cell = self._board.cells[i]
        if cell.token != token:
            return False
        match kind:
            case Timer.DEADLINE:
                return cell.live is not None and cell.deadline_at == at
            case Timer.AGAIN:
                return cell.live is None and cell.status in _WAITS_FOR_NEXT and cell.next_attempt_at == at
            case Timer.GATE:
                return cell.status is StepStatus.WAITING and opens_at(cell) == at
            case _:
                assert_never(kind)


def opens_at(cell: Cell) -> float | None:
    """When a waiting gate must be looked at: it opens, or has waited too long."""
    times = [moment for moment in (cell.next_attempt_at, cell.deadline_at) if moment is not None]
    return min(times, default=None)
