"""All chance of a simulation, drawn from its seed: nothing else in it is random, so that a seed is the whole story."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from provisioning_core.engine import _lookout, _loop

T = TypeVar("T")


class Dice:
    """Random choices of one kind; those of another kind come from other dice, so that the one does not disturb the other."""

    def __init__(self, seed: int, kind: str) -> None:
        self._random = random.Random(f"{seed}/{kind}")
        self.random = self._random.random

    def chance(self, share: float) -> bool:
        """True in this share of all cases."""
        return share > 0 and self.random() < share

    def between(self, least: float, most: float) -> float:
        return least + (most - least) * self.random()

    def whole(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def small(self, least: int, most: int) -> int:
        """Mostly near ``least``."""
        return least + int((most - least + 1) * self.random() ** 1.8)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[int(self.random() * len(choices))]

    def some_of(self, choices: Sequence[T], most: int) -> list[T]:
        """Up to ``most`` different ones, in their order."""
        count = min(self.whole(0, most), len(choices))
        return [choices[i] for i in sorted(self._random.sample(range(len(choices)), count))]

    def wait(self, mean: float) -> float:
        """Seconds, most of them short and a few long."""
        return min(self._random.expovariate(1 / mean), mean * 8)


@contextmanager
def all_chance_from(seed: int) -> Iterator[None]:
    """While this lasts, the engines' own jitter and ids come from the seed as well."""
    numbers = itertools.count(1)
    jitter: Any = Dice(seed, "jitter")
    with (
        patch.object(_loop, "random", jitter),
        patch.object(_lookout, "random", jitter),
        patch.object(uuid, "uuid4", lambda: uuid.UUID(int=next(numbers))),
    ):
        yield
