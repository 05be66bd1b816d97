"""How an attempt ended, in a form that can leave a worker process; and how an exception becomes one."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from provisioning_core.errors import NotReady, StepError
from provisioning_core.model import EncodingFault, Retry

_LONGEST_CODE = 100
_LONGEST_USER_MESSAGE = 2_000
_LONGEST_DETAIL = 4_000
_LONGEST_TRACEBACK = 16_000
_LONGEST_WAIT = 365 * 86_400.0
_NOT_AWAITED = "The function is no `async def`, and what it returned has to be awaited: nothing of that was done."
_MEND_NOT_AWAITED = "Where a decorator wraps an async function, let it be `async def` too, and await the function in it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """It returned."""

    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """It raised."""

    code: str
    detail: str
    """For operators: the exception's type and text."""
    traceback: str = ""
    user_message: str | None = None
    hint: str = ""
    retryable: bool = True
    retry_after: float | None = None
    interrupted: bool = False
    """It was broken off, so that it is not known how far it came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polls:
    """It is not ready, and wants to be asked again."""

    after: float
    message: str = ""


Outcome: TypeAlias = Returned | Raised | Polls


def perform(fn: Callable[..., Any], arguments: Mapping[str, Any], retry: Retry) -> Outcome:
    """Call a step's function. Whatever it raises, it raises into the outcome: a step never breaks a worker."""
    try:
        value = fn(**arguments)
        if inspect.iscoroutine(value):
            value.close()
            return Raised(code="not_awaited", detail=_NOT_AWAITED, hint=_MEND_NOT_AWAITED, retryable=False)
        return Returned(value=value)
    except BaseException as error:  # noqa: BLE001  a step may raise anything, SystemExit included
        return outcome_of(error, retry)


async def perform_async(fn: Callable[..., Awaitable[Any]], arguments: Mapping[str, Any], retry: Retry) -> Outcome:
    """The same for an async step."""
    try:
        return Returned(value=await fn(**arguments))
    except BaseException as error:  # noqa: BLE001  also cancellation, which is how an async step is asked to end
        return outcome_of(error, retry)


def outcome_of(error: BaseException, retry: Retry) -> Outcome:
    """What an exception means for the attempt."""
    if isinstance(error, NotReady):
        return Polls(after=_seconds(error.after) or 0.0, message=error.message)
    worth_it = retry.is_worth_it(error)
    if isinstance(error, StepError):
        return Raised(
            code=_shorten(str(error.code or "step_error"), _LONGEST_CODE),
            detail=_shorten(str(error.message), _LONGEST_DETAIL),
            traceback=_trace(error),
            user_message=None if error.user_message is None else _shorten(str(error.user_message), _LONGEST_USER_MESSAGE),
            retryable=error.retryable and worth_it,
            retry_after=_seconds(error.retry_after),
        )
    if isinstance(error, EncodingFault):
        detail = f"What the step told of itself is refused: {error}"
        return Raised(code="invalid_value", detail=detail, traceback=_trace(error), retryable=False)
    if isinstance(error, asyncio.CancelledError):
        return Raised(code="cancelled", detail="The step was asked to end, and was broken off.", interrupted=True)
    code = getattr(error, "code", None) if isinstance(error, Exception) else None
    return Raised(
        code=code if isinstance(code, str) and code.isidentifier() else "exception",
        detail=_shorten(f"{type(error).__name__}: {_said(error)}", _LONGEST_DETAIL),
        traceback=_trace(error),
        retryable=worth_it,
    )


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  a step's own exception class may be broken, too
        return "(its text can't be had)"


def _seconds(given: Any) -> float | None:
    """A wait that a step asks for: what is no number of seconds (a date out of a ``Retry-After`` header, say) asks for none."""
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(seconds, _LONGEST_WAIT) if seconds > 0 else None


def _trace(error: BaseException) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return _shorten("".join(lines), _LONGEST_TRACEBACK)


def _shorten(text: str, longest: int) -> str:
    """Keep both ends of a long text, and only what every store can hold."""
    clean = text.replace("\x00", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
    if len(clean) <= longest:
        return clean
    half = longest // 2
    return f"{clean[:half]}\n… {len(clean) - longest} characters left out …\n{clean[-half:]}"
