"""Texts that are safe to show: whatever comes from a step, a subject or an error loses its control characters first.

An escape sequence in a step's message could otherwise retitle the window, clear the screen or hide what went wrong.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime

from provisioning_core import model
from provisioning_core.model import moment, several, span

__all__ = ["as_word", "clean", "clean_block", "clock", "listed", "moment", "several", "shortened", "span"]

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"  # OSC, DCS, SOS, PM, APC: with their text
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
)
_SPACE = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_HALF = re.compile(r"[\ud800-\udfff]")


def clean(text: object) -> str:
    """One line without control characters, terminal sequences, direction marks and lone surrogates."""
    flat = _SPACE.sub(" ", _SEQUENCE.sub("", str(text)))
    return _HALF.sub("\ufffd", _UNSEEN.sub("", flat))


def clean_block(text: str) -> str:
    """The same for a text of several lines; the line breaks stay."""
    return "\n".join(clean(line) for line in text.splitlines())


def shortened(text: object, width: int) -> str:
    """Clean, and no longer than ``width`` characters."""
    safe = clean(text)
    return safe if len(safe) <= width else safe[: max(width - 1, 0)] + "…"


def as_word(text: object) -> str:
    """Clean, and quoted so that a shell takes it as one word."""
    return shlex.quote(clean(text))


def clock(at: datetime | None) -> str:
    """The time of day, UTC."""
    return "" if at is None else at.astimezone(UTC).strftime("%H:%M:%SZ")


def listed(names: list[str] | tuple[str, ...], most: int = 8) -> str:
    """``a, b and 3 more``, each name clean."""
    return model.listed(names, most, safe=clean)
