"""What a JSON schema says of a value at a place: enough to tell text from what only looks like a number, a truth value or null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]


def wants_text(schema: Schema, path: Sequence[str], value: Any) -> bool:
    """Whether text belongs there, and what was read as ``value`` (no text) does not."""
    kinds = kinds_at(schema, path)
    return "string" in kinds and not any(kind in kinds for kind in _kinds_of(value))


def kinds_at(schema: Schema, path: Sequence[str] = ()) -> frozenset[str]:
    """JSON's names of the kinds of values that may stand there; empty where the schema does not say."""
    places = list(_options(schema, schema))
    for key in path:
        places = [option for place in places for inner in _below(place, key) for option in _options(inner, schema)]
    # A duration is text by its schema, and a number of seconds all the same.
    return frozenset(kind for place in places if place.get("format") != "duration" for kind in _as_list(place.get("type")))


def _below(place: Schema, key: str) -> Iterator[Schema]:
    inner = place.get("properties", {}).get(key, place.get("additionalProperties"))
    if isinstance(inner, Mapping):
        yield inner


def _options(place: Schema, root: Schema) -> Iterator[Schema]:
    """The place itself, or what it refers to, or each that it may be. One that refers to itself stands below a key, so this ends."""
    if "$ref" in place:
        yield from _options(root.get("$defs", {}).get(str(place["$ref"]).rpartition("/")[2], {}), root)
        return
    choices = [choice for word in ("anyOf", "oneOf", "allOf") for choice in place.get(word, ())]
    if not choices:
        yield place
    for choice in choices:
        yield from _options(choice, root)


def _as_list(kind: Any) -> list[str]:
    return kind if isinstance(kind, list) else [kind] if kind else []


def _kinds_of(value: Any) -> tuple[str, ...]:
    match value:
        case None:
            return ("null",)
        case bool():
            return ("boolean",)
        case int():
            return ("integer", "number")
        case float():
            return ("number",)
        case str():
            return ("string",)
        case list():
            return ("array",)
        case _:
            return ("object",)
