"""What a function's annotations say, also where they are written as strings and name what is local to another function."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin


class Unreadable(Exception):
    """An annotation names something that can't be found."""


def caller_names(depth: int) -> dict[str, Any]:
    """The local names of the frame ``depth`` calls up: where a step is declared inside a function."""
    frame = sys._getframe(depth)  # noqa: SLF001  there is no public way to the caller's locals but inspect's slower one
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def function_of(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function that a decorator, a partial or an object that can be called stands for."""
    plain = inspect.unwrap(fn)
    while isinstance(plain, functools.partial):
        plain = inspect.unwrap(plain.func)
    return plain if inspect.isroutine(plain) or isinstance(plain, type) else type(plain).__call__


def is_async_function(fn: Callable[..., Any]) -> bool:
    """Whether a call of it has to be awaited."""
    return any(inspect.iscoroutinefunction(each) for each in (fn, type(fn).__call__))


def is_generator(fn: Callable[..., Any]) -> bool:
    """Whether a call of it would run nothing, but make something to be iterated."""
    return any(inspect.isgeneratorfunction(each) or inspect.isasyncgenfunction(each) for each in (fn, type(fn).__call__))


def annotations_of(fn: Callable[..., Any], local_names: Mapping[str, Any]) -> dict[str, Any]:
    """The function's annotations, resolved, ``Annotated`` kept. Raises Unreadable."""
    plain = function_of(fn)
    try:
        return typing.get_type_hints(plain, localns=dict(local_names) or None, include_extras=True)
    except NameError as error:
        raise Unreadable(f"{error.name!r} can't be found") from error
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def unwrapped(annotation: Any) -> Any:
    """The type inside ``Annotated``."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType)


def accepts_none(annotation: Any) -> bool:
    """Whether None fits."""
    plain = unwrapped(annotation)
    if plain in (Any, None, type(None), object):
        return True
    return is_union(plain) and any(accepts_none(member) for member in get_args(plain))


def members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type that it is."""
    plain = unwrapped(annotation)
    if is_union(plain):
        return tuple(inner for member in get_args(plain) for inner in members(member))
    return (type(None) if plain is None else plain,)


def is_a(given: Any, wanted: Any) -> bool:
    """Whether every value of one type surely is one of the other; False when that can't be told."""
    if given == wanted:
        return True
    try:
        return isinstance(given, type) and isinstance(wanted, type) and issubclass(given, wanted)
    except TypeError:  # a TypedDict, or a protocol with attributes
        return False


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value annotated ``given`` can be handed to a parameter annotated ``wanted``; True when that can't be told."""
    given, wanted = unwrapped(given), unwrapped(wanted)
    if wanted in (Any, object, inspect.Parameter.empty) or given is Any or given == wanted:
        return True
    if isinstance(given, typing.TypeVar) or isinstance(wanted, typing.TypeVar):
        return True
    if is_union(given):
        return all(fits(member, wanted) for member in get_args(given))
    if is_union(wanted):
        return any(fits(given, member) for member in get_args(wanted))
    return _classes_fit(given, wanted)


def _classes_fit(given: Any, wanted: Any) -> bool:
    given_class, wanted_class = get_origin(given) or given, get_origin(wanted) or wanted
    if given is None or wanted is None:
        return given in (None, type(None)) and wanted in (None, type(None))
    if not isinstance(given_class, type) or not isinstance(wanted_class, type):
        return True
    if wanted_class is float and given_class is int:
        return True
    if not _is_subclass(given_class, wanted_class):
        return False
    pairs = zip(get_args(given), get_args(wanted), strict=False)
    same_shape = len(get_args(given)) == len(get_args(wanted))
    return not same_shape or all(fits(left, right) for left, right in pairs if left is not ... and right is not ...)


def _is_subclass(given: type, wanted: type) -> bool:
    try:
        return issubclass(given, wanted)
    except TypeError:
        return True


def is_session(annotation: Any) -> bool:
    """Whether it is SQLAlchemy's ``Session``, or that or None; told by name, so that nothing is imported."""
    return any(_is_sqlalchemy(member, "Session") for member in members(annotation))


def is_async_session(annotation: Any) -> bool:
    return any(_is_sqlalchemy(member, "AsyncSession") for member in members(annotation))


def _is_sqlalchemy(member: Any, name: str) -> bool:
    bases = member.__mro__ if isinstance(member, type) else ()
    return any(base.__name__ == name and base.__module__.startswith("sqlalchemy.") for base in bases)


def shown(annotation: Any) -> str:
    """An annotation as people write it."""
    plain = unwrapped(annotation)
    return plain.__name__ if isinstance(plain, type) and not get_args(plain) else str(plain).replace("typing.", "")
