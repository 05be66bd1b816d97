"""Plays a cell: the run with its fault, what a person does after it, and the end, judged at each rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Direction, RunStatus, StepStatus
from provisioning_core.testing._matrix_faults import UNDONE, Fault, Meeting
from provisioning_core.testing._matrix_judge import Judge
from provisioning_core.testing._matrix_result import Cell, Problem, Verdict
from provisioning_core.testing._matrix_scene import NoRest, Scene, Setting
from provisioning_core.testing._matrix_witness import Witness
from provisioning_core.testing._virtual import Call

_MOST_VERBS = 4
"""What a person tries until the run should have come to its end."""
_REST = {RunStatus.SUCCEEDED: Verdict.THERE, RunStatus.ROLLED_BACK: Verdict.GONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The run without a fault."""

    witness: Witness
    wanted: Mapping[str, int]
    """By step: how many things of it are there when it succeeded."""
    absent: frozenset[str]
    """Steps that the run does without."""
    problems: tuple[Problem, ...]
    """What stays although nothing went wrong."""


def play_without_fault(setting: Setting) -> Baseline:
    """Provision and deprovision. Raises ProvisioningError when the plan does not even succeed."""
    scene = Scene(setting)
    try:
        _expect_success(scene)
        wanted = {step: things.total() for step, things in scene.witness.holds.items()}
        absent = frozenset(name for name, step in scene.snapshot().steps.items() if step.status is StepStatus.SKIPPED)
        judge = Judge(scene, wanted, UNDONE, "in a run without a fault")
        _Play(scene, judge).undo()
        return Baseline(witness=scene.witness, wanted=wanted, absent=absent, problems=tuple(judge.problems))
    finally:
        scene.close()


def _expect_success(scene: Scene) -> None:
    try:
        scene.start()
    except NoRest:
        problem, hint = "it does not come to rest", "Let its steps come to an end without a wait for the real time."
    else:
        if scene.status is RunStatus.SUCCEEDED:
            return
        errors = scene.engine.engine.status(scene.setting.subject).errors
        problem = "; ".join(f"step {error.step}: {error.detail}" for error in errors) or f"it is {scene.status}"
        hint = "Its steps run for real: hand in an input, and fakes, with which they succeed."
    raise ProvisioningError(f"plan {scene.plan.name!r} does not succeed without any fault: {problem}.", code="no_baseline", hint=hint)


def play_cell(setting: Setting, fault: Fault, step: str, baseline: Baseline) -> Cell:
    """The step under the fault, in each of the ways in which it can strike."""
    deeds = baseline.witness.of(step, fault.direction)
    meetings: Sequence[Meeting] = fault.meetings(deeds[0]) if deeds else ()
    if setting.plan.steps[step].is_gate:
        meetings = [_gates_have_no_calls]
    cells = [_play_meeting(setting, fault, step, baseline, meeting) for meeting in meetings]
    bad = [cell for cell in cells if cell.verdict.is_problem]
    problems = {(each.step, each.kind): each for cell in reversed(bad) for each in cell.problems}
    verdict = bad[0].verdict if bad else cells[0].verdict if cells else Verdict.NOTHING
    return Cell(step=step, fault=fault.name, verdict=verdict, problems=tuple(problems.values()))


def _gates_have_no_calls(scene: Scene, call: Call) -> None:
    """What strikes a gate strikes while it waits."""


def _play_meeting(setting: Setting, fault: Fault, step: str, baseline: Baseline, meeting: Meeting) -> Cell:
    scene = Scene(setting)
    try:
        judge = Judge(scene, baseline.wanted, fault.name, fault.when)
        verdict = _Struck(scene, judge, fault, step, meeting).play()
    finally:
        scene.close()
    known = {(problem.step, problem.kind) for problem in baseline.problems}
    problems = tuple(problem for problem in judge.problems if (problem.step, problem.kind) not in known)
    return Cell(step=step, fault=fault.name, verdict=problems[0].kind if problems else verdict, problems=problems)


