"""Whose turn it is."""

from __future__ import annotations

import threading
from types import TracebackType


class Turning:
    """A lock that knows who holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether the caller holds it."""
        return self._holder == threading.get_ident()

    def acquire(self, *, blocking: bool) -> bool:
        """Take it; False when it is somebody's and ``blocking`` is."""
        if not self._lock.acquire(blocking=blocking):
            return False
        self._holder = threading.get_ident()
        return True

    def release(self) -> None:
        self._holder = None
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire(blocking=True)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
