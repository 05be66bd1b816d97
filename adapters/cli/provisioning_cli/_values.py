"""Read values from the command line: ``key=value``, JSON, a file, or ``-`` for standard input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)


def parse_input(parts: Sequence[str]) -> Any:
    """Several ``--input`` as one value: pairs are laid over what a file says; None when there are none."""
    if not parts:
        return None
    values = [_one(part) for part in parts]
    if len(values) == 1:
        return values[0]
    merged: dict[str, Any] = {}
    for part, value in zip(parts, values, strict=True):
        if not isinstance(value, dict):
            raise click.UsageError(f"--input {_named(part)} is not a JSON object, so nothing can be laid over it. Give it alone.")
        _lay(merged, value)
    return merged


def parse_value(part: str | None) -> Any:
    """One ``--output`` or ``--payload``: as an input, else JSON, else the text itself."""
    if part is None:
        return None
    if part == "-" or _PAIR.fullmatch(part):
        return _one(part)
    if part.startswith("@"):
        return _from_file(part[1:])
    return _json_or_text(part)


def parse_pairs(parts: Sequence[str], option: str) -> dict[str, str]:
    """``key=value`` texts, as labels are."""
    pairs = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not (key and equals):
            raise click.UsageError(f"{option} {part!r} is not key=value, such as {option} team=payments.")
        pairs[key] = value
    return pairs


def _one(part: str) -> Any:
    if part == "-":
        return _from_text(sys.stdin.read(), "standard input")
    if part.lstrip().startswith(("{", "[")):
        return _from_text(part, "--input")
    pair = _PAIR.fullmatch(part)
    if pair is None:
        return _from_file(part)
    return _nested(pair[1], _json_or_text(pair[2]))


def _nested(path: str, value: Any) -> dict[str, Any]:
    """``a.b`` and 1 are ``{"a": {"b": 1}}``."""
    keys = path.split(".")
    if not all(keys):
        raise click.UsageError(f"--input {path}= has an empty name between its dots. Write a.b=value.")
    for key in reversed(keys):
        value = {key: value}
    nested: dict[str, Any] = value
    return nested


def _lay(below: dict[str, Any], above: dict[str, Any]) -> None:
    for key, value in above.items():
        known = below.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            _lay(known, value)
        else:
            below[key] = value


def _from_file(name: str) -> Any:
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise click.UsageError(
            f"{name!r} is neither a file nor key=value nor `-`. Write --input slug=acme or --input input.json."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"The file {name!r} can't be read: {error}. Give a JSON file in UTF-8.") from error
    return _from_text(text, f"the file {name!r}")


def _from_text(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        # The text itself is not shown: it may hold secrets.
        raise click.UsageError(f"What {where} holds is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except (ValueError, RecursionError):
        raise click.UsageError(f"What {where} holds is not JSON that can be kept: NaN, Infinity or too deep.") from None


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def _refuse_constant(_: str) -> Any:
    raise ValueError


def _named(part: str) -> str:
    pair = _PAIR.fullmatch(part)
    return f"{pair[1]}=…" if pair else repr(part)
