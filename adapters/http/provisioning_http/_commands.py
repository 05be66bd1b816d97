"""The verbs of one tenant. Each parses, calls one verb of the engine and shows the run as it is now; no rule lives here."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Response

from provisioning_http._call import Allowed
from provisioning_http._requests import Cancel, Plain, Resolve, Retry, Rollback, Signal, Skip, Start, StepName, idempotency_key


async def start(call: Allowed, body: Start, key: Annotated[str | None, Depends(idempotency_key)]) -> Response:
    """Start provisioning this tenant.

    The run is recorded before this answers. The same plan and input while a run is active, or the same `Idempotency-Key`, gives
    back that run.
    """
    return await call.accepted(
        lambda: call.engine.start(
            body.plan,
            subject=call.tenant_id,
            input=body.input,
            again=body.again,
            labels=body.labels,
            idempotency_key=key,
            **call.signed(body),
        )
    )


async def retry(call: Allowed, body: Retry) -> Response:
    """Try again what failed; with `steps`, run those again and all that depends on them."""
    return await call.accepted(
        lambda: call.engine.retry(call.tenant_id, steps=body.steps, input=body.input, **call.signed(body)),
    )


async def continue_(call: Allowed, body: Plain) -> Response:
    """Take up a run that stopped, and do only what is not done."""
    return await call.accepted(lambda: call.engine.continue_(call.tenant_id, **call.signed(body)))


async def rollback(call: Allowed, body: Rollback) -> Response:
    """Undo what was done, in reverse order."""
    return await call.accepted(
        lambda: call.engine.rollback(call.tenant_id, to=body.to, force=body.force, **call.signed(body)),
    )


async def cancel(call: Allowed, body: Cancel) -> Response:
    """Start nothing new and ask running steps to stop; with `rollback`, undo what was done."""
    return await call.accepted(lambda: call.engine.cancel(call.tenant_id, rollback=body.rollback, **call.signed(body)))


async def pause(call: Allowed, body: Plain) -> Response:
    """Start nothing new; what runs ends."""
    return await call.accepted(lambda: call.engine.pause(call.tenant_id, **call.signed(body)))


async def deprovision(call: Allowed, body: Plain) -> Response:
    """Take down what was provisioned."""
    return await call.accepted(lambda: call.engine.deprovision(call.tenant_id, **call.signed(body)))


async def adopt_plan(call: Allowed, body: Plain) -> Response:
    """Go on with the plan as it is in the code now."""
    return await call.accepted(lambda: call.engine.adopt_plan(call.tenant_id, **call.signed(body)))


async def signal(call: Allowed, step: StepName, body: Signal) -> Response:
    """Open a gate."""
    return await call.accepted(lambda: call.engine.signal(call.tenant_id, step, payload=body.payload, **call.signed(body)))


async def skip(call: Allowed, step: StepName, body: Skip) -> Response:
    """Mark a failed step as done by hand, with this output."""
    return await call.accepted(lambda: call.engine.skip(call.tenant_id, step, output=body.output, **call.signed(body)))


async def resolve(call: Allowed, step: StepName, body: Resolve) -> Response:
    """Say how it stands with a step whose outcome is unknown, or that could not be undone."""
    return await call.accepted(
        lambda: call.engine.resolve(call.tenant_id, step, as_=body.as_, output=body.output, **call.signed(body)),
    )
