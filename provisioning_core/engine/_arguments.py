"""What callers hand in, checked and made ready to be recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from provisioning_core.errors import InvalidInput, NotFound
from provisioning_core.model import Codec, EncodingFault, Plan, PlanGraph, RunRecord, Step, StepStatus, Vault


def step_name(step: str | Step[Any] | None) -> str:
    """A step by its name or by itself. Raises TypeError for what is neither."""
    if isinstance(step, str):
        return step
    if not isinstance(step, Step):
        raise TypeError(f"name a step, or hand it in itself; {step!r} is neither")
    return step.name


def step_names(steps: str | Step[Any] | Iterable[str | Step[Any]]) -> list[str]:
    """The same for several; one alone is taken, too."""
    return [step_name(steps)] if isinstance(steps, str | Step) else [step_name(step) for step in steps]


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenInput:
    """A run's input, ready to be recorded."""

    text: str
    digest: str
    skipped: frozenset[str]


class Arguments:
    """Knows the plans and the key."""

    def __init__(self, plans: Mapping[str, Plan], vault: Vault | None) -> None:
        self._plans = plans
        self._vault = vault

    def plan(self, name: str) -> Plan:
        """Raises NotFound."""
        try:
            return self._plans[name]
        except KeyError:
            known = ", ".join(sorted(self._plans)) or "none"
            raise NotFound(f"there is no plan {name!r}.", code="plan_not_found", hint=f"Plans here: {known}.") from None

    def plan_of(self, run: RunRecord) -> Plan:
        """The plan of a run that is there. Raises NotFound."""
        return self.plan(run.plan)

    def input(self, plan: Plan, run_id: str, value: Any) -> GivenInput:
        """Validate and encode a run's input. Raises InvalidInput."""
        typed = plan.parse_input(value)
        try:
            text = plan.input_codec.encode(typed, vault=self._vault, bound_to=f"{run_id}/input")
        except EncodingFault as fault:
            raise _refused("input", fault, "invalid_input") from fault
        digest = plan.input_codec.digest(typed, vault=self._vault, text=text)
        return GivenInput(text=text, digest=digest, skipped=plan.skipped(typed))

    def output(self, run: RunRecord, step: str, value: Any) -> str | None:
        """Validate and encode an output given by hand. None where none is given and nobody needs one. Raises InvalidInput."""
        plan = self.plan_of(run)
        codec = self._codec(plan, step)
        if value is None and not self._accepts_none(codec):
            takers = [name for name, taker in plan.steps.items() if not taker.is_gate and step in plan.forward(name).takes]
            takers = [name for name in takers if step not in plan.graph.nodes[plan.graph.index[name]].tolerates]
            if takers:
                raise InvalidInput(
                    f"step {step!r} needs an output: {', '.join(takers)} takes it.",
                    code="invalid_output",
                    hint="Give output=, as the step would have returned it.",
                )
            return None
        return self._encode(codec, value, f"{run.id}/{step}", f"output of {step!r}")

    def payload(self, run: RunRecord, step: str, value: Any) -> str | None:
        """Validate and encode a signal's payload. Raises InvalidInput."""
        codec = self._codec(self.plan_of(run), step)
        if value is None and codec.annotation is Any:
            return None
        return self._encode(codec, value, f"{run.id}/{step}", f"payload for {step!r}")

    def _encode(self, codec: Codec, value: Any, bound_to: str, what: str) -> str:
        try:
            return codec.encode(codec.validate(value), vault=self._vault, bound_to=bound_to)
        except EncodingFault as fault:
            raise _refused(what, fault, "invalid_output") from fault
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            errors = [{"loc": list(fault["loc"]), "msg": fault["msg"], "type": fault["type"]} for fault in faults]
            raise InvalidInput(f"the {what} does not fit.", code="invalid_output", errors=errors) from None

    @staticmethod
    def _codec(plan: Plan, step: str) -> Codec:
        if step not in plan.steps:
            known = ", ".join(list(plan.steps)[:20])
            raise NotFound(f"plan {plan.name!r} has no step {step!r}.", code="step_not_found", hint=f"Its steps: {known}.")
        return plan.codec(step)

    @staticmethod
    def _accepts_none(codec: Codec) -> bool:
        try:
            codec.encode(None)
        except ValueError:
            return False
        return True

    @staticmethod
    def draw(graph: PlanGraph, status: Mapping[str, StepStatus], kind: str) -> str:
        """A drawing of a run's graph. Raises InvalidInput for an unknown kind."""
        from provisioning_core.model import _drawing

        drawers = {"mermaid": _drawing.to_mermaid, "dot": _drawing.to_dot, "svg": _drawing.to_svg, "text": _drawing.to_text}
        if kind not in drawers:
            raise InvalidInput(f"there is no format {kind!r}.", code="unknown_format", hint=f"Formats: {', '.join(drawers)}.")
        return drawers[kind](graph, status)


def _refused(what: str, fault: EncodingFault, code: str) -> InvalidInput:
    errors = [{"loc": [fault.path], "msg": fault.problem, "type": "encoding"}]
    return InvalidInput(f"the {what} can't be stored: {fault}.", code=code, errors=errors)
