"""Tables as values, and as plain aligned lines for a pipe; ``_screen`` draws the same tables for a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; ``style`` colours its first cell."""

    cells: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: clean texts only."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def without(self, columns: Collection[str]) -> Grid:
        """The same table without these columns."""
        kept = [number for number, column in enumerate(self.columns) if column not in columns]
        rows = (Row(tuple(row.cells[number] for number in kept), row.style) for row in self.rows)
        return Grid(tuple(self.columns[number] for number in kept), tuple(rows))


def as_lines(grid: Grid) -> list[str]:
    """Aligned with two spaces between; nothing is cut off, so that what reads the pipe gets it all."""
    texts = [grid.columns, *(row.cells for row in grid.rows)]
    widths = [max(len(cells[column]) for cells in texts) for column in range(len(grid.columns))]
    return [_aligned(cells, widths) for cells in texts]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
