"""Fields that are stored under one name and read under another: what a step returned would be lost on the way to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_BY_HAND = frozenset({"function-before", "function-wrap", "function-plain"})
"""Validators see the data first, and may know the other name."""


def one_way_fields(core_schema: Any) -> list[str]:
    """Each such field of a pydantic core schema, in words."""
    return list(dict.fromkeys(_walk(core_schema, by_name=False)))


def _walk(schema: Any, *, by_name: bool) -> Iterator[str]:
    if isinstance(schema, list | tuple):
        for each in schema:
            yield from _walk(each, by_name=by_name)
    if not isinstance(schema, Mapping) or schema.get("type") in _BY_HAND or "serialization" in schema:
        return
    config = schema.get("config")
    if isinstance(config, Mapping):
        by_name = bool(config.get("validate_by_name") or config.get("populate_by_name"))
    for key, child in schema.items():
        if key == "fields" and isinstance(child, Mapping | list):
            yield from _fields(child, by_name=by_name)
        if key not in ("config", "metadata", "default"):
            yield from _walk(child, by_name=by_name)


def _fields(fields: Any, *, by_name: bool) -> Iterator[str]:
    named = (
        fields.items()
        if isinstance(fields, Mapping)
        else ((field.get("name"), field) for field in fields if isinstance(field, Mapping))
    )
    for name, field in named:
        if not isinstance(field, Mapping) or field.get("serialization_exclude"):
            continue
        written, read = field.get("serialization_alias", name), _read_as(field.get("validation_alias", name))
        if written not in read and not (by_name and written == name):
            yield f"field {name!r} is written as {written!r} and read as {' or '.join(map(repr, read)) or 'a part of another one'}"


def _read_as(alias: Any) -> list[str]:
    """The whole keys among a field's aliases; a path into a value is none."""
    if isinstance(alias, str):
        return [alias]
    paths = alias if alias and isinstance(alias[0], list) else [alias]
    return [path[0] for path in paths if len(path) == 1]
