"""Find the app: ``module:attribute`` is an engine, or a function that makes one."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from provisioning_core import Engine, ProvisioningError

Opener: TypeAlias = Callable[[bool], Engine]
"""``opener(work)`` gives the engine; ``work`` is False for commands that only read or record."""

_EXAMPLE = "such as --app myproduct.provisioning:engine, or PROVISIONING_APP=myproduct.provisioning:engine"


def opener_of_reference(reference: str | None) -> Opener:
    """Load the app named on the command line or in the environment, when it is asked for."""
    if not reference:
        raise click.UsageError(f"This command needs your app. Say where your engine is, {_EXAMPLE}. `provision demo` needs none.")
    return opener_of(_load(reference), reference)


def opener_of(target: Any, name: str) -> Opener:
    """An engine, or a function that makes one, as an opener. The function gets ``work=`` if it takes it."""
    if isinstance(target, Engine):
        return lambda _work: target
    if not callable(target):
        raise click.UsageError(f"{name} is a {type(target).__name__}; it must be an Engine or a function that gives one.")
    takes_work = _takes_work(target)
    return lambda work: _make(target, name, {"work": work} if takes_work else {})


def _make(factory: Callable[..., Any], name: str, arguments: dict[str, Any]) -> Engine:
    try:
        made = factory(**arguments)
    except (ProvisioningError, click.ClickException, PermissionError):  # the app may say who may use it
        raise
    except Exception as error:
        raise click.UsageError(f"{name} could not make an engine: {type(error).__name__}: {error}. Mend the function.") from error
    if not isinstance(made, Engine):
        raise click.UsageError(f"{name} gave a {type(made).__name__}; it must give an Engine.")
    return made


def _takes_work(factory: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):
        return False
    return "work" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def _load(reference: str) -> Any:
    module_name, colon, path = reference.partition(":")
    if not (module_name and colon and path):
        raise click.UsageError(f"{reference!r} does not name an app. Say module:attribute, {_EXAMPLE}.")
    _find_modules_here()
    module = _import(module_name, reference)
    target: Any = module
    for part in path.split("."):
        if not hasattr(target, part):
            raise click.UsageError(
                f"{module_name} has no {path!r}. Name the engine in it, or the function that makes it, {_EXAMPLE}."
            )
        target = getattr(target, part)
    return target


def _find_modules_here() -> None:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def _import(module_name: str, reference: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except (ProvisioningError, PermissionError):  # the app may say who may use it
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            where = "Run the command where the module can be imported (the current directory is searched first), or install it."
            raise click.UsageError(f"There is no module {module_name!r} (app {reference!r}). {where}") from error
        raise click.UsageError(f"The app {reference!r} imports {error.name!r}, which is not installed. Install it.") from error
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise click.UsageError(f"The app {reference!r} could not be imported: {told}. Mend the module, then try again.") from error
