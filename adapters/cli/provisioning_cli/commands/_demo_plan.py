"""The demo's plans: eight steps of a tenant, whose work is only to wait a moment; on the page also with a person's word between."""

from __future__ import annotations

import threading
from typing import Any

from pydantic import BaseModel

from provisioning_core import Plan, Retry, Step, StepContext, StepError, gate, step

STUMBLES = "acme"
"""The tenant whose certificate is issued at the second attempt."""
FAILS = "globex"
"""The tenant whose card is declined."""
MENDS = "initech"
"""The tenant whose card is declined once: a retry helps."""


class Tenant(BaseModel):
    """Who is provisioned."""

    name: str


def demo_plan(pause: float) -> Plan:
    """The plan; each step takes about ``pause`` seconds."""
    lay = _Workshop(pause)
    reserve_name = lay.step("reserve_name")
    database = lay.step("database", reserve_name, seconds=2.0)
    bucket = lay.step("bucket", reserve_name)
    dns_record = lay.step("dns_record", reserve_name)
    certificate = lay.step("certificate", dns_record, seconds=1.5)
    seed_data = lay.step("seed_data", database)
    billing = lay.step("billing", seed_data, bucket)
    welcome_mail = lay.step("welcome_mail", billing, certificate, undoable=False)
    steps = [reserve_name, database, bucket, dns_record, certificate, seed_data, billing, welcome_mail]
    return Plan("tenant", input=Tenant, steps=steps, on_failure="rollback", description="A tenant of a small product")


def approved_plan(pause: float) -> Plan:
    """The same with a gate, and one that waits for a person after a failure, so that there is something to press."""
    lay = _Workshop(pause)
    reserve_name = lay.step("reserve_name")
    database = lay.step("database", reserve_name, seconds=2.0)
    seed_data = lay.step("seed_data", database)
    dns_record = lay.step("dns_record", reserve_name)
    certificate = lay.step("certificate", dns_record, seconds=1.5)
    approval = gate("approval", needs=[seed_data, certificate], description="Somebody looks at it and says yes")
    billing = lay.step("billing", approval)
    welcome_mail = lay.step("welcome_mail", billing, undoable=False)
    steps = [reserve_name, database, seed_data, dns_record, certificate, approval, billing, welcome_mail]
    return Plan("tenant-with-approval", input=Tenant, steps=steps, description="The same, but somebody has to say yes")


class _Workshop:
    """Makes the steps."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._declined: set[str] = set()

    def step(self, name: str, *needs: Step[Any], seconds: float = 1.0, undoable: bool = True) -> Step[None]:
        """A step that works for a while, and stumbles or fails where the demo wants it to."""
        works = self._works(seconds)

        def do(ctx: StepContext) -> None:
            works(ctx)
            _go_wrong(ctx, self._declined)

        def undo(ctx: StepContext) -> None:
            works(ctx)

        made = step(name=name, needs=needs, retry=Retry(attempts=3, initial=self._pause), description=_SAYS[name])(do)
        if undoable:
            made.compensate(undo)
        return made

    def _works(self, seconds: float) -> _Work:
        return _Work(self._pause * seconds)


class _Work:
    """Waits, and tells how far it is."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, ctx: StepContext) -> None:
        never = threading.Event()
        for quarter in range(1, 5):
            never.wait(self._seconds / 4)
            ctx.progress(quarter / 4)


_SAYS = {
    "reserve_name": "Keep the name for the tenant",
    "database": "Make its database",
    "bucket": "Make its bucket for files",
    "dns_record": "Point its host name at us",
    "certificate": "Order its certificate",
    "seed_data": "Fill in what everybody starts with",
    "billing": "Open its account at the billing provider",
    "welcome_mail": "Say welcome",
}


def _go_wrong(ctx: StepContext, declined: set[str]) -> None:
    if ctx.step == "certificate" and ctx.subject == STUMBLES and ctx.attempt == 1:
        raise StepError(
            "the name server does not know the record yet", code="dns_not_ready", user_message="The certificate is not ready yet."
        )
    if ctx.step == "billing" and (ctx.subject == FAILS or (ctx.subject == MENDS and ctx.subject not in declined)):
        declined.add(ctx.subject)
        raise StepError("card declined", code="card_declined", user_message="The card was declined.", retryable=False)
