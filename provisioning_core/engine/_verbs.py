"""The verbs: as records that any engine can carry out, and how they are carried out on a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning_core.engine._adopting import adopt, reconsidered, skipped_by, tell_reconsidered
from provisioning_core.engine._live import LiveRun
from provisioning_core.engine._reports import take_up
from provisioning_core.errors import Conflict, ProvisioningError
from provisioning_core.machine import (
    CancelRequested,
    ContinueRequested,
    DeprovisionRequested,
    Machine,
    PauseRequested,
    ResolveRequested,
    RetryRequested,
    RollbackRequested,
    SignalReceived,
    SkipRequested,
    TakenUp,
    Verb,
)
from provisioning_core.model import RequestRecord, RunSnapshot, Vault

_SECRET_ARGUMENTS = ("input", "digest", "output", "payload")
"""Arguments that are values of the user's; they do not enter the history."""
_TAKES_UP = ("continue", "retry", "rollback", "adopt_plan", "cancel", "deprovision")
"""Verbs that take up a run which had been set aside."""


def event_of(request: RequestRecord, at: float) -> Verb:
    """The machine's event for a recorded verb."""
    given = request.arguments
    match request.verb:
        case "retry":
            return RetryRequested(at=at, steps=None if given.get("steps") is None else tuple(given["steps"]))
        case "continue":
            return ContinueRequested(at=at)
        case "skip":
            return SkipRequested(at=at, step=given["step"])
        case "resolve":
            return ResolveRequested(at=at, step=given["step"], as_=given["as"])
        case "rollback":
            return RollbackRequested(at=at, to=given.get("to"), force=bool(given.get("force")))
        case "deprovision":
            return DeprovisionRequested(at=at)
        case "cancel":
            return CancelRequested(at=at, rollback=bool(given.get("rollback")))
        case "pause":
            return PauseRequested(at=at)
        case "signal":
            return SignalReceived(at=at, step=given["step"])
        case _:
            raise ProvisioningError(f"no engine of this version knows the verb {request.verb!r}.", code="unknown_verb")


def check(snapshot: RunSnapshot, request: RequestRecord, at: float) -> None:
    """Raise what the run's owner would raise, without changing anything. Earlier verbs that wait are taken into account."""
    machine = Machine(snapshot.graph, snapshot.run, snapshot.steps)
    machine.handle(TakenUp(at=at, only_look=True))
    for earlier in snapshot.requests:
        try_verb(machine, earlier, at)
    _check_on(machine, snapshot, request, at)


def try_verb(machine: Machine, request: RequestRecord, at: float) -> None:
    """Let a throw-away machine have it, whether it accepts or not."""
    try:
        if request.verb != "adopt_plan":
            machine.handle(event_of(request, at))
    except ProvisioningError:
        return


def _check_on(machine: Machine, snapshot: RunSnapshot, request: RequestRecord, at: float) -> None:
    was_set_aside = snapshot.run.attention is not None
    if request.verb == "adopt_plan" or (was_set_aside and request.verb == "continue"):
        return
    try:
        machine.handle(event_of(request, at))
    except Conflict as conflict:
        conflict.run_id = snapshot.run.id
        raise


def carry_out(live: LiveRun, request: RequestRecord, at: float, vault: Vault | None) -> None:
    """Carry a verb out. Raises Conflict, NotFound, InvalidInput or PlanChanged when it is refused; then nothing has changed."""
    snapshot = live.snapshot()
    _check_on(_machine_like(live, snapshot, at), snapshot, request, at)
    adopt(live, vault, at, accept=request.verb == "adopt_plan")
    was_set_aside = live.attention is not None
    if was_set_aside and request.verb in _TAKES_UP:
        live.set_attention(None)
        take_up(live, at, 0.5)
    elif was_set_aside and not live.is_taken_up:
        live.handle(TakenUp(at=at, only_look=True))  # it stays aside, but what it has to count must be counted
    if request.verb == "adopt_plan" or (was_set_aside and request.verb == "continue" and _is_all_that_is_asked(live)):
        _note(live, request, at)
        return
    if request.verb == "retry" and request.arguments.get("input") is not None:
        _correct_input(live, request.arguments, at, vault)
    live.handle(event_of(request, at), first=lambda: _note(live, request, at))
    _take_values(live, request)


def _is_all_that_is_asked(live: LiveRun) -> bool:
    """Whether a run that was set aside needs no more than to be taken up: it moves, or rests where nothing is left to continue."""
    return live.status.moves or "continue" not in live.machine.allowed_actions()


def _machine_like(live: LiveRun, snapshot: RunSnapshot, at: float) -> Machine:
    machine = Machine(live.graph, snapshot.run, snapshot.steps)
    machine.handle(TakenUp(at=at, only_look=True))
    return machine


def _note(live: LiveRun, request: RequestRecord, at: float) -> None:
    data: dict[str, Any] = {
        name: value for name, value in request.arguments.items() if value not in (None, False) and name not in _SECRET_ARGUMENTS
    }
    if request.reason:
        data["why"] = request.reason
    if request.arguments.get("input") is not None:
        data["input_corrected"] = True
    step = data.pop("step", None)
    live.add_event(f"{request.verb}.requested", at, step=step, data=data, actor=request.actor)


def _correct_input(live: LiveRun, given: Mapping[str, Any], at: float, vault: Vault | None) -> None:
    live.correct_input(given["input"], given["digest"])
    before = live.snapshot()
    steps, changed = reconsidered(live.graph, before.steps, skipped_by(live.plan, live, vault))
    live.rebuild(live.graph, steps, dirty=changed)
    tell_reconsidered(live, before, changed, at)
    live.handle(TakenUp(at=at, only_look=True))


def _take_values(live: LiveRun, request: RequestRecord) -> None:
    """Outputs and payloads that came with the verb."""
    given = request.arguments
    match request.verb:
        case "skip":
            live.write(given["step"], output=given.get("output"), error=None)
        case "resolve" if given["as"] == "succeeded":
            live.write(given["step"], output=given.get("output"), error=None)
        case "signal" if given.get("payload") is not None:
            live.write(given["step"], output=given["payload"])
