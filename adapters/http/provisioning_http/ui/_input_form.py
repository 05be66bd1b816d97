"""A plan's input as a form: a field for each simple property of its JSON schema, and JSON for what is not simple."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning_core import InvalidInput
from provisioning_http._reading import parse_json

_KINDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
_PREFIX = "input."


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the form."""

    name: str
    label: str
    kind: str
    """``text secret integer number boolean choice json``."""
    is_needed: bool = False
    hint: str = ""
    given: str = ""
    """What stands in it: the default, or what was filled in before. Never a secret."""
    choices: tuple[str, ...] = ()
    pattern: str = ""
    longest: int | None = None

    @property
    def key(self) -> str:
        """Its name in the form that is sent."""
        return _PREFIX + self.name


def fields_of(schema: Mapping[str, Any] | None, given: Mapping[str, str] | None = None) -> list[Field]:
    """The fields for this schema; ``given`` is what was sent before."""
    if schema is None:
        return []
    needed = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return [
        _field(name, _resolved(each, definitions), is_needed=name in needed, given=given)
        for name, each in schema.get("properties", {}).items()
    ]


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """One step through a reference, and through "or null"."""
    reference = str(schema.get("$ref", ""))
    if reference.startswith("#/$defs/"):
        found = definitions.get(reference.removeprefix("#/$defs/"), {})
        return {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
    others = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return {**others[0], **{name: schema[name] for name in schema if name != "anyOf"}} if len(others) == 1 else schema


def _field(name: str, schema: Mapping[str, Any], *, is_needed: bool, given: Mapping[str, str] | None) -> Field:
    kind = _kind(schema)
    default = schema.get("default")
    known = "" if kind == "secret" or default is None else _as_text(default)
    return Field(
        name=name,
        label=str(schema.get("title") or name),
        kind=kind,
        is_needed=is_needed and kind != "boolean",
        hint=str(schema.get("description", "")),
        given=known if given is None or kind == "secret" else given.get(_PREFIX + name, ""),
        choices=tuple(map(str, schema.get("enum", ()))),
        pattern=str(schema.get("pattern", "")),
        longest=schema.get("maxLength"),
    )


def _kind(schema: Mapping[str, Any]) -> str:
    if schema.get("writeOnly") or schema.get("format") == "password":
        return "secret"
    if schema.get("enum") and all(isinstance(each, str) for each in schema["enum"]):
        return "choice"
    return _KINDS.get(str(schema.get("type", "")), "json")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    from pydantic_core import to_json

    return to_json(value).decode()


def value_of(schema: Mapping[str, Any] | None, sent: Mapping[str, str]) -> Any:
    """The input that the form's fields make. What was left empty is left out, so that the plan's defaults hold.

    Raises InvalidInput, which names the field and not what was in it.
    """
    if schema is None:
        return None
    found: dict[str, Any] = {}
    for field in fields_of(schema, sent):
        text = sent.get(field.key, "")
        if field.kind == "boolean":
            found[field.name] = text == "yes"
        elif text.strip():
            found[field.name] = _parsed(field, text)
    return found


def _parsed(field: Field, text: str) -> Any:
    if field.kind in ("text", "secret", "choice"):
        return text
    try:
        value = parse_json(text.strip().encode())
    except Exception as error:
        raise _fault(field) from error
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if (field.kind in ("integer", "number")) and not is_number:
        raise _fault(field)
    return value


def _fault(field: Field) -> InvalidInput:
    wanted = {"integer": "a whole number", "number": "a number"}.get(field.kind, "JSON")
    fault = {"loc": ("input", field.name), "msg": f"Input should be {wanted}", "type": "form"}
    return InvalidInput("The input does not fit the plan.", code="invalid_input", errors=[fault])
