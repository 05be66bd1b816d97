"""What happened, in lines that a person can read: when, where, what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Broken(AssertionError):
    """A promise was broken."""


class Trace:
    """Grows line by line; ``broken`` are the promises that were."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun = now()
        self._lines: list[tuple[float, str, str]] = []
        self.broken: list[str] = []

    def short(self, run_id: str) -> str:
        """Ids are numbers here."""
        return f"r{int(run_id, 16)}"

    @property
    def now(self) -> float:
        return self._now()

    def add(self, who: str, what: str) -> None:
        self._lines.append((self._now() - self._begun, who, what))

    def breaks(self, promise: str) -> None:
        """Told, and not raised: steps' own exceptions are caught by the engine."""
        self.broken.append(promise)
        self.add("PROMISE", promise)

    def expect(self, holds: object, promise: str) -> None:
        if not holds:
            self.breaks(promise)

    def text(self, last: int | None = None) -> str:
        lines = self._lines if last is None else self._lines[-last:]
        left_out = [f"… {len(self._lines) - len(lines)} lines before this …"] if len(lines) < len(self._lines) else []
        return "\n".join([*left_out, *(f"{at:10.3f}  {who:<9} {what}" for at, who, what in lines)])

    @property
    def digest(self) -> str:
        """Tells two traces apart."""
        return hashlib.sha256(self.text().encode()).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self._lines)
