"""Moments as people write them: an age, or a date."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_AGE = re.compile(r"(\d+(?:\.\d+)?)([dh])")


def moment_of(text: str, now: datetime, option: str) -> datetime:
    """``90d`` or ``12h`` before now, or a date; one without a zone is UTC. A usage error of this option for anything else."""
    age = _AGE.fullmatch(text)
    try:
        if age is not None:
            return now - (timedelta(days=float(age[1])) if age[2] == "d" else timedelta(hours=float(age[1])))
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        told = f"{option} {text!r} is neither an age nor a date. Write 90d, 12h or 2026-01-31."
        raise click.UsageError(told) from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
