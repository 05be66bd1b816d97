"""Once more, when what was in the way is gone at once: a deadlock, a connection that had been cut while nobody looked."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TypeVar

from provisioning_core.errors import StoreUnavailable

_log = logging.getLogger("provisioning_core.stores")
_T = TypeVar("_T")

_PAUSES = (0.02, 0.2)
"""Seconds before each further try, at most. A server that is away for longer is told to whoever asked."""


def again(work: Callable[[], _T]) -> _T:
    """Do a whole transaction, and again when it was taken back for a passing reason: never one whose answer was lost."""
    for longest in _PAUSES:
        try:
            return work()
        except StoreUnavailable as error:
            if not error.is_transient:
                raise
            _log.info("tried again: %s", error.message)
            threading.Event().wait(longest * random.uniform(0.5, 1.0))  # noqa: S311  jitter
    return work()
