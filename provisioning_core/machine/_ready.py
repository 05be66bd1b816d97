"""What could be launched at once, in order of arrival, one line per named limit.

A line is a heap of arrivals: thousands of runs wait with a step or two each, and the first entry of a deque takes 600 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush

from provisioning_core.machine._board import Board
from provisioning_core.model import Direction


class ReadyQueue:
    """Steps that wait for a worker. ``Cell.queued`` is the truth; the lines may hold stale entries, which are passed over."""

    __slots__ = ("_arrivals", "_board", "_lines", "_size")

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lines: dict[str | None, list[tuple[int, int, Direction]]] = {}
        self._arrivals = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def push(self, i: int, direction: Direction) -> None:
        """Let a step wait for a worker; it waits for one thing at a time."""
        cell = self._board.cells[i]
        if cell.queued is direction:
            return
        self._size += cell.queued is None
        cell.queued = direction
        self._arrivals += 1
        heappush(self._lines.setdefault(self._board.nodes[i].limit, []), (self._arrivals, i, direction))

    def discard(self, i: int) -> None:
        """It waits no more."""
        cell = self._board.cells[i]
        self._size -= cell.queued is not None
        cell.queued = None

    def clear(self) -> None:
        """Nothing waits any more."""
        for line in self._lines.values():
            for _, i, _ in line:
                self._board.cells[i].queued = None
        self._lines.clear()
        self._size = 0

    def take(self, slots: int, limits: Mapping[str, int]) -> list[tuple[int, Direction]]:
        """At most ``slots`` of them, and of each named limit at most as many as it says."""
        if len(self._lines) == 1 and None in self._lines:
            return self._take_unlimited(slots)
        room = {limit: slots if limit is None else limits.get(limit, slots) for limit in self._lines}
        taken: list[tuple[int, Direction]] = []
        while len(taken) < slots:
            heads = [(head, limit) for limit in self._lines if room[limit] > 0 and (head := self._head(limit)) is not None]
            if not heads:
                break
            (_, i, direction), limit = min(heads, key=lambda each: each[0][0])
            self.discard(i)
            room[limit] -= 1
            taken.append((i, direction))
        return taken

    def _take_unlimited(self, slots: int) -> list[tuple[int, Direction]]:
        taken: list[tuple[int, Direction]] = []
        while len(taken) < slots and (head := self._head(None)) is not None:
            self.discard(head[1])
            taken.append(head[1:])
        return taken

    def _head(self, limit: str | None) -> tuple[int, int, Direction] | None:
        """The first of a line that still waits."""
        line = self._lines[limit]
        while line and self._board.cells[line[0][1]].queued is not line[0][2]:
            heappop(line)
        return line[0] if line else None
