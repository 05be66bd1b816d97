"""Other people's texts on our page. The templates escape markup; this keeps a text from turning what stands around it."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import to_json

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_HALF = re.compile(r"[\ud800-\udfff]")
_ISOLATE, _END = "\u2068", "\u2069"
_LONGEST_VALUE = 20_000


def plain(text: object) -> str:
    """Without control characters, direction marks and half surrogates; these become visible."""
    return _HALF.sub("\ufffd", _UNSEEN.sub("\ufffd", str(text)))


def isolated(text: object) -> str:
    """For a name within a sentence: plain, and in a run of its own where it may be written from right to left."""
    found = plain(text)
    return found if found.isascii() else f"{_ISOLATE}{found}{_END}"


def pretty(value: Any) -> str:
    """A JSON value for people, cut off where it is very long."""
    text = to_json(value, indent=2).decode("utf-8", "replace")
    return plain(text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}\n… cut off here; the API has all of it")
