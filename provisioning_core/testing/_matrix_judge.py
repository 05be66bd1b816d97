"""Judges what became of a run: all there, all gone, accounted for; and if not, what went wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provisioning_core.model import Direction, ErrorInfo, StepRecord, StepStatus
from provisioning_core.testing import _matrix_words as words
from provisioning_core.testing._matrix_calls import Deed
from provisioning_core.testing._matrix_result import Problem, Verdict
from provisioning_core.testing._matrix_scene import Scene

_NEVER_SKIPPED = StepRecord(name="")


class Judge:
    """Looks at one run, whenever it rests."""

    def __init__(self, scene: Scene, wanted: Mapping[str, int], fault: str, when: str) -> None:
        self._scene = scene
        self._witness = scene.witness
        self._wanted = wanted
        self._fault = fault
        self._when = when
        self._excused: set[str] = set()
        self._found: dict[tuple[str, Verdict], Problem] = {}

    @property
    def problems(self) -> list[Problem]:
        """What was found; one of each kind for each step."""
        return list(self._found.values())

    def excuse(self, step: str) -> None:
        """A person said that what this step made is no business of the run's any more."""
        self._excused.add(step)

    def _add(self, step: str, kind: Verdict, told: tuple[str, str]) -> None:
        what, mend = told
        self._found.setdefault((step, kind), Problem(step=step, fault=self._fault, kind=kind, what=what, mend=mend))

    # all there

    def there(self) -> None:
        """The run succeeded: everything has to be there, and once."""
        self.probes()
        self._strangers()
        for step in self._steps():
            have, want = self._witness.count(step), self._wanted.get(step, 0)
            if have > want:
                self._add(step, Verdict.REPEATED, words.repeated(self._deeds(step), self._witness.names(step), self._when))
            elif have < want:
                self._add(step, Verdict.LOST, words.lost(self._deeds(step), self._when))
            elif self._was_never_done(step):
                self._add(step, Verdict.LOST, words.NEVER_DONE)

    def _steps(self) -> Iterator[str]:
        records = self._scene.snapshot().steps
        for name, declared in self._scene.plan.steps.items():
            record = records.get(name, _NEVER_SKIPPED)
            if record.status is StepStatus.SUCCEEDED and not declared.is_gate:
                yield name

    def _was_never_done(self, step: str) -> bool:
        return not any(deed.was_called for deed in self._deeds(step))

    def _deeds(self, step: str) -> list[Deed]:
        return self._witness.of(step, Direction.FORWARD)

    # what a probe said

    def probes(self) -> None:
        """A probe has to find what an attempt did to the end, and nothing else."""
        for step in self._scene.plan.steps:
            done: Deed | None = None
            for deed in (deed for deed in self._witness.deeds if deed.step == step and deed.returned):
                if deed.direction is Direction.PROBE:
                    self._probe(step, deed, done)
                else:
                    done = deed if deed.direction is Direction.FORWARD else None

    def _probe(self, step: str, probe: Deed, done: Deed | None) -> None:
        is_missed = probe.value is None or probe.value is False
        if done is None:
            return
        if is_missed:
            self._add(step, Verdict.REPEATED, words.probe_missed(self._witness.names(step)))
        elif done.value is not None and probe.value != done.value:
            self._add(step, Verdict.LOST, words.PROBE_DIFFERS)

    # all gone

    def gone(self) -> None:
        """The run says ROLLED_BACK: nothing of it may be left."""
        self._strangers()
        for step in self._holders():
            self._left(step)

    def _holders(self) -> list[str]:
        """Steps that something is there of for which nobody has an excuse."""
        steps = self._scene.plan.steps.items()
        return [name for name, step in steps if self._witness.count(name) and not step.irreversible and name not in self._excused]

    def _left(self, step: str) -> None:
        declared, names = self._scene.plan.steps[step], self._witness.names(step)
        if declared.compensation is None:
            told = words.no_compensation(names)
        else:
            undone = self._witness.of(step, Direction.COMPENSATE)
            told = words.left(self._deeds(step), undone, names, self._when)
        self._add(step, Verdict.LEFT_BEHIND, told)

    def _strangers(self) -> None:
        for step, things in self._witness.strangers_gone.items():
            self._add(step, Verdict.LOST, words.took_others(things))

    # an honest state

    def rests(self) -> None:
        """It rests half-way: what is there has to be accounted for by steps that the record says have an effect."""
        records = self._scene.snapshot().steps
        for step in self._holders():
            record = records.get(step, _NEVER_SKIPPED)
            if record.status is StepStatus.COMPENSATED:
                self._left(step)
            elif not record.effect:
                self._add(step, Verdict.LEFT_BEHIND, words.unaccounted(record, self._witness.names(step)))

    # stuck

    def stuck(self) -> None:
        """It should have come to its end, and did not."""
        snapshot = self._scene.snapshot()
        found = False
        for step, record in snapshot.steps.items():
            if record.status is StepStatus.COMPENSATION_FAILED:
                undone = self._witness.of(step, Direction.COMPENSATE)
                detail = _first_line(record.undo_error)
                self._add(step, Verdict.STUCK, words.undo_stuck(undone, self._deeds(step), detail))
                found = True
            elif record.status in (StepStatus.FAILED, StepStatus.IN_DOUBT) and not self._scene.plan.steps[step].optional:
                detail = _first_line(record.error)
                self._add(step, Verdict.STUCK, words.stuck(record.status, detail, self._when))
                found = True
        if not found:
            self._restless(snapshot.run.attention.detail if snapshot.run.attention else "")

    def _restless(self, why: str) -> None:
        records = self._scene.snapshot().steps.values()
        busy = [record.name for record in records if record.live is not None or record.next_attempt_at is not None]
        self._add(busy[0] if busy else next(iter(self._scene.plan.steps)), Verdict.STUCK, words.restless(why))


def _first_line(error: ErrorInfo | None) -> str:
    return error.detail.partition("\n")[0] if error is not None else ""
