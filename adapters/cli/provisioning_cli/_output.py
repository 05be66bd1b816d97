"""Where output goes: data to stdout, messages to stderr; tables on a terminal, plain lines in a pipe, JSON when asked for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import click
from pydantic_core import to_jsonable_python

from provisioning_cli._grid import Grid, as_lines
from provisioning_cli._marks import fitting


def is_terminal(stream: IO[Any]) -> bool:
    """Whether a person sees this stream, on a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def can_ask() -> bool:
    """Whether there is somebody who can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def print_json(value: Any) -> None:
    """One JSON document on one or more lines, in ASCII, so that no terminal and no encoding stumbles over it."""
    click.echo(json.dumps(to_jsonable_python(value), indent=2))


def print_json_line(value: Any) -> None:
    """One JSON object on one line, for streams."""
    click.echo(json.dumps(to_jsonable_python(value)))


def print_lines(lines: Iterable[str]) -> None:
    """Data for people."""
    _echo(lines, sys.stdout)


def tell(lines: Iterable[str] | str) -> None:
    """Progress and messages."""
    _echo([lines] if isinstance(lines, str) else lines, sys.stderr)


def print_grid(grid: Grid) -> None:
    """A table: drawn for a terminal, plain aligned lines for a pipe."""
    if not is_terminal(sys.stdout):
        print_lines(as_lines(grid))
        return
    from provisioning_cli._screen import as_table, console_on, fitted

    console = console_on(sys.stdout)
    console.print(as_table(fitted(grid, console.width), encoding=sys.stdout.encoding))


def write_file(target: Path, text: str) -> None:
    """Into a file that the caller named. Raises UsageError when it can't be written."""
    try:
        target.write_text(f"{text.rstrip()}\n", encoding="utf-8")
    except OSError as error:
        told = f"{str(target)!r} can't be written: {error.strerror}. Name another file."
        raise click.UsageError(told) from error
    tell(f"Wrote {target}.")


def _echo(lines: Iterable[str], stream: IO[str]) -> None:
    encoding = getattr(stream, "encoding", None)
    for line in lines:
        click.echo(fitting(line, encoding), file=stream)
