"""The invariants of a run's whole history: its events, in order, against the tables of moves and against what is recorded.

Theory of operation. A :class:`History` replays the events: it knows where each step and the run stood after every line, and so it
can say whether the next one was legal then. O(steps) memory, O(events + edges) time: a history is checked page by page.

The plan's graph is that of the run as it is now. Where a changed plan was adopted, what was found against the plan before that line
is forgotten, and where each step stands is unknown until its next line; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable

from provisioning_core.machine._invariants import OPEN, blocks, delivers, is_settled
from provisioning_core.machine._rules import BACK
from provisioning_core.machine._states import RUN_MOVES, STEP_MOVES
from provisioning_core.machine._violations import Violation
from provisioning_core.model import EventRecord, Node, RunSnapshot, StepRecord
from provisioning_core.model import RunStatus as R
from provisioning_core.model import StepStatus as S

_UNDONE = (S.COMPENSATING, S.COMPENSATED)


class History:
    """One run's events, replayed. Take them in order, then :meth:`end`."""

    def __init__(self, snapshot: RunSnapshot) -> None:
        self._snapshot = snapshot
        self._run = snapshot.run
        self._graph = snapshot.graph
        self._nodes = {node.name: node for node in snapshot.graph.nodes}
        self._stood: dict[str, S] = {node.name: S.PENDING for node in snapshot.graph.nodes}
        """Where each step stood; one that is missing is unknown."""
        self._members: dict[S, set[str]] = {status: set() for status in S}
        self._members[S.PENDING].update(self._nodes)
        self._unsettled = set(self._nodes)
        self._by_hand: set[str] = set()
        self._attempts = dict.fromkeys(self._nodes, 0)
        """Begun in this round; one that is missing is unknown."""
        self._named: set[str] = set()
        """Steps that a person wants to run again, and what stands behind them."""
        self._told: set[tuple[str, str, str]] = set()
        """Resources of which the history tells."""
        self._run_stood = R.PENDING
        self._seq = 0
        self._was_adopted = False
        self._of_lines: list[Violation] = []
        self._of_plan: list[Violation] = []
        """Those that are none if the plan was another one then."""

    def take(self, event: EventRecord) -> None:
        """The next line. Lines beyond the number that the run's record has are of later commits, and left out."""
        if event.seq > self._run.seq:
            return
        self._count(event)
        kind, _, what = event.type.partition(".")
        if kind == "run":
            self._take_run(event, what)
        elif kind == "step" and what.upper() in S.__members__:
            self._take_step(event, S(what.upper()))
        elif event.type == "plan.adopted":
            self._adopt()
        elif event.type == "retry.requested":
            self._name(event)
        elif event.type == "resource.recorded":
            self._told.add((event.step or "", event.data.get("kind", ""), event.data.get("id", "")))

    def end(self) -> list[Violation]:
        """What does not hold; empty when all is well."""
        self._end_numbers()
        if self._run_stood is not self._run.status:
            self._tell("chains_join", f"its history ends with {self._run_stood}, its record says {self._run.status}")
        for name, stood in self._stood.items():
            recorded = self._recorded(name).status
            if stood is not recorded:
                self._tell("chains_join", f"its history ends with {stood}, its record says {recorded}", name)
        self._end_ledger()
        return [*self._of_lines, *self._of_plan]

    # numbers

    def _count(self, event: EventRecord) -> None:
        if event.seq != self._seq + 1:
            self._tell("events_gapless", f"event {event.seq} follows event {self._seq}")
        if event.run_id != self._run.id:
            self._tell("events_gapless", f"event {event.seq} is of run {event.run_id}")
        if (event.type == "run.created") != (self._seq == 0):
            self._tell("created_once", f"event {event.seq} is {event.type}")
        self._seq = event.seq

    def _end_numbers(self) -> None:
        if self._seq != self._run.seq:
            self._tell("events_gapless", f"the last event is {self._seq}, the record says {self._run.seq}")

    # the run

    def _take_run(self, event: EventRecord, what: str) -> None:
        if what.upper() not in R.__members__:
            return
        old, new = self._run_stood, R(what.upper())
        if event.data.get("from") != old:
            self._tell("chains_join", f"event {event.seq} goes from {event.data.get('from')} to {new}, but it stood at {old}")
        if new not in RUN_MOVES.get(_run_status(event.data.get("from")) or old, ()):
            self._tell("moves_legal", f"event {event.seq} goes from {event.data.get('from')} to {new}")
        self._run_stood = new
        if len(self._stood) == len(self._nodes):
            self._explain(event, new)

    def _explain(self, event: EventRecord, new: R) -> None:
        for name in sorted(self._unexplained(new)):
            told = f"the run became {new} with event {event.seq}, but the step was {self._stood[name]}"
            self._tell("status_explained", told, name, of_plan=True)
        if not self._has_reason(new):
            self._tell("status_explained", f"event {event.seq} made it {new}, but no step is the reason", of_plan=True)

    def _unexplained(self, new: R) -> Iterable[str]:
        """Steps that the new status rules out."""
        match new:
            case R.SUCCEEDED:
                return self._unsettled
            case R.ROLLED_BACK:
                done = {name for name in self._members[S.SUCCEEDED] if not self._nodes[name].is_gate}
                return done.union(*(self._members[status] for status in OPEN))
            case R.CANCELLED:
                return self._members[S.RUNNING] | self._members[S.RETRYING]
            case R.FAILED | R.WAITING | R.PAUSED | R.ROLLBACK_FAILED:
                return self._members[S.RUNNING]
            case _:
                return ()

    def _has_reason(self, new: R) -> bool:
        """Whether some step is what the new status asks for."""
        match new:
            case R.FAILED:
                return any(not self._nodes[name].optional for name in self._members[S.FAILED]) or self._has(S.COMPENSATION_FAILED)
            case R.WAITING:
                return self._has(S.WAITING) or self._has(S.IN_DOUBT)
            case R.ROLLBACK_FAILED:
                return self._has(S.COMPENSATION_FAILED)
            case _:
                return True

    def _has(self, status: S) -> bool:
        return bool(self._members[status])

    # steps

    def _take_step(self, event: EventRecord, new: S) -> None:
        name = event.step or ""
        node = self._nodes.get(name)
        if node is None:
            self._tell("steps_known", f"event {event.seq} is of it, but the run's plan has no such step", name, of_plan=True)
            return
        old = S(event.data["from"]) if event.data.get("from") in S.__members__ else S.PENDING
        stood = self._stood.get(name, old)
        if stood is not old:
            self._tell("chains_join", f"event {event.seq} goes from {old} to {new}, but it stood at {stood}", name)
        if new not in STEP_MOVES[old]:
            self._tell("moves_legal", f"event {event.seq} goes from {old} to {new}", name)
        self._check_move(event, node, old, new)
        self._stand(node, new, is_by_hand=event.data.get("reason") == "by_hand")

    def _stand(self, node: Node, new: S, *, is_by_hand: bool) -> None:
        name = node.name
        if name in self._stood:
            self._members[self._stood[name]].discard(name)
        self._stood[name] = new
        self._members[new].add(name)
        (self._unsettled.discard if is_settled(new, node) else self._unsettled.add)(name)
        (self._by_hand.add if is_by_hand else self._by_hand.discard)(name)

    def _check_move(self, event: EventRecord, node: Node, old: S, new: S) -> None:
        if old is S.SUCCEEDED:
            self._check_success_left(event, node.name, new)
        match new:
            case S.RUNNING:
                self._check_running(event, node)
                self._check_begun(event, node)
            case S.WAITING:
                self._check_begun(event, node)
            case S.COMPENSATING if old is not S.COMPENSATION_FAILED:
                self._check_undoing(event, node)
            case S.BLOCKED:
                self._check_blocked(event, node)
            case S.PENDING:
                self._attempts[node.name] = 0

    def _check_success_left(self, event: EventRecord, name: str, new: S) -> None:
        is_undone = new in _UNDONE and self._run_stood in BACK
        if not is_undone and name not in self._named:
            self._tell("success_final", f"it had succeeded, and nobody named it, but event {event.seq} makes it {new}", name)

    def _check_running(self, event: EventRecord, node: Node) -> None:
        if self._run_stood is not R.RUNNING:
            self._tell("start_while_running", f"event {event.seq} starts it, but the run is {self._run_stood}", node.name)
        begun = self._attempts.get(node.name)
        if begun is not None and event.attempt != begun + 1:
            self._tell("attempts_counted", f"event {event.seq} starts attempt {event.attempt} after {begun}", node.name)
        self._attempts[node.name] = event.attempt or 1

    def _check_begun(self, event: EventRecord, node: Node) -> None:
        self._named.discard(node.name)
        for need in node.needs:
            stood = self._stood.get(need)
            if stood is None:
                continue
            if not is_settled(stood, self._nodes[need]):
                self._tell_plan("order_forward", event, node, f"starts, but needs {need!r}, which was {stood}")
            elif need not in node.tolerates and not delivers(stood, "person" if need in self._by_hand else ""):
                self._tell_plan("order_forward", event, node, f"starts, but {need!r} ({stood}) had delivered nothing")

    def _check_blocked(self, event: EventRecord, node: Node) -> None:
        causes = [need not in self._stood or blocks(self._stood[need], self._nodes[need]) for need in node.needs]
        if not any(causes):
            self._tell_plan("blocked_has_cause", event, node, "is BLOCKED, but nothing that it needs had failed")

    def _check_undoing(self, event: EventRecord, node: Node) -> None:
        if self._run_stood not in (R.ROLLING_BACK, R.RUNNING):
            self._tell("undone_in_rollback", f"event {event.seq} undoes it, but the run is {self._run_stood}", node.name)
        elif self._run_stood is R.RUNNING and node.name not in self._named:
            self._tell_plan("undone_in_rollback", event, node, "is undone, but nobody named it")
        for position in self._graph.dependents_of[self._graph.index[node.name]]:
            dependent = self._graph.nodes[position]
            if self._is_left(dependent):
                told = f"is undone, but {dependent.name!r}, which depends on it, was {self._stood[dependent.name]}"
                self._tell_plan("order_back", event, node, told)

    def _is_left(self, dependent: Node) -> bool:
        """Whether its effect is certain. Of a FAILED or CANCELLED one the history does not say whether a probe had found anything."""
        stood = self._stood.get(dependent.name)
        return stood in (S.RUNNING, S.COMPENSATING, S.COMPENSATION_FAILED) or (stood is S.SUCCEEDED and not dependent.is_gate)

    # verbs, plans and the ledger

    def _name(self, event: EventRecord) -> None:
        steps = event.data.get("steps")
        if steps is not None:
            self._named |= self._graph.descendants(name for name in steps if name in self._nodes)
        elif self._run_stood is R.ROLLED_BACK:
            self._named |= set(self._nodes)

    def _adopt(self) -> None:
        self._of_plan.clear()
        self._stood.clear()
        self._attempts.clear()
        for members in self._members.values():
            members.clear()
        self._was_adopted = True

    def _end_ledger(self) -> None:
        there = {(each.step, each.kind, each.id) for each in self._snapshot.resources}
        for step, kind, id_ in sorted(self._told - there):
            self._tell("resources_kept", f"it recorded {kind} {id_!r}, but the ledger has no such entry", step)
        if not self._was_adopted:
            for step in sorted({each.step for each in self._snapshot.resources} - set(self._nodes)):
                self._tell("steps_known", "the ledger has entries of it, but the run's plan has no such step", step)

    def _recorded(self, name: str) -> StepRecord:
        return self._snapshot.steps.get(name) or StepRecord(name=name)

    # telling

    def _tell_plan(self, code: str, event: EventRecord, node: Node, text: str) -> None:
        self._tell(code, f"with event {event.seq} it {text}", node.name, of_plan=True)

    def _tell(self, code: str, text: str, step: str | None = None, *, of_plan: bool = False) -> None:
        whose = f"Run {self._run.id}" if step is None else f"Step {step!r} of run {self._run.id}"
        found = self._of_plan if of_plan else self._of_lines
        found.append(Violation(code=code, run_id=self._run.id, step=step, text=f"{whose}: {text}."))


def _run_status(word: object) -> R | None:
    return R(word) if isinstance(word, str) and word in R.__members__ else None
