"""What must hold of the lines that steps wrote outside the store, compared with what the store recorded of their run.

Nothing is concluded from clocks: only from the order of the lines, from tokens, keys and the history. An attempt that wrote no
more lines is taken for ended; one that writes a line after another attempt of its step began was alive then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from provisioning_core.machine import Violation
from provisioning_core.model import Direction, EventRecord, Node, RunSnapshot, RunStatus
from provisioning_core.testing._ledger import LedgerLine

F, C = Direction.FORWARD, Direction.COMPENSATE


@dataclass(frozen=True, slots=True)
class Case:
    """One run: what is recorded of it, and what its steps wrote."""

    snapshot: RunSnapshot
    events: Sequence[EventRecord]
    lines: Sequence[LedgerLine]
    by_step: Mapping[str, Sequence[tuple[int, LedgerLine]]] = field(default_factory=dict)
    """Each step's lines with their places in the ledger."""

    @classmethod
    def of(cls, snapshot: RunSnapshot, events: Sequence[EventRecord], lines: Iterable[LedgerLine]) -> Case:
        own = [line for line in lines if line.run_id == snapshot.run.id]
        by_step: dict[str, list[tuple[int, LedgerLine]]] = defaultdict(list)
        for place, line in enumerate(own):
            by_step[line.step].append((place, line))
        return cls(snapshot, events, own, by_step)

    def begins(self, step: str, direction: Direction | None = None) -> list[LedgerLine]:
        """A step's attempts, in the order in which they began."""
        lines = (line for _, line in self.by_step.get(step, ()))
        return [line for line in lines if line.what == "begin" and direction in (None, line.direction)]

    def intents(self) -> Counter[str]:
        """How many forward attempts of each step the history tells of."""
        return Counter(event.step or "" for event in self.events if event.type == "step.running")

    def settled_by_hand(self) -> set[str]:
        """Steps of which a person said that they are undone."""
        told = (event for event in self.events if event.type == "step.compensated")
        return {event.step or "" for event in told if event.data.get("reason") == "by_hand"}

    def nodes(self) -> Iterator[Node]:
        """The plan's steps that wrote lines."""
        return (node for node in self.snapshot.graph.nodes if node.name in self.by_step)

    def tell(self, code: str, step: str, text: str) -> Violation:
        run_id = self.snapshot.run.id
        return Violation(code=code, run_id=run_id, step=step, text=f"Step {step!r} of run {run_id}: {text}.")


def check_ledger(snapshot: RunSnapshot, events: Sequence[EventRecord], lines: Iterable[LedgerLine]) -> list[Violation]:
    """What does not hold of one run's lines."""
    case = Case.of(snapshot, events, lines)
    return [violation for check in CHECKS for violation in check(case)]


def intents_come_first(case: Case) -> Iterator[Violation]:
    """What was begun is recorded, and was before it began: the store knows the token, and one intent for each forward attempt."""
    intents = case.intents()
    for step in case.by_step:
        recorded = case.snapshot.steps.get(step)
        latest = case.snapshot.run.token if recorded is None else recorded.token
        for line in case.begins(step):
            if line.token > latest:
                yield case.tell("ledger_intent_recorded", step, f"it began with token {line.token}, the latest recorded is {latest}")
        begun = len({line.token for line in case.begins(step, F)})
        if begun > intents[step]:
            yield case.tell("ledger_intent_recorded", step, f"it began {begun} times, {intents[step]} intents are recorded")


def each_attempt_begins_once(case: Case) -> Iterator[Violation]:
    """No token is begun twice."""
    begun = Counter((line.token, line.step) for line in case.lines if line.what == "begin")
    for (token, step), count in begun.items():
        if count > 1:
            yield case.tell("ledger_begun_once", step, f"its attempt with token {token} began {count} times")


def tokens_grow(case: Case) -> Iterator[Violation]:
    """Each step's attempts begin in the order of their tokens."""
    for step in case.by_step:
        largest = 0
        for line in case.begins(step):
            if line.token < largest:
                yield case.tell("ledger_token_grows", step, f"token {line.token} began after token {largest}")
            largest = max(largest, line.token)


