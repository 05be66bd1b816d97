"""Keeps what a caller sent out of what a caller is told: a value may be a secret, and answers end up in logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

MASK = "**********"
_SHORTEST = 3
"""Shorter texts are no secrets, and would mask words at random."""


def sent_texts(sent: Any) -> list[str]:
    """All scalar values in a JSON value as text, longest first."""
    texts = {text for text in _scalars(sent) if len(text) >= _SHORTEST}
    return sorted(texts, key=len, reverse=True)


def without(texts: Iterable[str], message: str) -> str:
    """The message with every sent text masked."""
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
