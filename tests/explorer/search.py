"""Breadth first: every state that can be reached, the shortest way to one that breaks a promise, and whether each can still end."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from explorer.actions import transitions
from explorer.canonical import canonical
from explorer.deciding import MachineBroke
from explorer.invariants import violation
from explorer.model import State
from explorer.protocol import Protocol, Transition
from explorer.symmetry import settled
from provisioning_core.model import MOVING

_RAISED = "the machine: "


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search came to."""

    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    broken: str | None = None
    """The promise that does not hold."""
    actions: list[Transition] = field(default_factory=list)
    """The shortest way to where it breaks."""
    way: list[State] = field(default_factory=list)
    """The states before each of these actions."""
    is_complete: bool = True

    @property
    def breaks_promise(self) -> bool:
        """Whether a promise does not hold. Code that only raises has broken none: a rule broken on purpose is not found by that."""
        return self.broken is not None and not self.broken.startswith(_RAISED)


class Search:
    """One search. The states that were seen are numbered in the order in which they were found."""

    def __init__(self, start: State, protocol: Protocol, *, twins: tuple[tuple[int, ...], ...] | None = None) -> None:
        """``twins``, groups of interchangeable steps, is given for a protocol that is not broken: then more states are one.

        A way that is found changes the names of these steps as it goes.
        """
        self._protocol = protocol
        self._twins = twins
        self._states = [self._settled(start)]
        self._numbers = {self._states[0]: 0}
        self._parents = array("l", [-1])
        self._froms, self._tos = array("l"), array("l")
        self._transitions = 0

    def run(self, *, most: int = 10_000_000) -> Found:
        """Look at everything; or at ``most`` states, and then not whether each can end."""
        began = time.process_time()
        found = self._explore(most) or (self._stuck() if len(self._states) < most else None) or Found()
        found.states, found.transitions = len(self._states), self._transitions
        found.seconds = time.process_time() - began
        found.is_complete = len(self._states) < most
        return found

    @property
    def states(self) -> Sequence[State]:
        """All that were found, in that order."""
        return self._states

    def _explore(self, most: int) -> Found | None:
        number = 0
        while number < len(self._states) < most:
            before = self._states[number]
            try:
                for each in transitions(before, self._protocol):
                    broken = violation(before, each, self._protocol)
                    if broken is not None:
                        return self._way_to(number, each, broken)
                    self._add(number, each)
            except MachineBroke as error:
                return self._way_to(number, None, f"{_RAISED}{error}")
            number += 1
        return None

    def _add(self, number: int, each: Transition) -> None:
        self._transitions += 1
        after = self._settled(each.after)
        known = self._numbers.get(after)
        if known is None:
            known = self._numbers[after] = len(self._states)
            self._states.append(after)
            self._parents.append(number)
        if each.fault is None:
            self._froms.append(number)
            self._tos.append(known)

    def _settled(self, state: State) -> State:
        state, _ = canonical(state, by_order=self._twins is not None)
        return settled(state, self._twins) if self._twins else state

    # the way there

    def _way_to(self, number: int, last: Transition | None, broken: str) -> Found:
        numbers = [number]
        while self._parents[numbers[0]] >= 0:
            numbers.insert(0, self._parents[numbers[0]])
        way = [self._states[each] for each in numbers]
        actions = [self._action(before, after) for before, after in pairwise(way)]
        return Found(broken=broken, actions=[*actions, *([last] if last else [])], way=way)

    def _action(self, before: State, after: State) -> Transition:
        return next(each for each in transitions(before, self._protocol) if self._settled(each.after) == after)

    # whether it can end

    def _stuck(self) -> Found | None:
        """The first state from which no rest can be reached without another fault."""
        can_rest = self._backwards(number for number, state in enumerate(self._states) if _rests(state))
        lost = can_rest.find(0)
        return None if lost < 0 else self._way_to(lost, None, "it moves again: from here the run can't come to rest any more")

    def _backwards(self, goals: Iterator[int]) -> bytearray:
        before, starts = self._edges_by_target()
        reached = bytearray(len(self._states))
        todo = list(goals)
        for goal in todo:
            reached[goal] = 1
        while todo:
            number = todo.pop()
            for place in range(starts[number], starts[number + 1]):
                if not reached[before[place]]:
                    reached[before[place]] = 1
                    todo.append(before[place])
        return reached

    def _edges_by_target(self) -> tuple[array[int], array[int]]:
        """The edges' sources, sorted by target, and where those of each target begin."""
        starts = array("l", bytes(8 * (len(self._states) + 1)))
        for target in self._tos:
            starts[target + 1] += 1
        for number in range(len(self._states)):
            starts[number + 1] += starts[number]
        places, before = array("l", starts), array("l", bytes(8 * len(self._froms)))
        for source, target in zip(self._froms, self._tos, strict=True):
            before[places[target]] = source
            places[target] += 1
        return before, starts


def _rests(state: State) -> bool:
    """Nothing moves, and every verb was carried out."""
    return state.row.records.run.status not in MOVING and not state.owed
