"""What could be launched at once, in order of arrival, one line per named limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from provisioning_core.machine._board import Board
from provisioning_core.model import Direction


class ReadyQueue:
    """Steps that wait for a worker. ``Cell.queued`` is the truth; the lines may hold stale entries, which are passed over."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lines: dict[str | None, deque[tuple[int, Direction]]] = {}
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
        self._lines.setdefault(self._board.nodes[i].limit, deque()).append((i, direction))

    def discard(self, i: int) -> None:
        """It waits no more."""
        cell = self._board.cells[i]
        self._size -= cell.queued is not None
        cell.queued = None

    def clear(self) -> None:
        """Nothing waits any more."""
        for line in self._lines.values():
            for i, _ in line:
                self._board.cells[i].queued = None
        self._lines.clear()
        self._size = 0

    def take(self, slots: int, limits: Mapping[str, int]) -> list[tuple[int, Direction]]:
        """At most ``slots`` of them, and of each named limit at most as many as it says."""
        taken: list[tuple[int, Direction]] = []
        for limit, line in self._lines.items():
            room = slots - len(taken)
            if limit is not None:
                room = min(room, limits.get(limit, room))
            while line and room > 0:
                i, direction = line.popleft()
                if self._board.cells[i].queued is not direction:
                    continue
                self.discard(i)
                taken.append((i, direction))
                room -= 1
        return taken
