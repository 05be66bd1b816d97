"""One attempt: what a worker needs to know of it, what it tells the loop while it runs, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from provisioning_core.engine._outcomes import Polls, Raised
from provisioning_core.model import (
    Binding,
    Codec,
    Direction,
    EncodingFault,
    Plan,
    Resource,
    ResourceRecord,
    Retry,
    StepContext,
    as_datetime,
    mask_in,
)

_ANYTHING = Codec(Any)
_LONGEST_KIND, _LONGEST_ID = 100, 1_000
"""Characters of a ledger entry."""


class Key(NamedTuple):
    """Tells attempts apart."""

    run_id: str
    step: str
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a step: forward, compensation or probe. Values are JSON text, secrets encrypted."""

    key: Key
    subject: str
    plan: Plan
    direction: Direction
    binding: Binding | None
    """The function to call; None when the code is gone."""
    attempt: int
    round: int
    epoch: int
    deadline_at: float | None
    transactional: bool
    input: str
    outputs: Mapping[str, str | None]
    """Outputs of the steps this one takes from; absent where there is none."""
    output: str | None
    """The step's own output, for its compensation."""
    resources: tuple[ResourceRecord, ...]
    checkpoint: str | None
    trace: str | None = None
    """The trace that its run belongs to."""

    @property
    def retry(self) -> Retry:
        """The policy that judges what it raises."""
        step = self.plan.steps[self.key.step]
        compensation = step.compensation
        return compensation.retry if self.direction is Direction.COMPENSATE and compensation is not None else step.retry

    @property
    def idempotency_key(self) -> str:
        """Equal for all attempts of one step and direction, until the step is provisioned anew."""
        direction = Direction.FORWARD if self.direction is Direction.PROBE else self.direction
        key = f"{self.key.run_id}/{self.key.step}/{direction}"
        return key if self.round == 1 else f"{key}/{self.round}"

    def context_values(self) -> dict[str, Any]:
        """What a :class:`StepContext` is made of, but the sink."""
        return {
            "run_id": self.key.run_id,
            "subject": self.subject,
            "plan": self.plan.name,
            "step": self.key.step,
            "attempt": self.attempt,
            "token": self.key.token,
            "idempotency_key": self.idempotency_key,
            "deadline": as_datetime(self.deadline_at),
            "resources": tuple(Resource(kind=each.kind, id=each.id, details=each.details) for each in self.resources),
            "restored": None if self.checkpoint is None else json.loads(self.checkpoint),
        }


# what workers tell the loop


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A forward attempt or a compensation returned; the output as JSON text."""

    output: str | None = None
    is_completed: bool = False
    """The output was committed together with what the step wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A probe found the step's effect."""

    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A probe found nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale:
    """The run has another owner now: nothing of this attempt may be recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenOff:
    """The engine itself asked the attempt to end, and it raised: how far it came is not known, and it is no failure of its own."""


Result: TypeAlias = Done | Found | Missed | Raised | Polls | Stale | BrokenOff


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An attempt ended."""

    key: Key
    direction: Direction
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A step told how far it is."""

    key: Key
    fraction: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A step allocated something; the future is done when that is durable."""

    key: Key
    resource: Resource
    attempt: int
    is_durable: bool = False
    durable: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpointed:
    """A step left a note for its next attempt; the future is done when that is durable."""

    key: Key
    text: str
    durable: Future[None] = field(default_factory=Future)


AttemptMessage: TypeAlias = Ended | Progressed | Recorded | Checkpointed


def _check_length(name: str, text: str, longest: int) -> None:
    if not 1 <= len(text) <= longest:
        raise EncodingFault(f"$.{name}", f"{len(text):,} characters; 1 to {longest:,} are allowed")
    _ANYTHING.encode(text)


class Sink:
    """What stands behind a :class:`StepContext` in this process."""

    def __init__(self, attempt: Attempt, tell: Callable[[AttemptMessage], None]) -> None:
        self._attempt = attempt
        self._tell = tell
        self.is_asked_to_end = False
        self.secrets: Callable[[], Sequence[str]] = list
        """Texts that must not be shown."""
        self.write_along: Callable[[Resource], None] | None = None
        """Set while the step's own transaction is open: ledger entries join it."""
        self._joined: list[Resource] = []
        """Entries of that transaction, of which the run is not told yet."""

    def is_stopped(self) -> bool:
        return self.is_asked_to_end

    def progress(self, fraction: float, message: str) -> None:
        self._tell(Progressed(key=self._attempt.key, fraction=fraction, message=mask_in(message, self.secrets())[:500]))

    def record(self, kind: str, id: str, details: Mapping[str, Any]) -> Resource:  # noqa: A002  the field's own word
        _check_length("kind", kind, _LONGEST_KIND)
        _check_length("id", id, _LONGEST_ID)
        plain = json.loads(_ANYTHING.encode(dict(details)))
        resource = Resource(kind=kind, id=id, details=plain)
        if self.write_along is not None:
            self.write_along(resource)
            self._joined.append(resource)
        else:
            self._entered(resource, is_durable=False).durable.result()
        return resource

    def _entered(self, resource: Resource, *, is_durable: bool) -> Recorded:
        note = Recorded(key=self._attempt.key, resource=resource, attempt=self._attempt.attempt, is_durable=is_durable)
        self._tell(note)
        return note

    def transaction_ended(self, *, is_committed: bool) -> None:
        """What was entered is there, or was taken back with the rest: then it is entered again, with the attempt's end.

        It tells of something outside, which a transaction does not take back.
        """
        self.write_along = None
        while self._joined:
            self._entered(self._joined.pop(0), is_durable=is_committed)

    def checkpoint(self, data: Any) -> None:
        note = Checkpointed(key=self._attempt.key, text=_ANYTHING.encode(data))
        self._tell(note)
        if self.write_along is None:
            note.durable.result()

    def context(self) -> StepContext:
        """The context that the step's function gets."""
        return StepContext(**self._attempt.context_values(), sink=self)
