"""Read values from the command line: ``key=value``, JSON, a file, or ``-`` for standard input."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provisioning_cli._schema import Schema, kinds_at, wants_text

if TYPE_CHECKING:
    from provisioning_core import Plan

_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GivenInput:
    """Several ``--input``, read: pairs are laid over what a file says."""

    parts: tuple[Any, ...] = ()

    def value(self, schema: Schema | None = None) -> Any:
        """All as one value; None when there are none. Where the ``schema`` says text, a pair's value is its text."""
        values = [part.value(schema) if isinstance(part, _Pair) else part for part in self.parts]
        if len(values) < 2:
            return values[0] if values else None
        merged: dict[str, Any] = {}
        for value in values:
            _lay(merged, value)
        return merged

    def to_start(self, plan: Plan | None) -> Any:
        """The same for a new run of the plan: without any the input is empty, and an empty one is none where the plan takes none."""
        schema = None if plan is None else plan.input_schema
        value = self.value(schema)
        if value is None and schema is not None and "object" in kinds_at(schema):
            return {}
        return None if value == {} and plan is not None and plan.input is None else value


@dataclass(frozen=True, slots=True)
class _Pair:
    """``a.b=text``."""

    path: tuple[str, ...]
    text: str

    def value(self, schema: Schema | None = None) -> dict[str, Any]:
        """``a.b`` and 1 are ``{"a": {"b": 1}}``."""
        value = _json_or_text(self.text)
        if schema is not None and wants_text(schema, self.path, value):
            value = self.text
        for key in reversed(self.path):
            value = {key: value}
        nested: dict[str, Any] = value
        return nested


def read_input(parts: Sequence[str]) -> GivenInput:
    """Several ``--input``. A usage error when one can't be read, or nothing can be laid over it."""
    given = GivenInput(tuple(_one(part) for part in parts))
    for part, value in zip(parts, given.parts, strict=True):
        if len(parts) > 1 and not isinstance(value, (dict, _Pair)):
            raise click.UsageError(f"--input {_named(part)} is not a JSON object, so nothing can be laid over it. Give it alone.")
    return given


def parse_value(part: str | None) -> Any:
    """One ``--output`` or ``--payload``: as an input, else JSON, else the text itself."""
    if part is None:
        return None
    if part == "-" or _PAIR.fullmatch(part):
        return GivenInput((_one(part),)).value()
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
    path = tuple(pair[1].split("."))
    if not all(path):
        raise click.UsageError(f"--input {pair[1]}= has an empty name between its dots. Write a.b=value.")
    return _Pair(path, pair[2])


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
