"""What is outside, and whose it is: the world is looked at before and after every call, so each thing has the step that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from provisioning_core.model import Direction, ResourceRecord
from provisioning_core.testing._matrix_calls import Deed

World: TypeAlias = Callable[[], "Collection[Any] | Mapping[Any, Any]"]
"""Says what is there outside now: names, or a mapping of names to how many there are of each."""


def counted(things: Collection[Any] | Mapping[Any, Any], run_id: str) -> Counter[str]:
    """What a user's ``world`` gave, as counts of names; the run's id, which differs from run to run, is left out of them."""
    found: Counter[str] = Counter()
    pairs = things.items() if isinstance(things, Mapping) else ((thing, 1) for thing in things)
    for name, number in pairs:
        found[str(name).replace(run_id, "<run>")] += number if isinstance(number, int) else 1
    return +found


class Ledger:
    """The run's own record in place of a world: what its steps recorded and no compensation of theirs has come to its end since."""

    def __init__(self, resources: Callable[[], tuple[ResourceRecord, ...]]) -> None:
        self._resources = resources
        self._undone: set[tuple[str, str, str, int]] = set()

    def __call__(self) -> list[str]:
        return [f"{each.kind} {each.id}" for each in self._resources() if _identity(each) not in self._undone]

    def undone(self, step: str) -> None:
        """A compensation of this step returned."""
        self._undone |= {_identity(each) for each in self._resources() if each.step == step}


def _identity(entry: ResourceRecord) -> tuple[str, str, str, int]:
    return (entry.step, entry.kind, entry.id, entry.token)


class Witness:
    """Sees every attempt of one run."""

    def __init__(self, look: Callable[[], Counter[str]], ledger: Ledger | None) -> None:
        self._look = look
        self._ledger = ledger
        self._seen = look()
        self.deeds: list[Deed] = []
        self.holds: dict[str, Counter[str]] = {}
        """By step: what it made that is there."""
        self.strangers_gone: dict[str, Counter[str]] = {}
        """By step: what it took away that no step of the run had made."""

    def saw(self, deed: Deed) -> None:
        """An attempt has acted: look what is different."""
        if self._ledger is not None and deed.direction is Direction.COMPENSATE and deed.returned:
            self._ledger.undone(deed.step)
        now = self._look()
        deed.made = now - self._seen
        self.holds.setdefault(deed.step, Counter()).update(deed.made)
        self._take_away(deed.step, self._seen - now)
        self._seen = now
        self.deeds.append(deed)

    def _take_away(self, step: str, gone: Counter[str]) -> None:
        owners = [step, *(name for name in reversed(self.holds) if name != step)]
        for name, number in gone.items():
            left = number
            for owner in owners:
                taken = min(left, self.holds[owner][name])
                self.holds[owner][name] -= taken
                left -= taken
            if left:
                self.strangers_gone.setdefault(step, Counter())[name] += left
        self.holds = {owner: +things for owner, things in self.holds.items()}

    def of(self, step: str, direction: Direction) -> list[Deed]:
        """What this step's attempts in this direction did, oldest first."""
        return [deed for deed in self.deeds if deed.step == step and deed.direction is direction]

    def count(self, step: str) -> int:
        """How many things of this step's are there."""
        return self.holds.get(step, Counter()).total()

    def names(self, step: str, *, most: int = 3) -> str:
        """What of this step's is there, in words."""
        return listed(self.holds.get(step, Counter()), most=most)


def listed(things: Counter[str], *, most: int = 3) -> str:
    """A few of these things, in words."""
    names = [repr(name) if number == 1 else f"{name!r} ({number} times)" for name, number in sorted(things.items())]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
