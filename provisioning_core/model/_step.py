"""Declaring steps: ``@step``, its compensation and probe, ``gate``, and ``From``, the edge that carries a value."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import pickle
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypedDict, TypeVar, Unpack, cast, overload

from provisioning_core.model._retry import ONCE, Retry
from provisioning_core.model._types import caller_names, function_of, is_async_function

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class FromMarker:
    """What ``From`` leaves in a signature: the step (or its name) whose output the parameter takes."""

    step: Step[Any] | str

    @property
    def name(self) -> str:
        return self.step.name if isinstance(self.step, Step) else str(self.step)


@overload
def From(step: Step[T]) -> T: ...
@overload
def From(step: str) -> Any: ...
def From(step: Step[Any] | str) -> Any:  # noqa: N802  reads like a type, and type checkers see the step's output
    """The output of another step: ``def seed(db: Database = From(database))``, or ``Annotated[Database, From("database")]``."""
    return FromMarker(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensation:
    """How a step is undone."""

    fn: Callable[..., Any]
    is_async: bool
    retry: Retry
    timeout: float | None
    local_names: Mapping[str, Any]


class Step(Generic[T]):
    """One unit of work; immutable but for its compensation and probe, and usable in many plans. Callable like its function."""

    def __init__(self, fn: Callable[..., Any] | None, *, local_names: Mapping[str, Any], **options: Any) -> None:
        self.fn: Callable[..., Any] = fn if fn is not None else _no_function
        self.is_gate = fn is None
        plain = function_of(fn) if fn is not None else None
        self.is_async = fn is not None and is_async_function(fn)
        self.name = str(options.get("name") or _name_of(fn))
        self.needs: tuple[Any, ...] = _as_tuple(options.get("needs"))
        self.retry: Retry = ONCE if options.get("retry") is None else options["retry"]
        self.timeout: float | None = options.get("timeout")
        self.delay: float | None = options.get("delay")
        self.payload: Any = options.get("payload", Any)
        self.optional: bool = options.get("optional", False)
        self.in_doubt: str | None = options.get("in_doubt")
        self.compensate_on: str = options.get("compensate_on", "started")
        self.irreversible: bool = options.get("irreversible", False)
        self.transactional: bool = options.get("transactional", False)
        self.when: Callable[[Any], bool] | None = options.get("when")
        self.limit: str | None = options.get("limit")
        self.weight: float | None = options.get("weight")
        self.description: str = options.get("description") or _first_line(plain)
        self.user_message: str = options.get("user_message", "")
        self.local_names = local_names
        self.compensation: Compensation | None = None
        self.probe_fn: Callable[..., Any] | None = None
        self.probe_names: Mapping[str, Any] = {}
        self.__name__ = self.name
        self.__doc__ = plain.__doc__ if plain is not None else self.description
        self.__module__ = getattr(plain, "__module__", __name__)
        self.__qualname__ = getattr(fn, "__qualname__", self.name)
        self.__wrapped__ = self.fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself, as a unit test does."""
        return self.fn(*args, **kwargs)

    @overload
    def compensate(self, fn: F, /, *, retry: Retry | None = ..., timeout: float | None = ...) -> F: ...
    @overload
    def compensate(self, *, retry: Retry | None = ..., timeout: float | None = ...) -> Callable[[F], F]: ...
    def compensate(self, fn: Any = None, *, retry: Retry | None = None, timeout: float | None = None) -> Any:
        """Declare how this step is undone. The function may take ``output``: what the step returned, or None if it never did."""
        names = caller_names(2)

        def attach(undo: Any) -> Any:
            self.compensation = Compensation(
                fn=_function(undo, f"{self.name}.compensate"),
                is_async=is_async_function(undo),
                retry=ONCE if retry is None else retry,
                timeout=timeout,
                local_names=names,
            )
            return undo

        return attach if fn is None else attach(fn)

    def probe(self, fn: F, /) -> F:
        """Declare how to ask the outside world whether this step's effect is there: gives its output, or None.

        The probe of a step that returns nothing gives True or False.
        """
        self.probe_names = caller_names(2)
        self.probe_fn = _function(fn, f"{self.name}.probe")
        return fn

    def __repr__(self) -> str:
        return f"<{'gate' if self.is_gate else 'step'} {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """By reference: worker processes import the module that declares it."""
        try:
            found = _found(self.__module__, self.__qualname__)
        except (ImportError, AttributeError):
            found = None
        if found is not self:
            raise pickle.PicklingError(
                f"step {self.name!r} can't be found as {self.__module__}.{self.__qualname__}; "
                "on worker processes a step must stand at the top level of a module"
            )
        return _found, (self.__module__, self.__qualname__)


class StepOptions(TypedDict, total=False):
    """What ``@step`` may be told."""

    name: str | None
    needs: Iterable[Step[Any] | str]
    retry: Retry | None
    timeout: float | None
    optional: bool
    in_doubt: str | None
    compensate_on: str
    irreversible: bool
    transactional: bool
    when: Callable[[Any], bool] | None
    limit: str | None
    weight: float | None
    description: str
    user_message: str


@overload
def step(fn: Callable[..., Coroutine[Any, Any, T]], /, **options: Unpack[StepOptions]) -> Step[T]: ...
@overload
def step(fn: Callable[..., T], /, **options: Unpack[StepOptions]) -> Step[T]: ...
@overload
def step(**options: Unpack[StepOptions]) -> _Decorator: ...
def step(fn: Any = None, /, **options: Any) -> Any:
    """Declare a step. Seconds are floats. Raises TypeError for an option that there is not.

    ``needs``: steps that must be done before, without handing anything over. ``retry``: attempts and backoff (one attempt
    without). ``timeout``: seconds for one attempt. ``optional``: its failure is a warning. ``in_doubt``: what to do when an
    attempt's outcome is unknown (``rerun``, ``probe``, ``hold``). ``compensate_on``: whether a half-done state is undone
    (``started``, ``succeeded``, ``probe``). ``irreversible``: a rollback does not cross it unless forced. ``transactional``: its
    writes and its completion commit together. ``when``: a condition on the input. ``limit``: a name under which the engine
    limits attempts at once. ``weight``: its share of the progress. ``user_message``: what the product's user reads when it fails.
    """
    names = caller_names(2)
    _refuse_unknown(options)

    def declare(function: Any) -> Step[Any]:
        return Step(_function(function, "step"), local_names=names, **options)

    return declare if fn is None else declare(fn)


class _Decorator(Protocol):
    """The type of ``step(...)``: keeps the function's return type."""

    @overload
    def __call__(self, fn: Callable[..., Coroutine[Any, Any, T]], /) -> Step[T]: ...
    @overload
    def __call__(self, fn: Callable[..., T], /) -> Step[T]: ...


