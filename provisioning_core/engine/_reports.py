"""How an attempt's end, and what it told while it ran, gets into its run."""

from __future__ import annotations

from provisioning_core.engine import _wording
from provisioning_core.engine._attempts import BrokenOff, Done, Ended, Found, Missed, Result
from provisioning_core.engine._live import LiveRun
from provisioning_core.engine._outcomes import Polls, Raised
from provisioning_core.machine import (
    AttemptFailed,
    AttemptLost,
    AttemptNotReady,
    AttemptSucceeded,
    ProbeFound,
    ProbeMissed,
    Report,
    ResolveRequested,
    TakenUp,
)
from provisioning_core.model import Direction, StepStatus, maker

_succeeded = maker(AttemptSucceeded, ("at", "step", "token", "chance"))  # how nearly all end


def take_up(live: LiveRun, at: float, chance: float) -> None:
    """Begin with, or go on with, a run that this engine has just got."""
    completed = {
        each.step for each in live.completions if each.step in live.graph.index and live.machine.cell(each.step).token == each.token
    }
    live.handle(TakenUp(at=at, completed=frozenset(completed), zombies=frozenset(live.zombies), chance=chance))
    for each in live.completions:
        if each.step in completed and live.machine.cell(each.step).status is StepStatus.SUCCEEDED:
            live.write(each.step, output=each.output)
        live.settle_completion(each.step)
    for step, engine in live.zombies.items():
        if engine is not None and live.machine.cell(step).status is StepStatus.IN_DOUBT:
            live.write(step, error=_wording.left_alone(live.graph.nodes[live.graph.index[step]], engine, at))


def report(live: LiveRun, ended: Ended, at: float, chance: float) -> None:
    """Take an attempt's end in. A result that comes too late is refused, and the attempt merely counts as ended."""
    step, result = ended.key.step, ended.result
    cell = live.machine.cell(step)
    if cell.live is None or cell.token != ended.key.token:
        return
    if not live.is_taken_up:
        live.reported(step, ended.key.token, by_itself=False)
        live.disown(step)
        return
    was_given_up = cell.zombie
    if isinstance(result, Done) and result.is_completed and not was_given_up:
        at = at if cell.deadline_at is None else min(at, cell.deadline_at)
    is_late = was_given_up or (cell.deadline_at is not None and at > cell.deadline_at)
    live.reported(step, ended.key.token, by_itself=not isinstance(result, BrokenOff))
    if is_late and not isinstance(result, BrokenOff):
        _note_timeout(live, ended, at)
    else:
        _write(live, ended, at)
    live.handle(_event_of(ended, result, at, chance))
    if isinstance(result, Done) and result.is_completed:
        _complete(live, step, result, at)


def _complete(live: LiveRun, step: str, result: Done, at: float) -> None:
    """A transactional step's writes are there, even if its time was up while it committed."""
    if live.machine.cell(step).status is StepStatus.IN_DOUBT:
        live.handle(ResolveRequested(at=at, step=step, as_="succeeded"))
        live.write(step, output=result.output)
    live.settle_completion(step)


def _note_timeout(live: LiveRun, ended: Ended, at: float) -> None:
    if ended.direction is Direction.COMPENSATE:
        node = live.graph.nodes[live.graph.index[ended.key.step]]
        live.write(ended.key.step, undo_error=_wording.timeout(node, node.compensation_timeout, at, undo=True))


def _write(live: LiveRun, ended: Ended, at: float) -> None:
    step = ended.key.step
    match ended.result:
        case Done(output=output) | Found(output=output) if ended.direction is not Direction.COMPENSATE:
            live.write(step, output=output)
        case Raised() as raised:
            node = live.graph.nodes[live.graph.index[step]]
            error = _wording.failure(node, raised, ended.direction, at)
            goes_back = live.machine.cell(step).status is StepStatus.COMPENSATING
            live.write(step, **{"undo_error" if goes_back else "error": error})
        case Polls(message=message) if message:
            live.write(step, message=message[:500])


def _event_of(ended: Ended, result: Result, at: float, chance: float) -> Report:
    step, token = ended.key.step, ended.key.token
    match result:
        case Done():
            return _succeeded(at, step, token, chance)
        case Found():
            return ProbeFound(at=at, step=step, token=token, chance=chance)
        case Missed():
            return ProbeMissed(at=at, step=step, token=token, chance=chance)
        case BrokenOff():
            return AttemptLost(at=at, step=step, token=token, chance=chance)
        case Polls(after=after):
            return AttemptNotReady(at=at, step=step, token=token, after=after)
        case Raised():
            return AttemptFailed(
                at=at,
                step=step,
                token=token,
                retryable=result.retryable,
                retry_after=result.retry_after,
                interrupted=result.interrupted,
                chance=chance,
            )
        case _:
            raise TypeError(f"{type(result).__name__} is no end that a machine hears of")
