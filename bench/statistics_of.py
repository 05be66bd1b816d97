"""Medians with their spread, and ratios of what was measured in the same round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the rounds in which it was measured."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float | None] | None) -> Spread | None:
    """None when nothing was measured."""
    known = [value for value in values or () if value is not None]
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def ratio(ours: Sequence[float | None] | None, theirs: Sequence[float | None] | None) -> Spread | None:
    """How many times as much, round by round."""
    pairs = [a / b for a, b in zip(ours or (), theirs or (), strict=False) if a and b]
    return spread(pairs)
