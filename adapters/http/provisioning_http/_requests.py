"""What callers may send: strict models that refuse unknown fields, and checked parts of paths and queries."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from provisioning_http._problems import Refused
from provisioning_http._reading import json_body

_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]*$"
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_CONTROLS)]


def _false_if_null(given: Any) -> Any:
    """``null`` is as good as absent."""
    return False if given is None else given


Flag = Annotated[bool, BeforeValidator(_false_if_null, json_schema_input_type=bool | None)]
Reason = Annotated[str | None, Field(max_length=1000, description="Why; kept in the history.")]

_IN_PATHS = r"^[^\x00-\x1f\x7f-\x9f\ufffd]*$"
"""U+FFFD stands in the place of bytes that are no UTF-8, so that two names would be one."""
_DOCUMENTED: dict[str, Any] = {"minLength": 1, "maxLength": 200, "pattern": _IN_PATHS}
TenantId = Annotated[str, Path(description="What is provisioned: the run's subject.", json_schema_extra=_DOCUMENTED)]
RunId = Annotated[str, Path(json_schema_extra=_DOCUMENTED)]
StepName = Annotated[str, Path(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
PlanName = Annotated[str, Path(min_length=1, max_length=200, pattern=_NO_CONTROLS)]


def _none_if_empty(text: str | None) -> str | None:
    """``?plan=`` filters by nothing."""
    return text or None


def _words(given: Any) -> Any:
    """``?status=failed,paused`` and ``?status=FAILED&status=PAUSED`` are the same."""
    return [word.strip().upper() for text in given for word in text.split(",") if word.strip()] if isinstance(given, list) else given


State = Literal[
    "IN_PROGRESS",
    "PENDING",
    "RUNNING",
    "WAITING",
    "PAUSED",
    "SUCCEEDED",
    "FAILED",
    "CANCELLING",
    "CANCELLED",
    "ROLLING_BACK",
    "ROLLED_BACK",
    "ROLLBACK_FAILED",
]
Format = Literal["json", "mermaid", "dot", "svg", "text"]
_BY_ACCEPT = "Without it, what `Accept` asks for: JSON, or SVG."
AskedFormat = Annotated[Format | None, Query(alias="format", description=_BY_ACCEPT)]
TimelineFormat = Literal["json", "svg", "text"]
AskedTimelineFormat = Annotated[TimelineFormat | None, Query(alias="format", description=_BY_ACCEPT)]
Wait = Annotated[float, Query(ge=0, allow_inf_nan=False, description="Seconds to wait for a change; more than 30 counts as 30.")]
After = Annotated[int | None, Query(ge=0, le=2**62, description="The version known already; without it, the present one.")]
AfterEvent = Annotated[int, Query(ge=0, le=2**62, description="Number of the last event known.")]
Limit = Annotated[int, Query(ge=1, le=200)]
EventLimit = Annotated[int, Query(ge=1, le=1000)]
QueryName = Annotated[str | None, Query(max_length=200, pattern=_NO_CONTROLS), AfterValidator(_none_if_empty)]
QueryRunId = Annotated[
    str | None, Query(max_length=200, pattern=_NO_CONTROLS, description="Of one of this tenant's runs; the latest without it.")
]
TicketText = Annotated[str | None, Query(description="Of a ticket for this stream, instead of credentials.")]
LastEventId = Annotated[
    str | None, Query(max_length=300, description="As the header `Last-Event-ID`, for who can't send it; the header counts more.")
]
Cursor = Annotated[str | None, Query(max_length=500, pattern=_NO_CONTROLS), AfterValidator(_none_if_empty)]
_SEVERAL = "May be given more than once, or as a list with commas."
Statuses = Annotated[list[State], BeforeValidator(_words), Query(default_factory=list, description=_SEVERAL, max_length=20)]


_LABELS: dict[str, Any] = {
    "type": "object",
    "maxProperties": 20,
    "propertyNames": {"minLength": 1, "maxLength": 200, "pattern": _NO_CONTROLS},
    "additionalProperties": {"type": "string", "maxLength": 200},
}
"""What pydantic would say of a dictionary's keys leaves open what else there may be."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reason: Reason = None


class StartBody(_Body):
    """Provision this tenant by this plan."""

    plan: Name
    input: Any = Field(None, description="The plan's input; GET /plans/{name} has its schema.")
    again: Flag = Field(default=False, description="Provision a tenant anew that is provisioned already.")
    labels: Annotated[dict[Name, Annotated[str, Field(max_length=200)]], Field(max_length=20), WithJsonSchema(_LABELS)] | None = None


class RetryBody(_Body):
    """Try again what failed, or run the named steps again."""

    steps: Annotated[list[Name], Field(min_length=1, max_length=5000)] | None = None
    input: Any = Field(None, description="The corrected input.")


class ReasonBody(_Body):
    """Nothing is needed."""


class RollbackBody(_Body):
    """Undo, all of it or as far as a step that stays."""

    to: Name | None = None
    force: Flag = Field(default=False, description="Undo the rest although an irreversible step was crossed.")


class CancelBody(_Body):
    """Stop, and undo if asked."""

    rollback: Flag = False


class SignalBody(_Body):
    """Open a gate."""

    payload: Any = None


class SkipBody(_Body):
    """A failed step was done by hand."""

    output: Any = None


class TicketBody(BaseModel):
    """Ask for a stream of one run."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    run_id: Name | None = Field(default=None, description="One of this tenant's runs; the latest without it.")


class ResolveBody(_Body):
    """Settle a step whose outcome is unknown, or that could not be undone."""

    as_: Literal["succeeded", "failed", "compensated"] = Field(alias="as")
    output: Any = None


Start = Annotated[StartBody, json_body(StartBody)]
Retry = Annotated[RetryBody, json_body(RetryBody)]
Plain = Annotated[ReasonBody, json_body(ReasonBody)]
Rollback = Annotated[RollbackBody, json_body(RollbackBody)]
Cancel = Annotated[CancelBody, json_body(CancelBody)]
Signal = Annotated[SignalBody, json_body(SignalBody)]
Skip = Annotated[SkipBody, json_body(SkipBody)]
Resolve = Annotated[ResolveBody, json_body(ResolveBody)]
AskedTicket = Annotated[TicketBody, json_body(TicketBody)]


def is_name(text: str) -> bool:
    """Whether a tenant or a run that is named in a path can have this name.

    1 to 200 signs, none of them a control character or U+FFFD; not ``.`` or ``..``, which clients take out of a path.
    """
    return 1 <= len(text) <= 200 and text not in (".", "..") and re.fullmatch(_IN_PATHS, text) is not None


async def idempotency_key(request: Request) -> str | None:
    """The ``Idempotency-Key`` header. Raises Refused (400) unless it is one text of 1 to 200 visible ASCII signs."""
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0]
    if len(given) > 1 or not 1 <= len(key) <= 200 or any(not "!" <= sign <= "~" for sign in key):
        raise Refused(400, "invalid_idempotency_key", "An Idempotency-Key is sent once, as 1 to 200 visible ASCII signs.")
    return key
