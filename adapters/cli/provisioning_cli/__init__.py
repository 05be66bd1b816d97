"""The CLI face: the ``provision`` command, and the same commands as a group for a product's own CLI."""

from provisioning_core import MissingExtra

try:
    import click as _click  # noqa: F401 - asked for first, so that a missing extra is named
    import rich as _rich  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtra("cli", "The command line") from error

from provisioning_cli._exit import Asked, ExitCode, code_of_error, code_of_run
from provisioning_cli._explain import explain
from provisioning_cli._group import create_group, main

__all__ = ["Asked", "ExitCode", "code_of_error", "code_of_run", "create_group", "explain", "main"]
