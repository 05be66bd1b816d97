"""``fault_matrix``: a plan's author proves it, step by step and fault by fault, in virtual time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Self

from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Plan
from provisioning_core.ports import Store
from provisioning_core.testing._matrix_faults import FAULTS, UNDONE, Fault
from provisioning_core.testing._matrix_play import Baseline, play_cell, play_without_fault
from provisioning_core.testing._matrix_result import Cell, FaultMatrix, Row, Verdict
from provisioning_core.testing._matrix_scene import Setting
from provisioning_core.testing._matrix_witness import World

LEGEND: Mapping[str, str] = {
    **{fault.name: fault.tells for fault in FAULTS},
    UNDONE: "no fault: provisioned, and then deprovisioned",
}
"""What each fault does, by its name."""


def fault_matrix(
    plan: Plan,
    input: Any = None,  # noqa: A002  the contract's word
    *,
    world: World | None = None,
    fresh: Callable[[], object] | None = None,
    signals: Mapping[str, Any] | None = None,
    store: Callable[[], Store] | None = None,
    subject: str = "acme",
    steps: Collection[str] | None = None,
    faults: Collection[str] | None = None,
    **engine: Any,
) -> FaultMatrix:
    """Run the plan once for every step and fault, and say how each run ended.

    The steps are called for real, usually with fakes behind them; the time is virtual, so no retry, timeout or poll waits.
    ``world`` says what is there outside (names, or a mapping of names to how many there are); ``fresh`` makes it as it was, and
    is called before every run. Without ``world`` only what the steps ``ctx.record`` is looked at. ``signals`` are the payloads of
    the gates; each is signalled when it waits. ``store`` makes a store of their own for plans whose transactional steps need tables
    in it. ``steps`` and ``faults`` name some of the rows and columns. What else is given goes to the engines (``limits=``,
    ``on_status=``).

    Raises ProvisioningError when the plan does not succeed without any fault.
    """
    hands_in = {"world": world, "fresh": fresh, "signals": signals or {}, "store": store, "subject": subject}
    return Proof.of(plan, input, steps=steps, faults=faults, **hands_in, **engine).matrix()


@contextmanager
def _quiet_engines() -> Iterator[None]:
    """What an engine logs of faults that were made on purpose is of interest to nobody."""
    log = logging.getLogger("provisioning_core.engine")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)


class Proof:
    """A plan under all faults, cell by cell; the run without a fault is played once."""

    def __init__(self, setting: Setting, *, steps: Collection[str] | None = None, faults: Collection[str] | None = None) -> None:
        self._setting = setting
        self._steps = _chosen(steps, [node.name for node in setting.plan.graph.nodes], "step")
        self._faults = _chosen(faults, list(LEGEND), "fault")

    @classmethod
    def of(
        cls,
        plan: Plan,
        input: Any = None,  # noqa: A002  the contract's word
        *,
        steps: Collection[str] | None = None,
        faults: Collection[str] | None = None,
        **given: Any,
    ) -> Self:
        """With what :func:`fault_matrix` takes. Raises ProvisioningError."""
        ours = {name: given.pop(name) for name in ("world", "fresh", "signals", "store", "subject") if name in given}
        return cls(Setting(plan=plan, input=input, options=given, **ours), steps=steps, faults=faults)

    @cached_property
    def _baseline(self) -> Baseline:
        with _quiet_engines():
            return play_without_fault(self._setting)

    @property
    def cells(self) -> Iterator[tuple[str, str]]:
        """Steps and faults that can meet, without running anything."""
        for step in self._steps:
            for name in self._faults:
                fault = _BY_NAME.get(name)
                if fault is None or fault.applies(self._setting.plan, step):
                    yield step, name

    def matrix(self) -> FaultMatrix:
        """All cells."""
        rows = [Row(step=step, cells={fault: self.cell(step, fault) for fault in self._faults}) for step in self._steps]
        return FaultMatrix(plan=self._setting.plan.name, rows=tuple(rows), legend={name: LEGEND[name] for name in self._faults})

    def cell(self, step: str, name: str) -> Cell:
        """One of them."""
        if name == UNDONE:
            return self._undone(step)
        with _quiet_engines():
            return self._struck(step, _BY_NAME[name])

    def _struck(self, step: str, fault: Fault) -> Cell:
        if not fault.applies(self._setting.plan, step) or step in self._baseline.absent:
            return Cell(step=step, fault=fault.name, verdict=Verdict.NOTHING)
        return play_cell(self._setting, fault, step, self._baseline)

    def _undone(self, step: str) -> Cell:
        problems = tuple(problem for problem in self._baseline.problems if problem.step == step)
        declared = self._setting.plan.steps[step]
        has_effect = declared.compensation is not None or self._baseline.wanted.get(step)
        verdict = Verdict.NOTHING
        if problems:
            verdict = problems[0].kind
        elif has_effect and step not in self._baseline.absent:
            verdict = Verdict.HONEST if self._baseline.witness.count(step) else Verdict.GONE
        return Cell(step=step, fault=UNDONE, verdict=verdict, problems=problems)


_BY_NAME: Mapping[str, Fault] = {fault.name: fault for fault in FAULTS}


def _chosen(wanted: Collection[str] | None, known: list[str], what: str) -> list[str]:
    if wanted is None:
        return known
    strange = [name for name in wanted if name not in known]
    if strange:
        raise ProvisioningError(f"there is no {what} {strange[0]!r}.", code=f"unknown_{what}", hint=f"There are: {', '.join(known)}.")
    return [name for name in known if name in wanted]
