"""The commands, put together: as the program ``provision``, and as a group for another program."""

from __future__ import annotations

from collections.abc import Callable

import click

from provisioning_cli._app import opener_of, opener_of_reference
from provisioning_cli._face import Face, FaceGroup, json_option
from provisioning_cli.commands import COMMANDS
from provisioning_core import Engine

_HELP = """Provision tenants, watch them, and put right what went wrong.

Your app is where your engine is: module:attribute, an Engine or a function that makes one. A function that takes work= is told
whether the command carries out steps itself. Try `provision demo` first: it needs no app.
"""

_EPILOG = """\b
Exit codes:
  0 done               1 unexpected          2 usage, or an input that does not fit
  3 FAILED             4 not allowed         5 ROLLED_BACK though going forward was asked for
  6 ROLLBACK_FAILED    7 WAITING, PAUSED or set aside: somebody has to act
  8 not found
  9 conflict          10 CANCELLED          75 store unavailable
  124 --timeout      130 Ctrl-C (the run is kept)

\b
Completion, for bash (zsh and fish likewise):
  eval "$(_PROVISION_COMPLETE=bash_source provision)"
"""


def create_group(engine_factory: Callable[..., Engine] | Engine, name: str = "provision") -> click.Group:
    """The commands as a group for your own program: ``your_cli.add_command(create_group(make_engine, "tenants"))``.

    ``engine_factory`` is called when a command needs an engine, with ``work=`` if it takes it: True where the command carries out
    steps, False where it only reads or records. The engine it gives is closed when the command ends.
    """

    @click.group(name=name, cls=FaceGroup, help=_HELP, epilog=_EPILOG.replace("provision)", f"{name})"))
    @json_option
    @click.pass_context
    def group(ctx: click.Context, /, **_: bool) -> None:
        ctx.obj = Face(lambda work: opener_of(engine_factory, "The engine factory")(work), ctx.command_path)

    return _filled(group)


@click.group(name="provision", cls=FaceGroup, help=_HELP, epilog=_EPILOG)
@click.option("--app", envvar="PROVISIONING_APP", show_envvar=True, metavar="MODULE:ATTRIBUTE", help="Where your engine is.")
@click.version_option(package_name="provisioning-core", prog_name="provision")
@json_option
@click.pass_context
def _program(ctx: click.Context, /, app: str | None, **_: bool) -> None:
    ctx.obj = Face(lambda work: opener_of_reference(app)(work), ctx.command_path)


def _filled(group: click.Group) -> click.Group:
    for command in COMMANDS:
        group.add_command(command)
    return group


main = _filled(_program)
"""The program ``provision``."""