class _Play:
    """What a person does with a run."""

    def __init__(self, scene: Scene, judge: Judge) -> None:
        self.scene = scene
        self.judge = judge

    def succeed(self) -> None:
        """Have it tried again until it is provisioned; then everything has to be there, once."""
        for _ in range(_MOST_VERBS):
            if self.scene.status is RunStatus.SUCCEEDED:
                self.judge.there()
                return
            self._go_on()
        self.judge.stuck()

    def _go_on(self) -> None:
        records = self.scene.snapshot().steps.values()
        doubted = [record.name for record in records if record.status is StepStatus.IN_DOUBT and record.live is None]
        if self.scene.status is not RunStatus.WAITING or not doubted:
            self.scene.ask("retry")
            return
        for step in doubted:
            self._settle_doubt(step)
        if self.scene.status is RunStatus.WAITING:
            self.scene.ask("continue_")

    def _settle_doubt(self, step: str) -> None:
        """A person has looked outside, and tells how it is."""
        done = [deed for deed in self.scene.witness.of(step, Direction.FORWARD) if deed.returned]
        if done:
            self.scene.ask("resolve", step, as_="succeeded", output=done[-1].value)
        else:
            self.scene.ask("resolve", step, as_="failed")

    def undo(self) -> None:
        """Have it undone; then nothing may be left."""
        for _ in range(_MOST_VERBS):
            match self.scene.status:
                case RunStatus.ROLLED_BACK:
                    self.judge.gone()
                    return
                case RunStatus.SUCCEEDED:
                    self.scene.ask("deprovision")
                case RunStatus.ROLLBACK_FAILED:
                    self.scene.ask("retry")
                case _:
                    self.scene.ask("rollback", force=True)
        self.judge.probes()
        self.judge.stuck()


class _Struck(_Play):
    """The same, with a fault that strikes a step."""

    def __init__(self, scene: Scene, judge: Judge, fault: Fault, step: str, meeting: Meeting) -> None:
        super().__init__(scene, judge)
        self._fault = fault
        self._step = step
        self._meeting = meeting
        self._is_over = False
        scene.on_call = self._on_call
        scene.on_gate = self._on_gate
        scene.is_held_back = self._is_target

    def _is_target(self, call: Call) -> bool:
        return call.step == self._step and call.direction is self._fault.direction

    def _on_call(self, call: Call) -> bool:
        if self._is_over or not self._is_target(call):
            return False
        self._is_over = not self._fault.strikes_always
        self._meeting(self.scene, call)
        return True

    def _on_gate(self, gate: str) -> bool:
        if self._is_over or gate != self._step or self._fault.gate is None:
            return False
        self._is_over = not self._fault.strikes_always
        self._fault.gate(self.scene, gate)
        return True

    def play(self) -> Verdict:
        """How it came to rest by itself; what was wrong there or later, the judge knows."""
        try:
            return self._forward() if self._fault.direction is Direction.FORWARD else self._back()
        except NoRest:
            self.judge.stuck()
            return Verdict.STUCK

    def _forward(self) -> Verdict:
        self.scene.start()
        verdict = self._judge_rest()
        self._is_over = True
        if not self._fault.strikes_always:
            self.succeed()
        self.judge.probes()
        self.undo()
        return verdict

    def _back(self) -> Verdict:
        self.scene.start()
        self.scene.ask("deprovision")
        verdict = self._judge_rest()
        self._is_over = True
        if self._fault.resolves and self.scene.status is RunStatus.ROLLBACK_FAILED:
            self.judge.excuse(self._step)
            self.scene.ask("resolve", self._step, as_="compensated")
        self.undo()
        return verdict

    def _judge_rest(self) -> Verdict:
        verdict = _REST.get(self.scene.status, Verdict.HONEST)
        if verdict is Verdict.GONE:
            self.judge.gone()
        elif verdict is Verdict.HONEST:
            self.judge.rests()
        return verdict
