"""Stdout is for the command's data alone: what the app's code prints while a command runs goes to stderr."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

import click

_DATA = f"{__name__}.data"
_STDOUT = 1


def data_stream() -> TextIO | None:
    """Where data goes: stdout as the command found it. None where it was closed."""
    ctx = click.get_current_context(silent=True)
    found: TextIO | None = sys.stdout if ctx is None else ctx.meta.get(_DATA, sys.stdout)
    return found


@contextmanager
def stdout_for_data(ctx: click.Context) -> Iterator[None]:
    """While this lasts, the app, its steps and their child processes write to stderr when they write to stdout."""
    with _stdout_kept() as kept, redirect_stdout(sys.stderr):
        ctx.meta[_DATA] = kept
        try:
            yield
        finally:
            del ctx.meta[_DATA]


@contextmanager
def _stdout_kept() -> Iterator[TextIO | None]:
    """The stream to use for stdout, while stderr stands in the place of its file descriptor.

    Nothing is moved where stdout is not the process's own, as in tests: then what goes to the descriptor is no data anyway.
    """
    stdout, errors = sys.stdout, _descriptor(sys.stderr)
    if _descriptor(stdout) != _STDOUT or errors is None:
        yield stdout
        return
    stdout.flush()
    kept = open(os.dup(_STDOUT), "w", encoding=stdout.encoding, errors=stdout.errors)  # noqa: SIM115 - closed below
    os.dup2(errors, _STDOUT)
    try:
        yield kept
    finally:
        with suppress(OSError):  # nobody reads any more: whoever wrote was told
            stdout.flush()
        os.dup2(kept.fileno(), _STDOUT)
        with suppress(OSError):
            kept.close()


def _descriptor(stream: TextIO | None) -> int | None:
    if stream is None:
        return None
    try:
        return stream.fileno()
    except (OSError, io.UnsupportedOperation, AttributeError):
        return None
