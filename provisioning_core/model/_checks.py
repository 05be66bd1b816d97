"""What can be wrong with a step or a plan, found without running it: all of it at once, each with how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from provisioning_core.errors import Fault
from provisioning_core.model._retry import Retry, is_number
from provisioning_core.model._step import Step
from provisioning_core.model._types import is_generator

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
IN_DOUBT = ("rerun", "probe", "hold")
COMPENSATE_ON = ("started", "succeeded", "probe")
ON_FAILURE = ("finish", "halt", "rollback")
_MEND_NAME = "Use 1 to 100 letters, digits, '_', '.' or '-', beginning with a letter, a digit or '_'"


def fault(code: str, step: str | None, problem: str, mend: str) -> Fault:
    return Fault(code=code, step=step, problem=problem, mend=mend)


def name_faults(name: Any, step: str | None) -> list[Fault]:
    """A step's or a plan's name."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return []
    return [fault("bad_name", step, f"{name!r} is not usable as a name", _MEND_NAME)]


def duplicate_faults(steps: Iterable[Step[Any]]) -> list[Fault]:
    """Names that stand for two steps."""
    seen: dict[str, Step[Any]] = {}
    found = []
    for each in steps:
        if each.name in seen:
            same = seen[each.name] is each
            problem = "is listed twice" if same else "has the name of another step"
            mend = "List it once" if same else "Give one of them another name: @step(name=...)"
            found.append(fault("duplicate_step", each.name, problem, mend))
        seen.setdefault(each.name, each)
    return found


def option_faults(step: Step[Any]) -> list[Fault]:
    """Options that are out of range or contradict each other."""
    return [
        *name_faults(step.name, step.name),
        *_function_faults(step),
        *_value_faults(step),
        *_retry_faults(step),
        *_contradictions(step),
    ]


def _function_faults(step: Step[Any]) -> list[Fault]:
    undo = step.compensation.fn if step.compensation is not None else None
    functions = (("its function", step.fn), ("its compensation", undo), ("its probe", step.probe_fn))
    mend = "Return one value; tell what happens on the way with ctx.progress, ctx.record and ctx.checkpoint"
    return [
        fault("bad_value", step.name, f"{what} has a yield: a call would run nothing of it", mend)
        for what, fn in functions
        if fn is not None and is_generator(fn)
    ]


def _value_faults(step: Any) -> list[Fault]:
    found = []
    undo_timeout = step.compensation.timeout if step.compensation is not None else None
    for option, value, least in (
        ("timeout", step.timeout, None),
        ("compensate(timeout)", undo_timeout, None),
        ("delay", step.delay, None),
        ("weight", step.weight, 0.0),
    ):
        if value is None:
            continue
        if not is_number(value) or (value < 0 if least == 0.0 else value <= 0):
            bound = "at least 0" if least == 0.0 else "greater than 0"
            found.append(fault("bad_value", step.name, f"{option}={value!r} is no usable number", f"Give a number {bound}"))
    for option, choice, known in (
        ("in_doubt", step.in_doubt or "rerun", IN_DOUBT),
        ("compensate_on", step.compensate_on, COMPENSATE_ON),
    ):
        if choice not in known:
            found.append(fault("bad_value", step.name, f"{option}={choice!r} is unknown", f"Say one of {', '.join(known)}"))
    if step.limit is not None and not (isinstance(step.limit, str) and NAME.fullmatch(step.limit)):
        found.append(fault("bad_value", step.name, f"limit={step.limit!r} is not usable as a name", _MEND_NAME))
    if step.when is not None and not callable(step.when):
        found.append(fault("bad_value", step.name, "when= is no function", "Give a function of the plan's input"))
    return found


def _retry_faults(step: Any) -> list[Fault]:
    policies = [("retry", step.retry)]
    if step.compensation is not None:
        policies.append(("compensate(retry)", step.compensation.retry))
    found = []
    for option, policy in policies:
        if not isinstance(policy, Retry):
            found.append(fault("bad_value", step.name, f"{option}={policy!r} is no Retry", "Write Retry(attempts=...)"))
            continue
        found.extend(fault("bad_value", step.name, f"{option}: {each}", "Correct it") for each in policy.faults())
    return found


def _contradictions(step: Step[Any]) -> list[Fault]:
    has_probe = step.probe_fn is not None
    known = (
        (step.transactional and step.is_async, "is transactional and async", "A transactional step must be a plain function"),
        (
            step.irreversible and step.compensation is not None,
            "is irreversible and has a compensation",
            "Drop one of the two: what can be undone is not irreversible",
        ),
        (
            step.in_doubt == "probe" and not has_probe,
            'has in_doubt="probe" and no probe',
            "Declare a probe, or another in_doubt",
        ),
        (
            step.compensate_on == "probe" and not has_probe,
            'has compensate_on="probe" and no probe',
            "Declare a probe, or another compensate_on",
        ),
        (
            step.is_gate and (step.compensation is not None or has_probe),
            "is a gate and has a compensation or a probe",
            "A gate has no effect of its own; put them on a step behind it",
        ),
    )
    return [fault("contradiction", step.name, problem, mend) for holds, problem, mend in known if holds]


def cycle_faults(needs: Mapping[str, tuple[str, ...]]) -> list[Fault]:
    """Cycles among steps, each shown as a path. ``needs`` holds only steps that stand on a cycle or behind one."""
    found, covered = [], set[str]()
    for start in needs:
        cycle = _walk_into_cycle(start, needs, covered)
        if cycle:
            path = " -> ".join([*cycle, cycle[0]])
            found.append(fault("cycle", cycle[0], f"waits for itself: {path} (each needs the next)", "Remove one of these edges"))
    return found


def _walk_into_cycle(start: str, needs: Mapping[str, tuple[str, ...]], covered: set[str]) -> list[str]:
    """Follow needs until a step comes again; nothing when the walk runs into what is known already."""
    path: list[str] = []
    position: dict[str, int] = {}
    name: str | None = start
    while name is not None and name not in covered and name not in position:
        position[name] = len(path)
        path.append(name)
        name = next((need for need in needs[name] if need in needs), None)
    covered.update(path)
    return path[position[name] :] if name is not None and name in position else []
