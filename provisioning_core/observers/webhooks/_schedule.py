"""When a message is tried again: the standard's table, spread a little, and what the receiver asks for."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

DELAYS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds from one try to the next: ten tries within 75 h 35 min."""
JITTER = 0.2
SHORTEST, LONGEST = 1.0, 86_400.0
"""Bounds of what a receiver may ask for by ``Retry-After``, in seconds."""
_SECONDS = re.compile(r"[0-9]{1,20}")


def is_last(attempt: int) -> bool:
    """Whether the attempt of this number (the first is 1) was the last."""
    return attempt > len(DELAYS)


def delay_after(attempt: int, dice: Random, *, asked: float | None = None) -> float:
    """Seconds until the next attempt: the table's, give or take a fifth; not before what was asked for."""
    spread = DELAYS[min(attempt, len(DELAYS)) - 1] * dice.uniform(1 - JITTER, 1 + JITTER)
    return spread if asked is None else max(spread, asked)


def asked_delay(header: str | None, now: float) -> float | None:
    """What a ``Retry-After`` asks for: seconds or a date, within bounds; None when it can't be read."""
    if header is None:
        return None
    text = header.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
            seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, SHORTEST), LONGEST)
