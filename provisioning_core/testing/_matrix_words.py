"""The sentences: what happened to a step, and how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from provisioning_core.model import StepRecord
from provisioning_core.testing._matrix_calls import Deed
from provisioning_core.testing._matrix_witness import listed

Told: TypeAlias = tuple[str, str]
"""What happened, and how to mend it."""

_IDEMPOTENT = "Name it after ctx.idempotency_key (or hand that to the provider), or look before you create; or declare a probe"
_WRITE_FIRST = "Choose its name first, ctx.record it, then create it: what is recorded, the next attempt and the compensation know of"
_EXISTS_ALREADY = "Let an attempt that finds its work done return what is there: 'exists already' is no failure"

NEVER_DONE: Told = (
    "its probe found it although it was never done, so that the run went on without it",
    "Let the probe ask the outside world for exactly what the step makes, and give None when it is not there",
)
PROBE_DIFFERS: Told = (
    "its probe found it and gave another output than the step had returned, and the steps behind it go on with that",
    "Let the probe give the same output as the step",
)


def repeated(deeds: Sequence[Deed], names: str, when: str) -> Told:
    """More is there than should be."""
    if any(deed.is_cut and deed.made for deed in deeds):
        return f"it had made a thing it had not written down when it was killed, and made another; there are {names}", _WRITE_FIRST
    return f"it made a second one {when}: there are {names}", _IDEMPOTENT


def lost(deeds: Sequence[Deed], when: str) -> Told:
    """Less is there than should be."""
    if not any(deed.was_called for deed in deeds):
        return NEVER_DONE
    if any(deed.was_asked_to_end and deed.returned for deed in deeds):
        return (
            f"it returned as if it were done {when}, and what it makes is not there",
            "Let an attempt that is asked to end raise (CancelledError, or StepError): returning says that it is done",
        )
    return (
        f"it says that it is done, and what it makes is not there {when}",
        "Let it return only when its work is there, and let no other step or compensation take it away",
    )


def probe_missed(names: str) -> Told:
    """The probe says no, though the attempt came to its end."""
    there = f", though {names} is there" if names else ""
    return (
        f"its probe did not find what an attempt had done to the end{there}, so the step is run again or not undone",
        "Let the probe find what the step makes, from the moment it is made",
    )


def no_compensation(names: str) -> Told:
    """Nothing undoes it."""
    return (
        f"it made {names}, has no compensation, and the run says ROLLED_BACK",
        "Declare its @compensate; or irreversible=True, if it can't be undone",
    )


def left(deeds: Sequence[Deed], undone: Sequence[Deed], names: str, when: str) -> Told:
    """It has a compensation, and something is left."""
    if not undone:
        return (
            f"it was not compensated {when}, as its probe did not find {names}",
            "Let the probe find what the step makes, from the moment it is made; or say compensate_on='started'",
        )
    if any(deed.is_cut and deed.made for deed in deeds):
        return f"it was killed when it had made {names} and had not written that down, and its compensation left it", _WRITE_FIRST
    if not any(deed.had_output for deed in undone):
        return (
            f"its compensation left {names} {when}: it got no output, as none had been recorded",
            "Undo by what is always there: the input, ctx.resources, or a name made from them; output is None after a crash",
        )
    return (
        f"its compensation ran, and {names} is left {when}",
        "Let the compensation remove all that any attempt made (ctx.resources)",
    )


def took_others(things: Counter[str]) -> Told:
    """It removed what is not its own."""
    return f"it took away {listed(things)}, which was there before the run", "Let it touch only what the run made"


def unaccounted(record: StepRecord, names: str) -> Told:
    """Something is there, and the record says there is nothing."""
    return (
        f"{names} is there, and the run's record says that the step ({record.status}) has no effect",
        "Let the probe find what the step makes, from the moment it is made",
    )


def undo_stuck(undone: Sequence[Deed], deeds: Sequence[Deed], detail: str) -> Told:
    """Its compensation does not come to its end."""
    if sum(deed.returned for deed in undone) or not any(deed.returned for deed in deeds):
        return (
            f"its compensation raises when there is nothing (more) to undo: {detail}",
            "Let it treat 'not found' as done: it can run twice, and after an attempt that did nothing",
        )
    if not any(deed.had_output for deed in undone):
        return (
            f"its compensation raises when it gets no output: {detail}",
            "Undo by the input or ctx.resources: output is None after a crash, and after an attempt that failed",
        )
    return f"its compensation raises, so that the run can't be undone: {detail}", "Mend what it raises"


def stuck(status: str, detail: str, when: str) -> Told:
    """The step does not succeed any more."""
    return f"it is {status} for good {when}: {detail}", _EXISTS_ALREADY


def restless(why: str) -> Told:
    """The run moves and moves."""
    return f"the run did not come to rest{': ' + why if why else ''}", "Let a step that polls come to an end, and one that fails stop"
