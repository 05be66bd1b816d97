"""When to try again: attempts and exponential backoff with jitter, as a pure function."""

from __future__ import annotations

from dataclasses import dataclass

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
            object.__setattr__(self, field, (value,) if isinstance(value, type) else tuple(value))

    def faults(self) -> list[str]:
        """What is wrong with these numbers, in words; empty when nothing is."""
        found = []
        if self.attempts < 1:
            found.append(f"attempts={self.attempts} must be at least 1")
        if self.initial < 0 or self.maximum < 0:
            found.append(f"initial={self.initial:g} and maximum={self.maximum:g} must not be negative")
        if self.factor < 1:
            found.append(f"factor={self.factor:g} must be at least 1")
        if not 0 <= self.jitter <= 1:
            found.append(f"jitter={self.jitter:g} must be between 0 and 1")
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


ONCE = Retry(attempts=1)
"""The policy of a step that names none."""
