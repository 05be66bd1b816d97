"""What is sent and answered where webhooks are managed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from provisioning_http._reading import json_body
from provisioning_http._requests import Name

WebhookId = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[!-~]+$")]
_Names = Annotated[list[Name], Field(max_length=50)]
_Url = Annotated[str, Field(min_length=1, max_length=2000, description="An https address of a public host.")]
_Events = Annotated[_Names, Field(min_length=1, description="Types such as `run.succeeded`, `run.*` or `*`.")]
_Plans = Annotated[_Names, Field(description="Only runs of these plans; empty: of all.")]
_Text = Annotated[str, Field(max_length=500)]
_Moment = Annotated[AwareDatetime, Field(strict=False)]
Outcome = Literal["delivered", "failed", "given_up", "gone", "refused"]


def _list(given: object) -> object:
    """``?outcome=failed,gone`` and ``?outcome=failed&outcome=gone`` are the same."""
    return [word.strip() for text in given for word in text.split(",") if word.strip()] if isinstance(given, list) else given


Outcomes = Annotated[list[Outcome], BeforeValidator(_list), Query(default_factory=list, alias="outcome", max_length=20)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NewWebhook(_Sent):
    """Where to send what."""

    url: _Url
    events: _Events = ["run.*"]
    plans: _Plans = []
    description: _Text = ""


class WebhookChange(_Sent):
    """Only what is given is changed."""

    url: _Url | None = None
    events: _Events | None = None
    plans: _Plans | None = None
    description: _Text | None = None
    enabled: bool | None = None


class Rotation(_Sent):
    """Replace the secret."""

    overlap: float = Field(default=86_400.0, ge=0, le=604_800, description="Seconds for which the old one signs along.")


class NothingMore(_Sent):
    """Nothing is needed."""


class Redelivery(_Sent):
    """One delivery by its number, or what was recorded in a time, or of a run."""

    delivery: Annotated[int, Field(ge=1, le=2**62)] | None = None
    since: _Moment | None = None
    until: _Moment | None = None
    run_id: Name | None = None
    missing_only: bool = Field(default=True, description="Not what the log shows as delivered. Not looked at for one delivery.")


class WebhookBody(BaseModel):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    plans: list[str]
    description: str
    enabled: bool
    disabled_why: str
    paused_until: datetime | None
    old_secret_until: datetime | None
    created_at: datetime
    waiting: int = Field(description="Runs with something that it has not been told yet.")


class WebhookSecretBody(WebhookBody):
    """A webhook, with its secret: shown this once."""

    secret: str


class WebhooksBody(BaseModel):
    """All webhooks, oldest first."""

    items: list[WebhookBody]


class DeliveryBody(BaseModel):
    """One try to tell one event."""

    number: int
    message_id: str
    webhook_id: str
    run_id: str | None
    seq: int
    type: str
    at: datetime
    took: float = Field(description="Seconds.")
    attempt: int
    outcome: str
    status: int | None
    error: str
    body: str = Field(description="How the receiver's answer began.")
    next_at: datetime | None


class DeliveriesBody(BaseModel):
    """One page of deliveries, newest first."""

    items: list[DeliveryBody]
    next_cursor: str | None


class RedeliveryBody(BaseModel):
    """What is sent again."""

    runs: int = Field(description="Of how many runs something is sent again.")


New = Annotated[NewWebhook, json_body(NewWebhook)]
Change = Annotated[WebhookChange, json_body(WebhookChange)]
Rotate = Annotated[Rotation, json_body(Rotation)]
Nothing = Annotated[NothingMore, json_body(NothingMore)]
Redeliver = Annotated[Redelivery, json_body(Redelivery)]
