"""Writes docs/openapi.json, the description of the app that stands alone, and tells what a change of it breaks for clients.

``python tools/openapi.py`` writes it. ``python tools/openapi.py --check`` only says what would break, and fails if something would.
"""

from __future__ import annotations

import json
import operator
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provisioning_http import create_app

from provisioning_core import Engine
from provisioning_core.observers.webhooks import Webhooks
from provisioning_core.stores import MemoryStore

TARGET = Path(__file__).resolve().parents[1] / "docs" / "openapi.json"
_METHODS = ("get", "put", "post", "delete", "patch")
_UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
_LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
Json = Any


def document() -> dict[str, Any]:
    """The description as it is now. Of no version: a release does not change it."""
    engine = Engine(store=MemoryStore(), plans=[], work=False, webhooks=Webhooks(), secrets_key=bytes(32))
    app = create_app(engine, authorize=lambda *_: None)
    app.description = "Where a tenant's provisioning is started, watched and taken back."
    app.version = "1"
    return dict(app.openapi())


def text() -> str:
    """What the file holds."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def breaks(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What clients that were made from the old description can't do any more by the new one; empty when there is no such thing."""
    return [*_Comparison(old, new).all()]


class _Comparison:
    """Of two documents, each with its own components."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        self._old = old
        self._new = new

    def all(self) -> Iterator[str]:
        for path, item in self._old["paths"].items():
            for method in (each for each in _METHODS if each in item):
                where, kept = f"{method.upper()} {path}", self._new["paths"].get(path, {}).get(method)
                if kept is None:
                    yield f"{where} is gone"
                else:
                    yield from self._operation(where, item[method], kept)

    def _operation(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if old.get("operationId") != new.get("operationId"):
            yield f"{where}: its operationId was {old.get('operationId')} and is {new.get('operationId')}"
        yield from self._parameters(where, _by_name(old), _by_name(new))
        yield from self._body(where, old.get("requestBody"), new.get("requestBody"))
        for status, answer in old["responses"].items():
            if status not in new["responses"]:
                if status < "400":
                    yield f"{where}: it does not answer {status} any more"
            else:
                yield from self._answer(f"{where} {status}", answer, new["responses"][status])

    def _parameters(self, where: str, old: Json, new: Json) -> Iterator[str]:
        for name in old:
            if name not in new:
                yield f"{where}: the parameter {name[1]} ({name[0]}) is gone"
            else:
                yield from self._sent(f"{where} {name[1]}", old[name].get("schema", {}), new[name].get("schema", {}))
        for name, parameter in new.items():
            if parameter.get("required") and not old.get(name, {}).get("required"):
                yield f"{where}: the parameter {name[1]} ({name[0]}) is required now"

    def _body(self, where: str, old: Json, new: Json) -> Iterator[str]:
        if new and new.get("required") and not (old or {}).get("required"):
            yield f"{where}: a body is required now"
        for kind, content in (old or {}).get("content", {}).items():
            if kind not in (new or {}).get("content", {}):
                yield f"{where}: a body of {kind} is not taken any more"
            else:
                yield from self._sent(f"{where} body", content["schema"], new["content"][kind]["schema"])

    def _answer(self, where: str, old: Json, new: Json) -> Iterator[str]:
        yield from (f"{where}: the header {name} is gone" for name in old.get("headers", {}) if name not in new.get("headers", {}))
        for kind, content in old.get("content", {}).items():
            if kind not in new.get("content", {}):
                yield f"{where}: it can't be had as {kind} any more"
            else:
                yield from self._told(where, content.get("schema", {}), new["content"][kind].get("schema", {}))

    def _told(self, where: str, old: Json, new: Json) -> Iterator[str]:
        """What clients read: nothing may be missing, nothing be of another kind."""
        old, new = self._resolved(self._old, old), self._resolved(self._new, new)
        if _kinds(new) - _kinds(old) and _kinds(old):
            yield f"{where}: it was {_listed(old)} and is {_listed(new)}"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}: the field {name} is gone"
            else:
                if name in old.get("required", ()) and name not in new.get("required", ()):
                    yield f"{where}: the field {name} may be missing now"
                yield from self._told(f"{where} {name}", schema, new["properties"][name])
        yield from self._inner(where, old, new, self._told)

    def _sent(self, where: str, old: Json, new: Json) -> Iterator[str]:
        """What clients send: all that was taken must still be."""
        old, new = self._resolved(self._old, old), self._resolved(self._new, new)
        if _kinds(new) and (not _kinds(old) or _kinds(old) - _kinds(new)):
            yield f"{where}: {_listed(old)} was taken and {_listed(new)} is"
        yield from (
            f"{where}: the value {each} is not taken any more" for each in _values(old) if _values(new) and each not in _values(new)
        )
        yield from _tighter(where, old, new)
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                yield f"{where}: the field {name} is required now"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}: the field {name} is not taken any more"
            else:
                yield from self._sent(f"{where} {name}", schema, new["properties"][name])
        yield from self._inner(where, old, new, self._sent)

    def _inner(self, where: str, old: Json, new: Json, compare: Any) -> Iterator[str]:
        for part in ("items", "additionalProperties"):
            if isinstance(old.get(part), dict) and isinstance(new.get(part), dict):
                yield from compare(f"{where} {part}", old[part], new[part])

    def _resolved(self, whole: Mapping[str, Any], schema: Json) -> Json:
        """The schema itself; of "this or null" the first part, which holds all that matters here, as well as null."""
        if "$ref" in schema:
            return self._resolved(whole, whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        parts = [self._resolved(whole, each) for each in schema.get("anyOf", ())]
        real = [each for each in parts if each.get("type") != "null"]
        if len(real) != 1:
            return schema
        return {**real[0], "type": sorted({*_kinds(real[0]), "null"})} if _kinds(real[0]) else real[0]


def _by_name(operation: Json) -> dict[tuple[str, str], Json]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", ())}


def _kinds(schema: Json) -> set[str]:
    kind = schema.get("type", ())
    return {kind} if isinstance(kind, str) else set(kind)


def _listed(schema: Json) -> str:
    return " or ".join(sorted(_kinds(schema))) or "anything"


def _values(schema: Json) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _tighter(where: str, old: Json, new: Json) -> Iterator[str]:
    for names, is_tighter in ((_UPPER, operator.lt), (_LOWER, operator.gt)):
        for name in names:
            if name in new and (name not in old or is_tighter(new[name], old[name])):
                yield f"{where}: {name} was {old.get(name, 'not there')} and is {new[name]}"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: the pattern was {old.get('pattern', 'not there')} and is {new['pattern']}"
    if new.get("additionalProperties") is False and old.get("additionalProperties", True) is not False:
        yield f"{where}: unknown fields are not taken any more"


def main() -> None:
    found = breaks(json.loads(TARGET.read_text(encoding="utf-8")), document()) if TARGET.exists() else []
    sys.stdout.writelines(f"breaks clients: {each}\n" for each in found)
    if "--check" in sys.argv:
        sys.exit(bool(found))
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")


if __name__ == "__main__":
    main()
