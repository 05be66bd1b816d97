"""Puts a plan together: reads every function, binds its parameters, orders the steps, and collects all that is wrong on the way."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from provisioning_core.errors import Fault
from provisioning_core.model import _checks
from provisioning_core.model._binding import Binding, Parameter, parameters_of, role_of
from provisioning_core.model._checks import fault
from provisioning_core.model._codec import Codec
from provisioning_core.model._graph import Node
from provisioning_core.model._retry import ONCE
from provisioning_core.model._step import FromMarker, Step
from provisioning_core.model._types import Unreadable, accepts_none, fits, is_async_function, members, shown, unwrapped

_WHOSE = {"forward": "", "compensation": "its compensation's ", "probe": "its probe's "}


class Assembly:
    """One plan in the making. ``faults`` is complete when it has been made; the rest is usable only if there are none."""

    def __init__(self, plan_input: Any, steps: Sequence[Any]) -> None:
        self.faults: list[Fault] = []
        self._input = plan_input
        self._codecs: dict[Any, Codec | str] = {}
        self.steps: dict[str, Step[Any]] = self._collect(steps)
        self.returns: dict[str, Any] = {}
        self.forward: dict[str, Binding] = {}
        self.compensations: dict[str, Binding] = {}
        self.probes: dict[str, Binding] = {}
        self.codecs: dict[str, Codec] = {}
        self._tolerated: dict[str, dict[str, bool]] = {}
        self._needs: dict[str, tuple[str, ...]] = {}
        self._later: list[tuple[Step[Any], str, Parameter]] = []
        self.input_codec = self.codec_for(plan_input, None, "the plan's input") if plan_input is not None else Codec(None)
        for each in self.steps.values():
            self._read(each)
        self._check_edges()
        self.order = self._ordered()
        self._check_undo_edges()

    # steps

    def _collect(self, steps: Sequence[Any]) -> dict[str, Step[Any]]:
        real = [each for each in steps if isinstance(each, Step)]
        for each in steps:
            if not isinstance(each, Step):
                name = getattr(each, "__name__", repr(each)[:50])
                self.faults.append(fault("bad_value", None, f"steps= holds {name!r}, which is no step", "Decorate it with @step"))
        self.faults.extend(_checks.duplicate_faults(real))
        found: dict[str, Step[Any]] = {}
        for each in real:
            found.setdefault(each.name, each)
        return found

    def _read(self, step: Step[Any]) -> None:
        self.faults.extend(_checks.option_faults(step))
        self._tolerated[step.name] = {}
        if step.is_gate:
            self.returns[step.name] = step.payload
        else:
            self._bind(step, "forward", step.fn, step.local_names, step.is_async)
        undo = step.compensation
        if undo is not None:
            self._bind(step, "compensation", undo.fn, undo.local_names, undo.is_async)
        if step.probe_fn is not None:
            self._bind(step, "probe", step.probe_fn, step.probe_names, is_async_function(step.probe_fn))
        codec = self.codec_for(self.returns.get(step.name, Any), step.name, "what it returns")
        if codec is not None:
            self.codecs[step.name] = codec
        self._needs[step.name] = self._all_needs(step)

    def codec_for(self, annotation: Any, step: str | None, what: str) -> Codec | None:
        """One codec for each type; None, and a fault, when there can be none."""
        codec = self._codec_of(annotation)
        if isinstance(codec, str):
            problem = f"{what} can't be stored as JSON: {shown(annotation)} ({codec})"
            self.faults.append(fault("not_serialisable", step, problem, "Use a pydantic model, a dataclass or JSON's own types"))
            return None
        for field in codec.one_way:
            problem = f"{what} can't be read again once it is stored: {shown(annotation)}: {field}"
            self.faults.append(
                fault("not_serialisable", step, problem, "Give the field one alias for both, or validate_by_name=True")
            )
        return codec

    def _codec_of(self, annotation: Any) -> Codec | str:
        try:
            if annotation not in self._codecs:
                self._codecs[annotation] = _codec(annotation)
            return self._codecs[annotation]
        except TypeError:
            return _codec(annotation)

    # parameters

    def _bind(self, step: Step[Any], kind: str, fn: Callable[..., Any], names: Mapping[str, Any], is_async: bool) -> None:
        try:
            parameters, returns = parameters_of(fn, names)
        except Unreadable as error:
            mend = "Import it where the step is declared, outside `if TYPE_CHECKING:`"
            self.faults.append(fault("unreadable_annotation", step.name, f"{_WHOSE[kind]}annotations can't be read: {error}", mend))
            return
        if kind == "forward":
            self.returns[step.name] = returns
        elif kind == "probe":
            self._check_probe(step, returns)
        roles = {each.name: self._role(step, kind, each) for each in parameters}

        def having(role: str) -> tuple[str, ...]:
            return tuple(name for name, its in roles.items() if its == role)

        binding = Binding(
            fn=fn,
            is_async=is_async,
            from_steps={each.name: each.marker.name for each in parameters if each.marker is not None},
            inputs=having("input"),
            contexts=having("context"),
            sessions=having("session"),
            takes_output="output" in roles.values(),
        )
        {"forward": self.forward, "compensation": self.compensations, "probe": self.probes}[kind][step.name] = binding

    def _role(self, step: Step[Any], kind: str, parameter: Parameter) -> str:
        role = role_of(parameter, self._input, is_compensation=kind == "compensation")
        where = f"{_WHOSE[kind]}parameter {parameter.name!r}"
        if parameter.is_positional_only:
            self.faults.append(fault("unbound_parameter", step.name, f"{where} is positional only", "Drop the '/'"))
        elif role == "unbound":
            self.faults.append(fault("unbound_parameter", step.name, f"nobody can supply {where}{_typed(parameter)}", self._mend()))
        elif role == "async_session":
            self.faults.append(fault("contradiction", step.name, f"{where} is an AsyncSession", "Use sqlalchemy.orm.Session"))
        elif role == "session" and kind == "forward" and not step.transactional:
            mend = "Declare the step transactional=True, or open a session of its own"
            self.faults.append(fault("contradiction", step.name, f"{where} is a Session, and the step is not transactional", mend))
        elif role == "from":
            self._later.append((step, kind, parameter))
        elif role == "output":
            self._check_output(step, parameter)
        return role

    def _check_probe(self, step: Step[Any], found: Any) -> None:
        """What it finds takes the place of what the step would have returned; of a step that returns nothing, only whether."""
        returns = self.returns.get(step.name, Any)
        if not _is_nothing(returns) and not _fits_but_for_none(found, returns):
            problem = f"its probe gives {shown(found)}, and the step gives {shown(returns)}"
            self.faults.append(fault("type_mismatch", step.name, problem, "Let the probe give the step's output, or None"))

    def _check_output(self, step: Step[Any], parameter: Parameter) -> None:
        returns = self.returns.get(step.name, Any)
        if not _fits_but_for_none(returns, parameter.annotation):
            problem = (
                f"its compensation's parameter 'output' wants {shown(parameter.annotation)}, and the step gives {shown(returns)}"
            )
            self.faults.append(fault("type_mismatch", step.name, problem, "Annotate it as what the step returns, or None"))

    def _mend(self) -> str:
        given = "the plan's input" if self._input is None else f"the plan's input ({shown(self._input)})"
        return f"Annotate it with StepContext or {given}, take another step's output with From(step), or give it a default"

    # edges

    def _all_needs(self, step: Step[Any]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for need in step.needs:
            if (name := self._resolved(step, need)) is not None:
                found[name] = None
                self._tolerated[step.name].setdefault(name, True)
        binding = self.forward.get(step.name)
        for name in binding.takes if binding is not None else ():
            found[name] = None
        return tuple(found)

    def _resolved(self, step: Step[Any], need: Any) -> str | None:
        if isinstance(need, FromMarker):
            need = need.step
        if isinstance(need, Step):
            return self._known(step, need.name, need)
        if isinstance(need, str):
            return self._known(step, need, None)
        mend = "Give steps, or names of steps"
        self.faults.append(fault("bad_value", step.name, f"needs= holds {repr(need)[:50]}, which is no step", mend))
        return None

    def _known(self, step: Step[Any], name: str, wanted: Step[Any] | None) -> str | None:
        there = self.steps.get(name)
        if there is None:
            self.faults.append(fault("missing_step", step.name, f"needs {name!r}, which is not in the plan", "Add it to steps="))
            return None
        if wanted is not None and there is not wanted:
            problem = f"needs a step {name!r}, and the plan has another one of that name"
            self.faults.append(fault("missing_step", step.name, problem, "Add the one it means to steps=, under a name of its own"))
        return name

    def _check_edges(self) -> None:
        for step, kind, parameter in self._later:
            if kind == "forward" and (name := self._known_source(step, parameter)) is not None:
                self._check_fit(step, kind, parameter, name)
                tolerates = self._tolerated[step.name]
                tolerates[name] = tolerates.get(name, True) and accepts_none(parameter.annotation)
        self._needs = {name: tuple(need for need in needs if need in self.steps) for name, needs in self._needs.items()}

    def _known_source(self, step: Step[Any], parameter: Parameter) -> str | None:
        assert parameter.marker is not None  # noqa: S101  only such were kept for later
        source: Any = parameter.marker.step
        if isinstance(source, Step):
            return self._known(step, source.name, source)
        if not isinstance(source, str):
            mend = "Write From(step) or From('its name')"
            self.faults.append(fault("bad_value", step.name, f"From() in {parameter.name!r} names no step", mend))
            return None
        return self._known(step, source, None)

    def _check_fit(self, step: Step[Any], kind: str, parameter: Parameter, source: str) -> None:
        given = self.returns.get(source, Any)
        if given is None:
            given = type(None)
        wanted = parameter.annotation
        if not fits(given, wanted):
            where = f"{_WHOSE[kind]}parameter {parameter.name!r}"
            problem = f"{where} wants {shown(unwrapped(wanted))}, and step {source!r} gives {shown(given)}"
            self.faults.append(fault("type_mismatch", step.name, problem, "Make the two annotations agree"))

    def _check_undo_edges(self) -> None:
        """A compensation or a probe may take outputs of what its step stands behind: those are there as long as it is."""
        for step, kind, parameter in self._later:
            if kind == "forward" or (name := self._known_source(step, parameter)) is None:
                continue
            self._check_fit(step, kind, parameter, name)
            if name not in self._ancestors(step.name):
                problem = f"{_WHOSE[kind]}parameter {parameter.name!r} takes from {name!r}, which the step does not need"
                self.faults.append(fault("missing_step", step.name, problem, f"Add needs=[{name}] to the step"))

    def _ancestors(self, name: str) -> set[str]:
        todo, seen = list(self._needs[name]), set[str]()
        while todo:
            need = todo.pop()
            if need not in seen:
                seen.add(need)
                todo.extend(self._needs[need])
        return seen

    # order

    def _ordered(self) -> list[str]:
        """Topological, and otherwise as declared."""
        unmet = {name: len(needs) for name, needs in self._needs.items()}
        dependents: dict[str, list[str]] = {name: [] for name in self._needs}
        for name, needs in self._needs.items():
            for need in needs:
                dependents[need].append(name)
        ready = deque(name for name, count in unmet.items() if count == 0)
        order = []
        while ready:
            name = ready.popleft()
            order.append(name)
            for dependent in dependents[name]:
                unmet[dependent] -= 1
                if unmet[dependent] == 0:
                    ready.append(dependent)
        left = {name: self._needs[name] for name, count in unmet.items() if count > 0}
        self.faults.extend(_checks.cycle_faults(left))
        return order

    def nodes(self) -> tuple[Node, ...]:
        """The graph's nodes; only when there are no faults."""
        return tuple(self._node(self.steps[name]) for name in self.order)

    def _node(self, step: Step[Any]) -> Node:
        undo = step.compensation
        needs = self._needs[step.name]
        tolerated = self._tolerated[step.name]
        return Node(
            name=step.name,
            kind="gate" if step.is_gate else "step",
            needs=needs,
            tolerates=tuple(need for need in needs if tolerated.get(need, True)),
            retry=step.retry,
            timeout=_seconds(step.timeout),
            delay=_seconds(step.delay),
            optional=step.optional,
            conditional=step.when is not None,
            in_doubt=step.in_doubt or ("probe" if step.probe_fn is not None else "rerun"),
            compensate_on=step.compensate_on,
            has_compensation=undo is not None,
            compensation_retry=undo.retry if undo is not None else ONCE,
            compensation_timeout=_seconds(undo.timeout) if undo is not None else None,
            has_probe=step.probe_fn is not None,
            irreversible=step.irreversible,
            transactional=step.transactional,
            limit=step.limit,
            weight=_seconds(step.weight),
            description=step.description,
            user_message=step.user_message,
            output_schema=self.codecs[step.name].schema_digest,
        )


def _is_nothing(annotation: Any) -> bool:
    return members(annotation) == (type(None),)


def _fits_but_for_none(given: Any, wanted: Any) -> bool:
    return all(fits(member, wanted) for member in members(given) if member is not type(None))


def _seconds(value: float | None) -> float | None:
    return None if value is None else float(value)


def _typed(parameter: Parameter) -> str:
    return "" if parameter.annotation is inspect.Parameter.empty else f" ({shown(parameter.annotation)})"


def _codec(annotation: Any) -> Codec | str:
    """Or why there can be none."""
    try:
        return Codec(annotation)
    except Exception as error:  # noqa: BLE001  pydantic raises many kinds; all of them mean that it can't
        return (str(error) or type(error).__name__).partition("\n")[0][:200]
