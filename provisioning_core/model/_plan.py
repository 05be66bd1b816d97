"""A plan: a named, versioned, validated DAG of steps with one typed input."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from provisioning_core.errors import Difference, Fault, InvalidInput, PlanError
from provisioning_core.model._assembly import Assembly
from provisioning_core.model._binding import Binding
from provisioning_core.model._checks import ON_FAILURE, fault, name_faults
from provisioning_core.model._codec import Codec
from provisioning_core.model._graph import Node, PlanGraph
from provisioning_core.model._json_tree import EncodingFault
from provisioning_core.model._preview import preview_of
from provisioning_core.model._status import StepStatus
from provisioning_core.model._step import Step
from provisioning_core.model._views import Preview


class Plan:
    """What can be provisioned: steps as a dependency graph, and one typed input.

    ``on_failure``: ``finish`` (independent branches go on), ``halt`` (nothing new starts) or ``rollback``. Building a plan checks all
    that can be checked without running it; raises PlanError with every fault at once.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "1",
        input: Any = None,  # noqa: A002  the contract's word
        steps: Iterable[Step[Any]],
        on_failure: str = "finish",
        description: str = "",
    ) -> None:
        listed = list(steps)
        assembly = Assembly(input, listed)
        faults = [*_plan_faults(name, version, on_failure, listed), *assembly.faults]
        if faults:
            raise PlanError(faults, plan=name if isinstance(name, str) else repr(name))
        self.name = name
        self.version = str(version)
        self.description = description
        self.on_failure = on_failure
        self.input = input
        self.steps: Mapping[str, Step[Any]] = MappingProxyType(assembly.steps)
        self.graph = PlanGraph(plan=name, version=self.version, on_failure=on_failure, nodes=assembly.nodes())
        assert assembly.input_codec is not None  # noqa: S101  its absence would have been a fault
        self.input_codec: Codec = assembly.input_codec
        self._forward = assembly.forward
        self._compensations = assembly.compensations
        self._probes = assembly.probes
        self._codecs = assembly.codecs

    def __repr__(self) -> str:
        return f"<plan {self.name} version {self.version}, {len(self.steps)} steps>"

    # functions and values

    def forward(self, name: str) -> Binding:
        """The function of a step."""
        return self._forward[name]

    def compensation(self, name: str) -> Binding | None:
        """The function that undoes it, if there is one."""
        return self._compensations.get(name)

    def probe(self, name: str) -> Binding | None:
        """The function that looks for its effect, if there is one."""
        return self._probes.get(name)

    def codec(self, name: str) -> Codec:
        """Stores its outputs."""
        return self._codecs[name]

    @property
    def input_schema(self) -> dict[str, Any] | None:
        """JSON schema of the input; None when the plan takes none."""
        return None if self.input is None else dict(self.input_codec.schema)

    @property
    def has_secrets(self) -> bool:
        """Whether the input or an output holds secrets."""
        return self.input_codec.has_secrets or any(codec.has_secrets for codec in self._codecs.values())

    @property
    def has_transactional(self) -> bool:
        """Whether a step, or a compensation or probe, needs the store's transaction."""
        bindings = (*self._forward.values(), *self._compensations.values(), *self._probes.values())
        return any(step.transactional for step in self.steps.values()) or any(binding.wants_session for binding in bindings)

    @property
    def limits(self) -> frozenset[str]:
        """Names of the limits that its steps are under."""
        return frozenset(step.limit for step in self.steps.values() if step.limit is not None)

    def parse_input(self, value: Any) -> Any:
        """The typed input. Raises InvalidInput; its errors never hold the value."""
        if self.input is None and value is not None:
            raise InvalidInput(f"plan {self.name!r} takes no input.", hint="Leave it out.")
        try:
            typed = self.input_codec.validate(value)
        except ValidationError as error:
            raise InvalidInput(f"the input does not fit plan {self.name!r}.", errors=_errors(error), hint=_summary(error)) from None
        except EncodingFault as refused:
            errors = [{"loc": [refused.path], "msg": refused.problem, "type": "encoding"}]
            raise InvalidInput(f"the input does not fit plan {self.name!r}: {refused}.", errors=errors) from None
        return typed

    def skipped(self, input: Any) -> frozenset[str]:  # noqa: A002  the contract's word
        """Steps whose condition is false for this (typed) input. Raises InvalidInput when a condition raises."""
        return frozenset(step.name for step in self.steps.values() if step.when is not None and not self._holds(step, input))

    def _holds(self, step: Step[Any], typed: Any) -> bool:
        assert step.when is not None  # noqa: S101  only such are asked
        try:
            return bool(step.when(typed))
        except Exception as error:
            raise InvalidInput(
                f"the condition of step {step.name!r} failed on this input ({type(error).__name__}).",
                code="condition_failed",
                hint="Correct the input, or the step's when=.",
            ) from error

    # looking at it

    def preview(self, input: Any = None, *, durations: Mapping[str, float] | None = None) -> Preview:  # noqa: A002  as above
        """What a run would do, without running anything. Without an input no condition is looked at."""
        has_input = input is not None or self.input is None
        skipped = self.skipped(self.parse_input(input)) if has_input else frozenset()
        return preview_of(self.graph, skipped, durations or {})

    def to_mermaid(self, status: Mapping[str, StepStatus] | None = None) -> str:
        """The graph as a Mermaid flowchart."""
        from provisioning_core.model._drawing import to_mermaid

        return to_mermaid(self.graph, status)

    def to_dot(self, status: Mapping[str, StepStatus] | None = None) -> str:
        """The graph in Graphviz's language."""
        from provisioning_core.model._drawing import to_dot

        return to_dot(self.graph, status)

    def to_svg(self, status: Mapping[str, StepStatus] | None = None) -> str:
        """The graph as a picture."""
        from provisioning_core.model._drawing import to_svg

        return to_svg(self.graph, status)

    def to_text(self, status: Mapping[str, StepStatus] | None = None) -> str:
        """The graph for a terminal."""
        from provisioning_core.model._drawing import to_text

        return to_text(self.graph, status)

    def differences(
        self, graph: PlanGraph, finished: Collection[str], is_readable: Callable[[str], bool] = lambda _: False
    ) -> list[Difference]:
        """What this plan changed against a run's graph; blocking where a finished step is lost or its output can't be read.

        ``is_readable`` is asked of a finished step whose output has another schema now.
        """
        old = {node.name: node for node in graph.nodes if not node.retired}
        new = {node.name: node for node in self.graph.nodes}
        found = [Difference(kind="added", step=name) for name in new if name not in old]
        for name, before in old.items():
            after = new.get(name)
            if after is None:
                found.append(Difference(kind="removed", step=name, blocking=name in finished))
            else:
                found.extend(_changes(before, after, is_finished=name in finished, is_readable=is_readable))
        return found


