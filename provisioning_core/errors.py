"""One exception tree, sorted by what the caller can do about it.

Every error carries a stable ``code`` (for programs), a ``message`` (for people) and a ``hint`` (what to do next).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class ProvisioningError(Exception):
    """Something went wrong in provisioning."""

    default_code: ClassVar[str] = "provisioning_error"
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str | None = None, *, code: str | None = None, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.code = code or self.default_code
        self.hint = self.default_hint if hint is None else hint
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong with a plan: where, what, and how to mend it."""

    code: str
    step: str | None
    problem: str
    mend: str

    def __str__(self) -> str:
        where = f"step {self.step!r}: " if self.step else ""
        return f"{where}{self.problem}. {self.mend}"


class PlanError(ProvisioningError):
    """The plan can't be run as it is declared."""

    default_code = "plan_error"
    default_hint = "Mend every fault listed; all that can be found without running the plan are listed at once."

    def __init__(self, faults: Sequence[Fault], *, plan: str = "") -> None:
        self.faults = tuple(faults)
        self.plan = plan
        head = f"plan {plan!r} has" if plan else "the declaration has"
        count = "a fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join([f"{head} {count}:", *(f"  - {fault}" for fault in self.faults)]))


class Conflict(ProvisioningError):
    """The run's present state does not allow this."""

    default_code = "conflict"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        hint: str | None = None,
        run_id: str | None = None,
        status: str | None = None,
        allowed_actions: Iterable[str] = (),
    ) -> None:
        self.run_id = run_id
        self.status = status
        self.allowed_actions = tuple(allowed_actions)
        if hint is None and self.allowed_actions:
            hint = f"Allowed now: {', '.join(self.allowed_actions)}."
        super().__init__(message, code=code, hint=hint)


class NotFound(ProvisioningError):
    """There is no such thing."""

    default_code = "not_found"


class InvalidInput(ProvisioningError):
    """The input does not fit.

    ``errors`` lists each fault as ``{"loc": ..., "msg": ..., "type": ...}`` and never holds the value itself, which may be a secret.
    """

    default_code = "invalid_input"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        hint: str | None = None,
        errors: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self.errors = tuple(dict(error) for error in errors)
        super().__init__(message, code=code, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference between the plan a run was started with and the plan in the code."""

    kind: str
    """``added``, ``removed``, ``changed`` or ``re-wired``."""
    step: str
    detail: str = ""
    blocking: bool = False
    """True when the run can't go on without :meth:`Engine.adopt_plan`."""

    def __str__(self) -> str:
        return f"{self.step}: {self.kind}" + (f" ({self.detail})" if self.detail else "")


class PlanChanged(ProvisioningError):
    """The plan in the code no longer fits the run."""

    default_code = "plan_changed"
    default_hint = "Nothing was touched. `adopt_plan` accepts the differences, or deploy the code the run was started with."

    def __init__(self, differences: Sequence[Difference], *, run_id: str = "", plan: str = "") -> None:
        self.differences = tuple(differences)
        self.run_id = run_id
        listed = "; ".join(str(difference) for difference in self.differences)
        super().__init__(f"plan {plan!r} changed since run {run_id} was started: {listed}.")


class LeaseLost(ProvisioningError):
    """Another engine owns the run now; this engine's write was refused."""

    default_code = "lease_lost"
    default_hint = "Nothing of it was written. The run goes on at its new owner."


class StoreUnavailable(ProvisioningError):
    """The store can't be reached, so nothing was recorded.

    ``is_unknown``: the answer to a commit was lost, so it may have been recorded all the same. ``is_transient``: nothing was
    recorded, and the same call is worth another try at once (a deadlock, a connection that had been cut).
    """

    default_code = "store_unavailable"
    default_hint = "Nothing is lost. Try again when the store is back."

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        hint: str | None = None,
        is_unknown: bool = False,
        is_transient: bool = False,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.is_unknown = is_unknown
        self.is_transient = is_transient and not is_unknown


class SchemaMismatch(ProvisioningError):
    """The store's schema is not the one this version works with."""

    default_code = "schema_mismatch"
    default_hint = "Run `provision db upgrade` (or deploy the version that made the schema)."


class MissingExtra(ProvisioningError, ImportError):
    """An optional part is not installed."""

    default_code = "missing_extra"

    def __init__(self, extra: str, purpose: str) -> None:
        self.extra = extra
        super().__init__(f"{purpose} needs the extra {extra!r}.", hint=f'Install it: pip install "provisioning-core[{extra}]"')


class IllegalMove(ProvisioningError):
    """A status change that the table of legal moves does not know; nothing was changed."""

    default_code = "illegal_move"


class StepError(Exception):
    """Raised by a step to say precisely how it failed.

    ``message`` is for operators; ``user_message`` is shown to the product's user, instead of the step's own sentence.
    ``retry_after`` (seconds, a year at the most) is the least time before the next attempt, as a provider's ``Retry-After`` says it;
    what is no number counts as none.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        user_message: str | None = None,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.user_message = user_message
        self.retryable = retryable
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        keywords = (self.code, self.user_message, self.retryable, self.retry_after)
        return _rebuild_step_error, (self.message, *keywords)


def _rebuild_step_error(
    message: str, code: str | None, user_message: str | None, retryable: bool, retry_after: float | None
) -> StepError:
    return StepError(message, code=code, user_message=user_message, retryable=retryable, retry_after=retry_after)


class NotReady(Exception):
    """Raised by a step that polls: not done yet, ask again ``after`` seconds. Uses up no attempt of the retry budget."""

    def __init__(self, message: str = "", *, after: float = 5.0) -> None:
        super().__init__(message or f"not ready; asked again after {after:g} s")
        self.message = message
        self.after = after

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_not_ready, (self.message, self.after)


def _rebuild_not_ready(message: str, after: float) -> NotReady:
    return NotReady(message, after=after)
