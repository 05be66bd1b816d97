"""Faults on demand: ``--fail STEP[:N]`` makes a step fail N times, or for ever.

They are kept in a file, so that whichever process runs the step, or the service that the step calls, sees them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from threading import Lock

from examples.workspaces.files import write_whole
from examples.workspaces.settings import Settings

FOR_EVER = -1
_lock = Lock()


def parse(word: str, steps: Collection[str]) -> tuple[str, int]:
    """``billing:2`` as ``("billing", 2)``, ``mail`` as ``("mail", FOR_EVER)``. Raises ValueError for anything else."""
    step, colon, times = word.partition(":")
    if step not in steps:
        raise ValueError(f"{word!r}: there is no step {step!r}; there are {', '.join(sorted(steps))}")
    if colon and not times.isdecimal():
        raise ValueError(f"{word!r}: after the colon comes how often it is to fail, as in {step}:2")
    return step, int(times) if colon else FOR_EVER


def inject(settings: Settings, faults: dict[str, int]) -> None:
    """From now on these steps fail, and no others."""
    with _lock:
        write_whole(settings.faults, json.dumps(faults).encode())


def strikes(settings: Settings, step: str) -> bool:
    """Whether the step is to fail now; uses up one of its faults."""
    with _lock:
        faults: dict[str, int] = json.loads(settings.faults.read_text()) if settings.faults.exists() else {}
        left = faults.get(step, 0)
        if left > 0:
            write_whole(settings.faults, json.dumps({**faults, step: left - 1}).encode())
        return left != 0