_WATCHED = ("optional", "in_doubt", "compensate_on", "has_compensation", "has_probe", "irreversible", "transactional", "timeout")


def _changes(before: Node, after: Node, *, is_finished: bool, is_readable: Callable[[str], bool]) -> list[Difference]:
    found = []
    if set(before.needs) != set(after.needs):
        found.append(Difference(kind="re-wired", step=after.name, detail=f"needs {', '.join(after.needs) or 'nothing'} now"))
    if before.kind != after.kind:
        found.append(Difference(kind="changed", step=after.name, detail=f"is a {after.kind} now", blocking=is_finished))
    elif before.output_schema != after.output_schema and not (is_finished and is_readable(after.name)):
        found.append(Difference(kind="changed", step=after.name, detail="another output", blocking=is_finished))
    options = [option for option in _WATCHED if getattr(before, option) != getattr(after, option)]
    if options:
        found.append(Difference(kind="changed", step=after.name, detail=", ".join(options)))
    return found


def _plan_faults(name: Any, version: Any, on_failure: Any, steps: list[Any]) -> list[Fault]:
    found = name_faults(name, None)
    if not str(version) or len(str(version)) > 100:
        found.append(fault("bad_value", None, f"version={version!r} is not usable", "Give 1 to 100 characters"))
    if on_failure not in ON_FAILURE:
        found.append(fault("unknown_on_failure", None, f"on_failure={on_failure!r} is unknown", "Say finish, halt or rollback"))
    if not steps:
        found.append(fault("no_steps", None, "a plan without steps provisions nothing", "Give steps=[...]"))
    return found


def _errors(error: ValidationError) -> list[dict[str, Any]]:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return [{"loc": list(each["loc"]), "msg": each["msg"], "type": each["type"]} for each in faults]


def _summary(error: ValidationError) -> str:
    shown = [f"{'.'.join(str(part) for part in each['loc']) or 'input'}: {each['msg']}" for each in _errors(error)[:5]]
    return "; ".join(shown) + "."
