"""Which value each parameter of a step's function gets, decided once, when the plan is built.

Nothing is bound by a parameter's name, except ``output`` in a compensation.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from provisioning_core.model._context import StepContext
from provisioning_core.model._step import FromMarker
from provisioning_core.model._types import annotations_of, is_a, is_async_session, is_session, members, unwrapped

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a function."""

    name: str
    annotation: Any
    """``Parameter.empty`` when there is none."""
    marker: FromMarker | None
    has_default: bool
    is_positional_only: bool


def parameters_of(fn: Callable[..., Any], local_names: Mapping[str, Any]) -> tuple[list[Parameter], Any]:
    """The function's parameters and what it returns (Any, if it doesn't say). Raises Unreadable."""
    hints = annotations_of(fn, local_names)
    supplied = fn.keywords if isinstance(fn, functools.partial) else {}
    found = []
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.kind in _VARIADIC or parameter.name in supplied:
            continue
        annotation = hints.get(parameter.name, inspect.Parameter.empty)
        marker = _marker(parameter.default, annotation)
        found.append(
            Parameter(
                name=parameter.name,
                annotation=annotation,
                marker=marker,
                has_default=parameter.default is not inspect.Parameter.empty and not isinstance(parameter.default, FromMarker),
                is_positional_only=parameter.kind is inspect.Parameter.POSITIONAL_ONLY,
            )
        )
    return found, hints.get("return", Any)


def _marker(default: Any, annotation: Any) -> FromMarker | None:
    if isinstance(default, FromMarker):
        return default
    if get_origin(annotation) is Annotated:
        return next((each for each in get_args(annotation)[1:] if isinstance(each, FromMarker)), None)
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A function and where each of its arguments comes from."""

    fn: Callable[..., Any]
    is_async: bool
    from_steps: Mapping[str, str]
    """Parameter to the step whose output it takes."""
    inputs: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    takes_output: bool = False

    @property
    def takes(self) -> tuple[str, ...]:
        """The steps whose outputs it takes."""
        return tuple(dict.fromkeys(self.from_steps.values()))

    @property
    def wants_session(self) -> bool:
        return bool(self.sessions)

    @property
    def wants_context(self) -> bool:
        return bool(self.contexts)

    def arguments(
        self,
        *,
        input: Any,  # noqa: A002  the contract's word
        context: Any,
        outputs: Mapping[str, Any],
        session: Any = None,
        output: Any = None,
    ) -> dict[str, Any]:
        """The keyword arguments of one call. A step that is not in ``outputs`` delivered nothing: None."""
        found = {name: outputs.get(step) for name, step in self.from_steps.items()}
        found.update(dict.fromkeys(self.inputs, input))
        found.update(dict.fromkeys(self.contexts, context))
        found.update(dict.fromkeys(self.sessions, session))
        if self.takes_output:
            found["output"] = output
        return found


def is_input(annotation: Any, plan_input: Any) -> bool:
    """Whether the plan's input fits a parameter of this type: the model itself, or a base class of it; also where None would do."""
    wanted = [member for member in members(annotation) if member not in (inspect.Parameter.empty, Any, object)]
    if plan_input is None or not wanted:
        return False
    if unwrapped(annotation) == unwrapped(plan_input):
        return True
    return all(any(is_a(given, member) for member in wanted) for given in members(plan_input))


def is_context(annotation: Any) -> bool:
    return any(is_a(member, StepContext) for member in members(annotation))


def role_of(parameter: Parameter, plan_input: Any, *, is_compensation: bool) -> str:
    """What a parameter gets: ``from context session async_session output input default unbound``."""
    annotation = parameter.annotation
    known = {
        "from": parameter.marker is not None,
        "context": is_context(annotation),
        "async_session": is_async_session(annotation),
        "session": is_session(annotation),
        "output": is_compensation and parameter.name == "output",
        "input": is_input(annotation, plan_input),
        "default": parameter.has_default,
    }
    return next((role for role, holds in known.items() if holds), "unbound")
