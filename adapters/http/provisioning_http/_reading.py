"""Reads a request's body: bounded before it is parsed, strict JSON, then a model. What does not fit is refused with a reason."""

from __future__ import annotations

import json
import math
from email.message import Message
from typing import Any, Never, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from provisioning_core import InvalidInput
from provisioning_http._problems import Refused

MAX_BODY = 256 * 1024
"""Bytes."""
MAX_DEPTH = 100
"""Objects and arrays within each other."""
_VALUES = ("input", "output", "payload")
"""The fields that hold the product's own values; the others are names, which may be repeated."""
_Model = TypeVar("_Model", bound=BaseModel)


def json_body(model: type[_Model]) -> Any:
    """A dependency that gives the body as this model. An empty body is an empty object."""

    async def read(request: Request) -> BaseModel:
        return parse(model, await read_json(request), request)

    return Depends(read)


def parse(model: type[_Model], value: Any, request: Request) -> _Model:
    """The JSON value as the model. Raises InvalidInput, which never holds the value."""
    request.state.provisioning_sent = value
    try:
        body = model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
    else:
        request.state.provisioning_sent = [value.get(name) for name in _VALUES]
        return body
    listed = [{**each, "loc": ("body", *each["loc"])} for each in errors]
    raise InvalidInput("The body does not fit.", errors=listed)


async def read_json(request: Request) -> Any:
    """The body as a JSON value; ``{}`` when there is none, or ``null``."""
    data = await read_bytes(request)
    if not data:
        return {}
    _require_json(request)
    value = parse_json(data)
    _check(value)
    return {} if value is None else value


async def read_bytes(request: Request) -> bytes:
    """The body, counted as it comes: what the sender says of its length is not trusted. Raises Refused (413, 400)."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY:
        raise _too_large()
    data = bytearray()
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BODY:
                raise _too_large()
    except ClientDisconnect:
        raise Refused(400, "malformed_body", "The body ended early.") from None
    return bytes(data)


def _too_large() -> Refused:
    return Refused(413, "body_too_large", f"The body is larger than {MAX_BODY // 1024} KiB.", headers={"Connection": "close"})


def _require_json(request: Request) -> None:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "")
    is_json = message.get_content_type() == "application/json" and "content-type" in request.headers
    charset = message.get_content_charset("utf-8")
    encoding = request.headers.get("content-encoding", "identity").lower()
    if not is_json or charset != "utf-8" or encoding != "identity":
        hint = "Send `Content-Type: application/json`, as UTF-8, not compressed."
        raise Refused(415, "unsupported_media_type", "The body is not of a type that is understood here.", hint=hint)


def parse_json(data: bytes) -> Any:
    """Strict JSON: UTF-8, no NaN or infinities, no name twice. Raises Refused (400)."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        hint = "Names must not appear twice in one object; NaN and infinities are no JSON."
        raise Refused(400, "malformed_body", "The body is not well-formed JSON.", hint=hint) from None


def _refuse_constant(_: str) -> Never:
    raise ValueError


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _too_deep() -> Refused:
    return Refused(400, "body_too_deep", f"The body nests more than {MAX_DEPTH} levels.")


def _check(value: Any) -> None:
    """No deeper than allowed, and no text that can't be stored."""
    todo: list[tuple[Any, int]] = [(value, 1)]
    while todo:
        part, depth = todo.pop()
        if isinstance(part, str):
            _check_text(part)
            continue
        if not isinstance(part, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner = [*part, *part.values()] if isinstance(part, dict) else part
        todo.extend((each, depth + 1) for each in inner)


def _check_text(text: str) -> None:
    if "\x00" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        message = "A text in the body holds a NUL or half of a surrogate pair."
        raise InvalidInput(message, code="invalid_request", hint="Send valid Unicode without NUL.")
