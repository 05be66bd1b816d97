"""The OpenAPI description of the app that stands alone: who may call, and names for what is said again and again within it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from provisioning_http._examples import ANSWERS

Json = Any


def describe_by_name(app: FastAPI) -> None:
    """Let the app's description hold bodies and problems once, under their names."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = with_token(by_name(plain()))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of changing it


def by_name(document: dict[str, Any]) -> dict[str, Any]:
    """The document with each schema of a body or an answer that has a title moved to ``components``.

    Schemas of one title that differ stay where they are.
    """
    named: dict[str, Json] = dict(document.get("components", {}).get("schemas", {}))
    paths = {path: _moved(item, named) for path, item in document["paths"].items()}
    components = {**document.get("components", {}), "schemas": dict(sorted(named.items()))}
    return {**document, "paths": paths, "components": components}


def with_token(document: dict[str, Any]) -> dict[str, Any]:
    """The document saying that every call needs a token; those that need none say so themselves."""
    components = {**document["components"], "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
    return {**document, "components": components, "security": [{"token": []}]}


def _moved(part: Json, named: dict[str, Json]) -> Json:
    """The part with its contents' schemas replaced by references; the schemas are entered into ``named``."""
    if isinstance(part, list):
        return [_moved(each, named) for each in part]
    if not isinstance(part, dict):
        return part
    if "schema" in part and "in" not in part:
        return _content(part, named)
    return {name: each if name in ("example", "examples") else _moved(each, named) for name, each in part.items()}


def _content(part: dict[str, Any], named: dict[str, Json]) -> Json:
    """A body's or an answer's schema and example; FastAPI has left out of the example what is null."""
    schema = _reference(part["schema"], named) if _is_object(part["schema"]) else part["schema"]
    whole = ANSWERS.get(str(schema.get("$ref", "")).rpartition("/")[2], part.get("example"))
    return {**part, "schema": schema} | ({"example": whole} if "example" in part else {})


def _is_object(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object" and "title" in schema


def _reference(schema: dict[str, Any], named: dict[str, Json]) -> Json:
    name = schema["title"]
    if named.setdefault(name, schema) != schema:
        return schema
    return {"$ref": f"#/components/schemas/{name}"}
