"""Puts together what a worker needs for an attempt that the machine decided."""

from __future__ import annotations

from provisioning_core.engine._attempts import Attempt, Key
from provisioning_core.engine._live import LiveRun
from provisioning_core.machine import Launch
from provisioning_core.model import Binding, Direction, Plan, maker

_make_attempt = maker(
    Attempt,
    (
        *("key", "subject", "plan", "direction", "binding", "attempt", "round", "epoch", "deadline_at", "transactional"),
        *("input", "outputs", "output", "resources", "checkpoint", "trace"),
    ),
)


def attempt_for(live: LiveRun, command: Launch) -> Attempt:
    """The attempt, with copies of all that it reads: the run may change while it runs."""
    step, record = command.step, live.record
    binding = _binding(live.plan, step, command.direction)
    outputs = {name: live.output(name) for name in binding.takes} if binding is not None else {}
    output = live.output(step) if command.direction is Direction.COMPENSATE else None
    return _make_attempt(
        Key(record.id, step, command.token),
        record.subject,
        live.plan,
        command.direction,
        binding,
        command.attempt,
        live.machine.cell(step).round,
        record.epoch,
        command.deadline_at,
        _is_transactional(live, step, command.direction, binding),
        live.input,
        outputs,
        output,
        tuple(live.resources.get(step, ())),
        live.checkpoint_of(step),
        record.trace,
    )


def _binding(plan: Plan, step: str, direction: Direction) -> Binding | None:
    if step not in plan.steps:
        return None
    match direction:
        case Direction.FORWARD:
            return plan.forward(step)
        case Direction.COMPENSATE:
            return plan.compensation(step)
        case _:
            return plan.probe(step)


def _is_transactional(live: LiveRun, step: str, direction: Direction, binding: Binding | None) -> bool:
    if binding is None:
        return False
    node = live.graph.nodes[live.graph.index[step]]
    return binding.wants_session or (node.transactional and direction is Direction.FORWARD)
