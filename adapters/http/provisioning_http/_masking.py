"""Keeps what a caller sent out of what a caller is told: a value may be a secret, and answers end up in logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, get_args

from pydantic import ValidationError
from pydantic_core.core_schema import ErrorType

MASK = "**********"
_SHORTEST = 3
"""Shorter texts are no secrets, and would mask words at random."""
_ESCAPED = re.compile(r"[^ -~]+|[\"'\\]+")
"""What ``repr`` and JSON write in another way."""
_SHORTENED = re.compile(r"input_value=.*?, input_type=", re.DOTALL)
"""In the text of a ValidationError, which a validator may hand on: the value, with its middle left out."""


def sent_texts(sent: Any) -> list[str]:
    """All scalar values in a JSON value as a message may have them, longest first."""
    texts = {form for text in _scalars(sent) for form in _forms(text) if len(form) >= _SHORTEST}
    return sorted(texts, key=len, reverse=True)


def _forms(text: str) -> Iterator[str]:
    """As it is, and escaped: by ``repr``, as JSON, and, however it was escaped, what stands between the escapes."""
    yield text
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield from _ESCAPED.split(text)


def without(texts: Iterable[str], message: str) -> str:
    """The message with every sent text masked; a sentence that is pydantic's own, word for word, holds none."""
    if message in _OWN_WORDS:
        return message
    message = _SHORTENED.sub(f"input_value={MASK}, input_type=", message)
    for text in texts:
        message = message.replace(text, MASK)
    return message


def _scalars(sent: Any) -> Iterator[str]:
    todo = [sent]
    while todo:
        value = todo.pop()
        if isinstance(value, Mapping):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
        elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield str(value)


def _own_words() -> Iterator[str]:
    """All that pydantic says without putting anything into it, of values in Python and in JSON."""
    modes: tuple[Literal["python", "json"], ...] = ("python", "json")
    for kind in get_args(ErrorType):
        for mode in modes:
            try:
                error = ValidationError.from_exception_data("", [{"type": kind, "input": None}], mode)
            except TypeError:  # it wants something to put in
                continue
            yield error.errors()[0]["msg"]


_OWN_WORDS = frozenset(_own_words())
