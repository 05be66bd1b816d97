"""What has happened, told to the machine. Each event carries its time ``at`` (seconds since the epoch) and, where a wait with
jitter may follow, a random number ``chance`` in [0, 1): the machine itself knows neither clock nor dice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """An engine took the run up, for the first time or again.

    Attempts that are recorded as live have ended, with an unknown outcome; but for those in ``completed``, transactional steps whose
    output was committed together with what they wrote, and those in ``zombies``, which may still be alive where they were begun: each
    of these is told as :class:`AttemptLost` when it is known to have ended. ``only_look`` changes nothing: somebody
    only wants to know what is allowed.
    """

    at: float
    completed: frozenset[str] = frozenset()
    zombies: frozenset[str] = frozenset()
    only_look: bool = False
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityOffered:
    """So many attempts may be launched now; ``limits`` says how many of them under each named limit."""

    at: float
    slots: int
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """The clock reached ``at``: timers that are due go off."""

    at: float
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSucceeded:
    """A forward attempt or a compensation returned."""

    at: float
    step: str
    token: int
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailed:
    """An attempt, a compensation or a probe raised. ``retryable`` already takes ``on`` and ``give_up_on`` into account.

    ``interrupted``: it did not raise by itself but was broken off (its worker was killed, its task cancelled), so that it is not
    known how far it came.
    """

    at: float
    step: str
    token: int
    retryable: bool = True
    retry_after: float | None = None
    interrupted: bool = False
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLost:
    """An attempt has ended, and nobody knows how: its engine broke it off, or is gone. No failure of the step's own."""

    at: float
    step: str
    token: int
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptNotReady:
    """The step polls: ask again ``after`` seconds, without using up the budget."""

    at: float
    step: str
    token: int
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFound:
    """The probe found the step's effect (and its output)."""

    at: float
    step: str
    token: int
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeMissed:
    """The probe found nothing: the step had no effect."""

    at: float
    step: str
    token: int
    chance: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRequested:
    """Try again what failed, or the named steps and all that depend on them."""

    at: float
    steps: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueRequested:
    """Take the run up again and do what is not done."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipRequested:
    """A person did the failed step by hand."""

    at: float
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRequested:
    """A person found out how a step in doubt, or a failed compensation, stands: ``succeeded``, ``failed`` or ``compensated``."""

    at: float
    step: str
    as_: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequested:
    """Undo the run, down to the step ``to`` if given; ``force`` crosses irreversible steps."""

    at: float
    to: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeprovisionRequested:
    """Undo a run that succeeded."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequested:
    """Start nothing new, end when what runs has ended; then undo, if asked to."""

    at: float
    rollback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRequested:
    """Start nothing new and rest when what runs has ended."""

    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalReceived:
    """A gate's signal came; early ones are kept."""

    at: float
    step: str


Verb: TypeAlias = (
    RetryRequested
    | ContinueRequested
    | SkipRequested
    | ResolveRequested
    | RollbackRequested
    | DeprovisionRequested
    | CancelRequested
    | PauseRequested
    | SignalReceived
)
"""What a person or a caller asked for; refused with :class:`Conflict` when the state does not allow it."""

Report: TypeAlias = AttemptSucceeded | AttemptFailed | AttemptLost | AttemptNotReady | ProbeFound | ProbeMissed
"""How an attempt ended."""

MachineEvent: TypeAlias = TakenUp | CapacityOffered | TimePassed | Report | Verb