def keys_are_stable(case: Case) -> Iterator[Violation]:
    """One key for each step, direction and round: never an earlier one again, never another step's, and no more than rounds."""
    owners: dict[str, tuple[str, Direction]] = {}
    for step in case.by_step:
        recorded = case.snapshot.steps.get(step)
        for direction in (F, C):
            keys = [line.idempotency_key for line in case.begins(step, direction)]
            changes = [key for before, key in zip([None, *keys], keys, strict=False) if key != before]
            if len(changes) > len(set(changes)):
                yield case.tell("ledger_key_stable", step, f"a key of an earlier round was used again ({direction})")
            if recorded is not None and len(set(changes)) > recorded.round:
                told = f"{len(set(changes))} keys were used in {recorded.round} rounds ({direction})"
                yield case.tell("ledger_key_stable", step, told)
            for key in set(keys):
                if owners.setdefault(key, (step, direction)) != (step, direction):
                    yield case.tell("ledger_key_stable", step, f"the key {key!r} is used by step {owners[key][0]!r} too")


def what_was_undone_gets_a_new_key(case: Case) -> Iterator[Violation]:
    """Once its compensation began, a step is done again only in a new round."""
    for step in case.by_step:
        used: set[str] = set()
        undone: set[str] = set()
        for line in case.begins(step):
            if line.direction is C:
                undone |= used
                continue
            if line.idempotency_key in undone:
                yield case.tell("ledger_key_stable", step, f"it is done again after it was undone, under its old key ({line.token})")
            used.add(line.idempotency_key)


def attempts_never_overlap(case: Case) -> Iterator[Violation]:
    """Nobody writes a line after a later attempt of the same step began."""
    for step, lines in case.by_step.items():
        latest: LedgerLine | None = None
        for _, line in lines:
            if line.what == "begin":
                latest = line
            elif latest is not None and line.token != latest.token:
                told = f"its attempt {line.token} was still alive ({line.what}) when attempt {latest.token} had begun"
                yield case.tell("ledger_no_overlap", step, told)


def undone_in_order(case: Case) -> Iterator[Violation]:
    """After a compensation began, no dependent that was begun before is undone any more, or still alive."""
    for node in case.nodes():
        places = [place for place, line in case.by_step[node.name] if line.direction is C and line.what == "begin"]
        for dependent in case.snapshot.graph.dependents_of[case.snapshot.graph.index[node.name]]:
            name = case.snapshot.graph.nodes[dependent].name
            late = next((line for place in places if (line := _late(case.by_step.get(name, ()), place)) is not None), None)
            if late is not None:
                told = f"its compensation began before {name!r}, which depends on it, was through ({late.direction} {late.what})"
                yield case.tell("ledger_order_back", node.name, told)


def _late(lines: Sequence[tuple[int, LedgerLine]], place: int) -> LedgerLine | None:
    """The first line behind a place, unless the step was begun anew by then."""
    behind = next((line for each, line in lines if each > place), None)
    return None if behind is None or (behind.direction is F and behind.what == "begin") else behind


def nothing_is_left(case: Case) -> Iterator[Violation]:
    """What had its effect and could be undone was undone after that."""
    if case.snapshot.run.status is not RunStatus.ROLLED_BACK:
        return
    by_hand = case.settled_by_hand()
    for node in case.nodes():
        if not node.has_compensation or node.name in by_hand:
            continue
        is_there = False
        for _, line in case.by_step[node.name]:
            if line.what == "effect" or (line.what == "end" and line.direction is C):
                is_there = line.direction is F
        if is_there:
            yield case.tell("ledger_nothing_left", node.name, "its effect was not undone, but the run is ROLLED_BACK")


CHECKS: tuple[Callable[[Case], Iterator[Violation]], ...] = (
    intents_come_first,
    each_attempt_begins_once,
    tokens_grow,
    keys_are_stable,
    what_was_undone_gets_a_new_key,
    attempts_never_overlap,
    undone_in_order,
    nothing_is_left,
)
