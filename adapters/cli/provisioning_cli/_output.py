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
from provisioning_cli._streams import data_stream


def is_terminal(stream: IO[Any] | None) -> bool:
    """Whether a person sees this stream, on a terminal that can move its cursor. None is one that was closed."""
    return _is_tty(stream) and os.environ.get("TERM") != "dumb"


def can_ask() -> bool:
    """Whether there is somebody who can answer a question."""
    return _is_tty(sys.stdin) and _is_tty(sys.stderr)


def _is_tty(stream: IO[Any] | None) -> bool:
    return stream is not None and stream.isatty()


def print_json(value: Any) -> None:
    """One JSON document on one or more lines, in ASCII, so that no terminal and no encoding stumbles over it."""
    _echo([json.dumps(to_jsonable_python(value), indent=2)], data_stream())


def print_json_line(value: Any) -> None:
    """One JSON object on one line, for streams."""
    _echo([json.dumps(to_jsonable_python(value))], data_stream())


def print_lines(lines: Iterable[str]) -> None:
    """Data for people."""
    _echo(lines, data_stream())


def tell(lines: Iterable[str] | str) -> None:
    """Progress and messages."""
    _echo([lines] if isinstance(lines, str) else lines, sys.stderr)


def print_grid(grid: Grid) -> None:
    """A table: drawn for a terminal, plain aligned lines for a pipe."""
    stream = data_stream()
    if stream is None or not is_terminal(stream):
        print_lines(as_lines(grid))
        return
    from provisioning_cli._screen import as_table, console_on, fitted

    console = console_on(stream)
    console.print(as_table(fitted(grid, console.width), encoding=stream.encoding))


def write_file(target: Path, text: str) -> None:
    """Into a file that the caller named. Raises UsageError when it can't be written."""
    try:
        target.write_text(f"{text.rstrip()}\n", encoding="utf-8")
    except OSError as error:
        told = f"{str(target)!r} can't be written: {error.strerror}. Name another file."
        raise click.UsageError(told) from error
    tell(f"Wrote {target}.")


def _echo(lines: Iterable[str], stream: IO[str] | None) -> None:
    if stream is None:  # it was closed: `>&-`
        return
    encoding = getattr(stream, "encoding", None)
    for line in lines:
        click.echo(fitting(line, encoding), file=stream)
