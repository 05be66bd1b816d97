"""What is searched: for each shape of plan some families of faults, each with the policies that it puts to the test."""

from __future__ import annotations

from dataclasses import dataclass, field

from explorer.deciding import Decider
from explorer.model import DEADLINE, Wish, first_state
from explorer.protocol import RUN_AGAIN, VERBS, Protocol
from explorer.search import Search
from explorer.shapes import DIAMOND, Needs, Policy, plan, shapes
from explorer.symmetry import twins


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Faults that may happen together, at any moment and in any order, each so many times."""

    name: str
    faults: dict[str, int]
    policy: Policy = field(default_factory=Policy)
    fails_after_effect: bool = True
    is_fine: bool = False
    steps: tuple[int, int] = (3, 3)
    """Plans of up to so many steps are searched by the tests, and by the longer search."""

    def search(self, needs: Needs) -> Search:
        """On a plan of this shape."""
        protocol = Protocol(
            decider=Decider(plan(needs, self.policy)),
            verbs=_verbs(len(needs)) if self.faults.get("verb") else (),
            fails_after_effect=self.fails_after_effect,
            is_fine=self.is_fine,
        )
        return Search(first_state(len(needs), self.faults), protocol, twins=twins(needs))


def _verbs(steps: int) -> tuple[Wish, ...]:
    return (*(Wish(verb) for verb in VERBS), *(Wish(RUN_AGAIN, step) for step in range(steps)))


FAMILIES: tuple[Family, ...] = (
    Family(name="engines die and lose runs", faults={"crash": 1, "lease": 1, "failure": 1}, steps=(3, 4)),
    Family(name="answers are lost", faults={"crash": 1, "lease": 1, "unknown": 1, "break_off": 1}, steps=(2, 3)),
    Family(name="compensations fail", faults={"crash": 1, "unknown": 1, "failure": 1, "undo_failure": 1}),
    Family(
        name="attempts are slow and tried again",
        faults={"crash": 1, "timeout": 1, "failure": 1, "undo_failure": 1},
        policy=Policy(attempts=2, undo_attempts=2, timeout=DEADLINE),
    ),
    Family(
        name="people step in",
        faults={"crash": 1, "failure": 1, "verb": 1},
        policy=Policy(on_failure="finish"),
    ),
    Family(name="people step in while a run is taken over", faults={"lease": 1, "verb": 1}),
    Family(
        name="doubts are probed",
        faults={"crash": 1, "lease": 1, "failure": 1},
        policy=Policy(in_doubt="probe", compensate_on="probe"),
        steps=(2, 3),
    ),
    Family(
        name="doubts wait for a person",
        faults={"crash": 1, "failure": 1, "verb": 1},
        policy=Policy(in_doubt="hold", on_failure="halt", compensate_on="succeeded"),
        fails_after_effect=False,
    ),
    Family(
        name="each action of a turn by itself",
        faults={"crash": 1, "lease": 1, "unknown": 1, "failure": 1},
        is_fine=True,
        steps=(1, 2),
    ),
    Family(name="everything twice", faults={"crash": 2, "lease": 2, "failure": 1, "undo_failure": 1}, steps=(1, 2)),
    Family(name="people step in twice", faults={"crash": 1, "failure": 1, "undo_failure": 1, "verb": 2}, steps=(1, 2)),
)


def shapes_of(family: Family, *, long: bool) -> list[Needs]:
    """The shapes on which a family is searched: by the tests the diamond too, where three steps are."""
    most = family.steps[long]
    found = [needs for steps in range(1, most + 1) for needs in shapes(steps)]
    return [*found, DIAMOND] if most == 3 or (most == 2 and not long) else found
