"""The protocol, broken on purpose: one rule at a time, to see that the search finds out.

Some break a rule between engines and store (:class:`Rules`), some the machine itself (a subclass of the real one).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from explorer.deciding import Decider
from explorer.model import DEADLINE, Wish, first_state
from explorer.protocol import RUN_AGAIN, Protocol, Rules
from explorer.search import Found, Search
from explorer.shapes import CHAIN, ONE, Needs, Policy, plan
from provisioning_core import machine as m
from provisioning_core.model import Direction, RunStatus, StepStatus

S = StepStatus
_MOST = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A broken protocol, and the least that shows it: the smallest shape, and the faults that must happen."""

    name: str
    shape: Needs = ONE
    faults: dict[str, int] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    rules: Rules = field(default_factory=Rules)
    machine: type[m.Machine] = m.Machine
    verbs: tuple[Wish, ...] = ()

    def protocol(self) -> Protocol:
        """As it is when this rule is broken."""
        return Protocol(decider=Decider(plan(self.shape, self.policy), self.machine), rules=self.rules, verbs=self.verbs)

    def search(self) -> Found:
        """Look for what it breaks."""
        return Search(first_state(len(self.shape), self.faults), self.protocol()).run(most=_MOST)

    def search_unbroken(self) -> Found:
        """The same search, with the rule kept."""
        return replace(self, rules=Rules(), machine=m.Machine).search()


# broken machines


class IgnoresNeeds(m.Machine):
    """Every step is ready from the beginning."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._forward._unmet = _Zeros()  # type: ignore[assignment]


def _replace(part: Any, method: Callable[..., Any], name: str | None = None) -> None:
    """Give one object another method; it has slots, so it gets a class of its own."""
    own = {"__slots__": (), name or method.__name__: staticmethod(method)}
    part.__class__ = type(type(part).__name__, (type(part),), own)


class _Zeros(list[int]):
    """Counters that stay at zero."""

    def __getitem__(self, _: Any) -> Any:
        return 0

    def __setitem__(self, i: Any, count: Any) -> None:
        pass


class UndoesOnlySuccesses(m.Machine):
    """What failed, or is in doubt, counts as without effect."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        undo = self._back._undo

        def _undo(i: int, at: float) -> bool:
            cell = self._board.cells[i]
            if cell.live is None and cell.status in (S.FAILED, S.IN_DOUBT, S.CANCELLED):
                cell.effect = cell.half_done = False
            return undo(i, at)

        _replace(self._back, _undo)


class RollsBackAtOnce(m.Machine):
    """A rollback does not wait for attempts that are under way."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        undo = self._back._undo

        def _undo(i: int, at: float) -> bool:
            cell = self._board.cells[i]
            if cell.live is Direction.FORWARD:
                self._board.end(i)
                if cell.status is S.RUNNING:
                    self._board.move_step(i, S.FAILED, at)
            return undo(i, at)

        _replace(self._back, _undo)


class RunsSuccessesAgain(m.Machine):
    """Who takes a run up does not trust what another engine recorded."""

    def _take_up(self, event: m.TakenUp) -> None:
        if not event.only_look and self._board.status is RunStatus.RUNNING:
            for i in self._board.where(S.SUCCEEDED):
                self._board.move_step(i, S.PENDING, event.at)
        super()._take_up(event)


class TakesAnyEnd(m.Machine):
    """The end of an older attempt counts for the latest."""

    def _report(self, event: m.Report) -> None:
        cell = self._board.cells[self._board.position(event.step)]
        super()._report(replace(event, token=cell.token))


class TakesLateResults(m.Machine):
    """The result of an attempt that was given up counts all the same."""

    def _report(self, event: m.Report) -> None:
        i = self._board.position(event.step)
        if self._board.cells[i].token == event.token and self._board.cells[i].status is S.IN_DOUBT:
            self._board.cells[i].zombie = False
            self._board.zombies.pop(i, None)
        super()._report(event)


class UndoesInAnyOrder(m.Machine):
    """A step is undone before those that depend on it."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._back._board = _Disconnected(self._board)  # type: ignore[assignment]


class _Disconnected:
    """A board on which no step depends on another."""

    def __init__(self, board: Any) -> None:
        self._board = board
        self.dependents = ((),) * len(board.nodes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)