def gate(
    name: str,
    *,
    needs: Iterable[Step[Any] | str] = (),
    timeout: float | None = None,
    delay: float | None = None,
    optional: bool = False,
    when: Callable[[Any], bool] | None = None,
    payload: Any = Any,
    description: str = "",
    user_message: str = "",
) -> Step[Any]:
    """A step that waits for a signal, or ``delay`` seconds; without either in ``timeout`` seconds it fails.

    ``payload`` is the type of what the signal carries, which is the gate's output.
    """
    return Step(
        None,
        local_names={},
        name=name,
        needs=needs,
        timeout=timeout,
        delay=delay,
        optional=optional,
        when=when,
        payload=payload,
        description=description,
        user_message=user_message,
    )


def _found(module: str, qualname: str) -> Step[Any]:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return cast("Step[Any]", found)


def _as_tuple(needs: Any) -> tuple[Any, ...]:
    if needs is None:
        return ()
    return tuple(needs) if isinstance(needs, Iterable) and not isinstance(needs, str) else (needs,)


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    known = StepOptions.__annotations__
    for option in options:
        if option not in known:
            near = difflib.get_close_matches(option, known, n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise TypeError(f"@step has no option {option!r}; {mend}")


def _function(fn: Any, what: str) -> Any:
    if not callable(fn):
        raise TypeError(f"@{what} is put on a function, or takes options by their names; it was given {repr(fn)[:50]}")
    return fn


def _name_of(fn: Any) -> str:
    """A function's name; a partial's, that of its function; of an object, that of its class."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return "" if fn is None else str(getattr(fn, "__name__", type(fn).__name__))


def _first_line(fn: Callable[..., Any] | None) -> str:
    return (inspect.getdoc(fn) or "").partition("\n")[0] if fn is not None else ""


def _no_function(*_: Any, **__: Any) -> Any:
    raise TypeError("a gate has no function; it opens on a signal")
