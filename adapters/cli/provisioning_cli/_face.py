"""What every command shares: how to get an engine, the common options, and how errors end a command."""

from __future__ import annotations

import functools
import getpass
import os
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

import click

from provisioning_cli._app import Opener
from provisioning_cli._exit import ExitCode
from provisioning_cli._problems import Failure, Problem, problem_of
from provisioning_cli._streams import stdout_for_data
from provisioning_cli._text import clean
from provisioning_core import Engine, ProvisioningError

F = TypeVar("F", bound=Callable[..., Any])

GRACE = 10.0
"""Seconds that steps under way get to end when a command lets go of its engine."""


@dataclass(frozen=True, slots=True)
class Face:
    """How the commands get an engine, and what they are called in messages."""

    opener: Opener
    program: str = "provision"

    @contextmanager
    def engine(self, *, work: bool = False, takes: Literal["all", "asked"] = "asked", grace: float = GRACE) -> Iterator[Engine]:
        """An engine, closed afterwards: steps under way get ``grace`` seconds, none after a Ctrl-C that nobody took.

        It works on what the command is about; other runs are for workers (``takes="all"``), which stay. Without ``work`` it carries
        out nothing, also where its maker could not be told so: a closed engine only reads and records.
        """
        engine = self.opener(work)
        try:
            if work:
                engine.open(takes=takes)
            else:
                engine.close()
            yield engine
        except KeyboardInterrupt:
            grace = 0.0
            raise
        finally:
            engine.close(timeout=grace)


def pass_face(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hand the face to a command, as its first argument."""
    return click.make_pass_decorator(Face)(function)


def json_option(function: F) -> F:
    """``--json``; before the command's name it means the same."""
    told = "One JSON document on stdout, errors as JSON on stderr, and nothing else."
    return click.option("--json", "as_json", is_flag=True, callback=_or_inherited, help=told)(function)


def _or_inherited(ctx: click.Context, _: click.Parameter, value: bool) -> bool:
    return value or _inherits_json(ctx.parent)


def _inherits_json(parent: click.Context | None) -> bool:
    return parent is not None and (bool(parent.params.get("as_json")) or _inherits_json(parent.parent))


_run_id = click.option("--run-id", metavar="ID", help="Act on this run instead of the subject's latest.")


def run_argument(function: F) -> F:
    """``[SUBJECT] [--run-id ID]``: the subject's latest run, or one run by its id."""
    subject = click.argument("subject", required=False)

    @functools.wraps(function)
    def checked(*arguments: Any, subject: str | None, run_id: str | None, **options: Any) -> Any:
        if subject is None and run_id is None:
            raise click.UsageError("Name a SUBJECT (the tenant's id), or a run by --run-id.")
        return function(*arguments, subject=subject, run_id=run_id, **options)

    return subject(_run_id(checked))  # type: ignore[return-value]  # click's decorators keep the signature at run time only


def step_arguments(function: F) -> F:
    """``SUBJECT STEP [--run-id ID]``: a step of the subject's latest run, or of one run by its id."""
    return click.argument("subject")(click.argument("step")(_run_id(function)))


def positive(_: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A positive, finite number of seconds, or a usage error."""
    if value is not None and not 0 < value < float("inf"):
        raise click.BadParameter(f"{value:g} is not a number of seconds greater than 0, such as 30 or 2.5.", param=param)
    return value


def seconds_option(name: str, told: str, *, default: float | None = None) -> Callable[[F], F]:
    """An option of so many seconds."""
    return click.option(
        name, type=float, metavar="SECONDS", callback=positive, default=default, show_default=default is not None, help=told
    )


def watch_options(function: F) -> F:
    """``--detach`` and ``--timeout``."""
    detach = click.option("--detach", is_flag=True, help="Return when the request is recorded; a worker carries it out.")
    timeout = seconds_option("--timeout", "Stop watching after so many seconds (exit code 124); the run is kept.")
    return detach(timeout(function))


def by_options(function: F) -> F:
    """``--actor`` and ``--reason``, kept in the run's history."""
    actor = click.option("--actor", default=login_name, show_default="your login name", help="Who asks for it.")
    reason = click.option("--reason", help="Why, in a sentence.")
    return actor(reason(function))


def login_name() -> str | None:
    """Who is logged in, if the system knows."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


class _TellsErrors:
    """Turns whatever a command raises into a message and an exit code. Made for click's commands and groups."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        as_json = wants_json(args) or _inherits_json(parent)
        try:
            _must_be_text(args)
            return super().make_context(info_name, args, parent, **extra)  # type: ignore[misc,no-any-return]  # click's, behind this
        except click.UsageError as error:
            _raise_as_json(error, as_json=as_json)

    def invoke(self, ctx: click.Context) -> Any:
        as_json = bool(ctx.params.get("as_json"))
        try:
            return super().invoke(ctx)  # type: ignore[misc]  # click's, behind this
        except Failure:
            raise
        except click.UsageError as error:
            _raise_as_json(error, as_json=as_json)
        except (click.Abort, KeyboardInterrupt) as error:
            problem = Problem(code="interrupted", message="Interrupted. Nothing more was done.", exit_code=ExitCode.DETACHED)
            raise Failure(problem, as_json=as_json) from error
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # click ends quietly when nobody reads any more
        except Exception as error:
            # The border of the program: what nobody foresaw still ends with a message and a code.
            if not isinstance(error, ProvisioningError) and os.environ.get("PROVISIONING_DEBUG"):
                traceback.print_exception(error)
            raise Failure(problem_of(error), as_json=as_json) from error


def _must_be_text(words: Sequence[str]) -> None:
    for word in words:
        if _HALF.search(word):  # how Python keeps a byte that it can't decode
            raise click.UsageError(f"{clean(word)!r} is not text in UTF-8.")


_HALF = re.compile(r"[\ud800-\udfff]")


class FaceCommand(_TellsErrors, click.Command):
    """A command of this face."""

    def invoke(self, ctx: click.Context) -> Any:
        """Carry it out, with stdout for its data alone."""
        with stdout_for_data(ctx):
            return super().invoke(ctx)


class FaceGroup(_TellsErrors, click.Group):
    """A group of commands of this face."""

    command_class = FaceCommand
    group_class = type

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click hands it in
        """In the order they were added, which is the order of use."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is told as JSON if that was asked for."""
        as_json = wants_json(args) or _inherits_json(ctx)
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            _raise_as_json(error, as_json=as_json)


def wants_json(args: Sequence[str]) -> bool:
    """Whether ``--json`` is among words that are not parsed yet."""
    return "--json" in (args[: args.index("--")] if "--" in args else args)


def _raise_as_json(error: click.UsageError, *, as_json: bool) -> NoReturn:
    if as_json:
        raise Failure(problem_of(error), as_json=True) from error
    raise error