class KeepsItsToken(m.Machine):
    """Attempts begin under the token of the one before."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        begin = self._board.begin

        def _begin(*arguments: Any) -> None:
            begin(*arguments)
            self._board.token -= self._board.token > 1

        _replace(self._board, _begin, name="begin")


class ForgivesFailedCompensations(m.Machine):
    """The run is ROLLED_BACK although a compensation failed."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        settle = self._course._settle_back

        def _settle_back(at: float) -> None:
            for i in self._board.where(S.COMPENSATION_FAILED):
                self._board.cells[i].effect = False
                self._board.move_step(i, S.COMPENSATED, at)
            settle(at)

        _replace(self._course, _settle_back)


class CancelsAtOnce(m.Machine):
    """A cancelled run ends while attempts are under way."""

    def _handle_verb(self, verb: m.Verb) -> None:
        super()._handle_verb(verb)
        if self._board.status is RunStatus.CANCELLING:
            self._board.move_run(RunStatus.CANCELLED, verb.at)


# all of them

CANCEL, UNDO, AGAIN = Wish("cancel"), Wish("cancel and roll back"), Wish(RUN_AGAIN, 0)

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        name="an attempt is launched without a record of its intent",
        faults={"crash": 1, "verb": 1},
        verbs=(UNDO,),
        rules=Rules(intent_is_recorded=False),
    ),
    Mutation(
        name="an attempt is launched before the commit",
        faults={"crash": 1, "verb": 1},
        verbs=(UNDO,),
        rules=Rules(commits_before_launch=False),
    ),
    Mutation(name="the epoch of a commit is not checked", faults={"lease": 1}, rules=Rules(checks_epoch=False)),
    Mutation(name="needs are ignored", shape=CHAIN, machine=IgnoresNeeds),
    Mutation(name="only what succeeded is compensated", faults={"failure": 1}, machine=UndoesOnlySuccesses),
    Mutation(name="a rollback does not wait for what runs", faults={"verb": 1}, verbs=(Wish("roll back"),), machine=RollsBackAtOnce),
    Mutation(name="a success runs again after a takeover", shape=CHAIN, faults={"crash": 1}, machine=RunsSuccessesAgain),
    Mutation(name="status and event are written in two transactions", rules=Rules(one_transaction=False)),
    Mutation(name="attempts of an engine that may be alive are not waited for", faults={"lease": 1}, rules=Rules(quarantines=False)),
    Mutation(
        name="the end of an older attempt counts for the latest",
        faults={"lease": 1, "crash": 1},
        machine=TakesAnyEnd,
    ),
    Mutation(
        name="the result of an attempt that was given up counts",
        faults={"timeout": 1},
        policy=Policy(attempts=2, timeout=DEADLINE),
        machine=TakesLateResults,
    ),
    Mutation(name="a step is compensated before its dependents", shape=CHAIN, faults={"failure": 1}, machine=UndoesInAnyOrder),
    Mutation(
        name="a commit whose answer was lost is repeated as a new one", faults={"unknown": 1}, rules=Rules(compares_versions=False)
    ),
    Mutation(name="the token does not grow", faults={"failure": 1}, machine=KeepsItsToken),
    Mutation(
        name="ROLLED_BACK with a failed compensation", faults={"failure": 1, "undo_failure": 1}, machine=ForgivesFailedCompensations
    ),
    Mutation(name="cancel does not wait for what runs", faults={"verb": 1}, verbs=(CANCEL,), machine=CancelsAtOnce),
    Mutation(
        name="a verb is struck off before it is carried out",
        faults={"verb": 1},
        verbs=(CANCEL,),
        rules=Rules(strikes_off_late=False),
    ),
    Mutation(name="an engine that lost a run keeps to itself what has ended", faults={"lease": 1}, rules=Rules(says_farewell=False)),
    Mutation(
        name="an engine that lost a run keeps to itself what never began",
        faults={"lease": 1, "unknown": 1},
        rules=Rules(tells_what_never_began=False),
    ),
    Mutation(
        name="an engine that claims a run again goes on with what it knew",
        faults={"lease": 2, "crash": 1},
        rules=Rules(opens_what_it_claims=False),
    ),
)
