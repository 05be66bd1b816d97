"""Values of one attempt on their way in and out: opened and typed for the step, checked and sealed for the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning_core.engine._attempts import Attempt, Done, Found, Missed, Result
from provisioning_core.engine._outcomes import Outcome, Polls, Raised, Returned
from provisioning_core.errors import ProvisioningError
from provisioning_core.model import Binding, Direction, EncodingFault, Vault, mask_in, secrets_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """The typed values of one attempt."""

    input: Any
    outputs: Mapping[str, Any]
    output: Any

    def bind(self, binding: Binding, context: Any, session: Any = None) -> dict[str, Any]:
        return binding.arguments(input=self.input, context=context, outputs=self.outputs, session=session, output=self.output)

    def secrets(self) -> list[str]:
        return [secret for value in (self.input, self.output, *self.outputs.values()) for secret in secrets_in(value)]


def materials_of(attempt: Attempt, vault: Vault | None) -> Materials | Raised:
    """What the step's function takes; or why it can't be had."""
    plan, run_id, step = attempt.plan, attempt.key.run_id, attempt.key.step
    try:
        outputs = {
            name: plan.codec(name).decode(text, vault=vault, bound_to=f"{run_id}/{name}")
            for name, text in attempt.outputs.items()
            if text is not None
        }
        output = None
        if attempt.output is not None:
            output = plan.codec(step).decode(attempt.output, vault=vault, bound_to=f"{run_id}/{step}")
        given = plan.input_codec.decode(attempt.input, vault=vault, bound_to=f"{run_id}/input")
    except ProvisioningError as error:
        return Raised(code=error.code, detail=error.message, hint=error.hint, retryable=False)
    except ValueError as error:
        detail = f"{type(error).__name__}: what was stored does not fit the code's types any more"
        return Raised(code="unreadable", detail=detail, retryable=False)
    return Materials(input=given, outputs=outputs, output=output)


def result_of(attempt: Attempt, outcome: Outcome, materials: Materials, vault: Vault | None) -> Result:
    """How the attempt ended, ready to be recorded."""
    if not isinstance(outcome, Returned):
        return _masked(outcome, materials)
    if attempt.direction is Direction.COMPENSATE:
        return Done()
    codec = attempt.plan.codec(attempt.key.step)
    value = outcome.value
    if attempt.direction is Direction.PROBE:
        if value is None or (value is False and codec.annotation is type(None)):
            return Missed()
        value = None if codec.annotation is type(None) else value
    try:
        text = codec.encode(value, vault=vault, bound_to=f"{attempt.key.run_id}/{attempt.key.step}")
    except EncodingFault as fault:
        hint = "Mend what the step returns, or its return annotation; then retry."
        return Raised(code="invalid_output", detail=f"The output is refused: {fault}", hint=hint, retryable=False)
    return Done(output=text) if attempt.direction is Direction.FORWARD else Found(output=text)


def _masked(outcome: Raised | Polls, materials: Materials) -> Result:
    """Secrets that are known must not get into what is stored of a failure."""
    secrets = materials.secrets()
    if isinstance(outcome, Polls):
        return Polls(after=outcome.after, message=mask_in(outcome.message, secrets))
    return Raised(
        code=mask_in(outcome.code, secrets),
        detail=mask_in(outcome.detail, secrets),
        traceback=mask_in(outcome.traceback, secrets),
        user_message=None if outcome.user_message is None else mask_in(outcome.user_message, secrets),
        hint=outcome.hint,
        retryable=outcome.retryable,
        retry_after=outcome.retry_after,
        interrupted=outcome.interrupted,
    )
