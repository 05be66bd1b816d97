"""When to try again: attempts and exponential backoff with jitter, as a pure function."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

_LARGEST_EXPONENT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often, and when, a failed attempt is made again.

    ``attempts`` counts the first one too. The wait before attempt *n + 1* is ``initial * factor ** (n - 1)`` seconds, at most
    ``maximum``, changed at random by up to ``± jitter`` of itself (exponential backoff with jitter, as in
    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
    ``on`` names the exceptions that are worth another attempt (all, if empty), ``give_up_on`` those that are not.
    """

    attempts: int = 3
    initial: float = 1.0
    factor: float = 2.0
    maximum: float = 60.0
    jitter: float = 0.1
    on: tuple[type[BaseException], ...] = ()
    give_up_on: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        for field in ("on", "give_up_on"):
            value = getattr(self, field)
            object.__setattr__(self, field, tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,))

    def faults(self) -> list[str]:
        """What is wrong with it, in words; empty when nothing is."""
        found = []
        if not isinstance(self.attempts, int) or isinstance(self.attempts, bool) or self.attempts < 1:
            found.append(f"attempts={self.attempts!r} must be a whole number, at least 1")
        for name, least, most in (("initial", 0, None), ("maximum", 0, None), ("factor", 1, None), ("jitter", 0, 1)):
            value = getattr(self, name)
            if not is_number(value) or value < least or (most is not None and value > most):
                bound = f"at least {least}" if most is None else f"between {least} and {most}"
                found.append(f"{name}={value!r} must be a finite number, {bound}")
        for name in ("on", "give_up_on"):
            wrong = [kind for kind in getattr(self, name) if not (isinstance(kind, type) and issubclass(kind, BaseException))]
            found.extend(f"{name}= holds {kind!r}, which is no exception class" for kind in wrong)
        return found

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after the given number of failures; ``chance`` is a random number in [0, 1)."""
        exponent = min(max(failures - 1, 0), _LARGEST_EXPONENT)
        try:
            wait = min(self.initial * self.factor**exponent, self.maximum)
        except OverflowError:
            wait = self.maximum if self.initial > 0 else 0.0
        return max(0.0, wait * (1 + self.jitter * (2 * chance - 1)))

    def is_worth_it(self, error: BaseException) -> bool:
        """Whether this kind of error may be tried again."""
        if isinstance(error, self.give_up_on):
            return False
        return not self.on or isinstance(error, self.on)


def is_number(value: Any) -> bool:
    """Whether it is a finite number; no truth value is."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


ONCE = Retry(attempts=1)
"""The policy of a step that names none."""
