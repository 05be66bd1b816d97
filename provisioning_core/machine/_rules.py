"""The invariants that one record shows by itself, as tables: the code, what would break it, and how that is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from provisioning_core.model import Direction, Node, Phase, RunRecord, RunSnapshot, StepRecord
from provisioning_core.model import RunStatus as R
from provisioning_core.model import StepStatus as S

BACK = frozenset({R.ROLLING_BACK, R.ROLLED_BACK, R.ROLLBACK_FAILED})
_ENDED = frozenset({R.SUCCEEDED, R.FAILED, R.CANCELLED, R.ROLLED_BACK, R.ROLLBACK_FAILED})
_UNDOING = (S.COMPENSATING, S.COMPENSATION_FAILED)


class RunRule(NamedTuple):
    """What must not be of a run's record."""

    code: str
    breaks: Callable[[RunRecord], bool]
    text: str


class StepRule(NamedTuple):
    """What must not be of one step's record."""

    code: str
    breaks: Callable[[StepRecord, Node], bool]
    text: str


class StoredRule(NamedTuple):
    """What must not be of all that is stored of a run."""

    code: str
    breaks: Callable[[RunSnapshot], bool]
    text: str


RUN_RULES: tuple[RunRule, ...] = (
    RunRule("counts_make_sense", lambda run: min(run.epoch, run.token, run.takeovers) < 0, "it has a number below 0"),
    RunRule("counts_make_sense", lambda run: run.owner is not None and run.epoch < 1, "it has an owner, but no epoch"),
    RunRule("counts_make_sense", lambda run: not 0.0 <= run.progress <= 1.0, "its progress is {run.progress}"),
    RunRule(
        "phase_fits_status", lambda run: (run.phase is Phase.BACK) != (run.status in BACK), "it is {run.status} going {run.phase}"
    ),
    RunRule(
        "phase_fits_status",
        lambda run: run.phase is Phase.REDO and run.status in (R.PENDING, R.SUCCEEDED),
        "it is {run.status}, but steps are still to be run again",
    ),
    RunRule(
        "phase_fits_status",
        lambda run: run.phase is not Phase.BACK and (run.rollback_to is not None or run.forced),
        "it goes {run.phase}, but has what only a rollback has",
    ),
    RunRule("phase_fits_status", lambda run: run.pausing and run.status is not R.RUNNING, "it is {run.status}, and asked to pause"),
    RunRule(
        "phase_fits_status",
        lambda run: run.cancel_rollback and run.status is not R.CANCELLING,
        "it is {run.status}, and asked to be rolled back when it is cancelled",
    ),
    RunRule("times_fit_status", lambda run: (run.finished_at is None) == (run.status in _ENDED), "it is {run.status}, ended {ended}"),
    RunRule("times_fit_status", lambda run: run.status is R.RUNNING and run.started_at is None, "it is RUNNING, but never started"),
)

STEP_RULES: tuple[StepRule, ...] = (
    StepRule(
        "attempt_fits_status",
        lambda step, _: (step.status is S.RUNNING) != (step.live is Direction.FORWARD and not step.zombie),
        "it is {step.status}, under way: {live}",
    ),
    StepRule(
        "attempt_fits_status",
        lambda step, _: step.live is Direction.COMPENSATE and step.status is not S.COMPENSATING,
        "it is {step.status} while a compensation is under way",
    ),
    StepRule(
        "attempt_fits_status",
        lambda step, _: step.live is Direction.PROBE and step.status not in (S.IN_DOUBT, S.COMPENSATING),
        "it is {step.status} while its probe is under way",
    ),
    StepRule("attempt_fits_status", lambda step, _: step.zombie and step.live is None, "a given-up attempt lives, and none lives"),
    StepRule(
        "attempt_fits_status",
        lambda step, node: node.is_gate and step.live is not None and not step.zombie,
        "it is a gate with an attempt under way",
    ),
    StepRule("effect_fits_status", lambda step, _: step.effect and step.token == 0, "it has an effect, but was never begun"),
    StepRule("effect_fits_status", lambda step, _: step.half_done and not step.effect, "it is half done, but without effect"),
    StepRule(
        "effect_fits_status",
        lambda step, _: step.status in (S.RUNNING, S.IN_DOUBT) and not step.half_done,
        "it is {step.status}, but its outcome is said to be known",
    ),
    StepRule(
        "effect_fits_status",
        lambda step, _: step.status in _UNDOING and not step.effect,
        "it is {step.status}, but has no effect to undo",
    ),
    StepRule(
        "effect_fits_status",
        lambda step, node: step.status is S.SUCCEEDED and step.token > 0 and not node.is_gate and not step.effect,
        "it is SUCCEEDED, but without effect: a rollback would pass it over",
    ),
    StepRule(
        "effect_fits_status",
        lambda step, _: step.status is S.SUCCEEDED and step.half_done,
        "it is SUCCEEDED, and its outcome unknown",
    ),
    StepRule(
        "effect_fits_status",
        lambda step, _: step.status is S.COMPENSATED and (step.effect or step.live is not None or step.output is not None),
        "it is COMPENSATED, but not clean (effect: {step.effect}, under way: {live})",
    ),
    StepRule(
        "waits_for_something",
        lambda step, _: step.status is S.RETRYING and step.next_attempt_at is None,
        "it is RETRYING, but no time is set for its next attempt",
    ),
    StepRule("waits_for_something", lambda step, node: step.status is S.WAITING and not node.is_gate, "it is WAITING, but no gate"),
    StepRule(
        "counts_make_sense",
        lambda step, _: min(step.attempt, step.failures, step.token) < 0 or step.round < 1,
        "it has a number below its start",
    ),
    StepRule(
        "counts_make_sense",
        lambda step, _: max(step.attempt, step.failures) > step.token,
        "it has more attempts or failures than tokens were given out",
    ),
    StepRule("tokens_grow", lambda step, _: step.live is not None and step.token == 0, "an attempt without a token is under way"),
)

STORED_RULES: tuple[StoredRule, ...] = (
    StoredRule("counts_make_sense", lambda all_: min(all_.run.version, all_.run.seq) < 1, "it was never written by an engine"),
    StoredRule(
        "moving_is_found",
        lambda all_: all_.run.status.moves and all_.run.attention is None and all_.run.runnable_at is None,
        "it is {run.status}, and no engine would ever look for it",
    ),
    StoredRule(
        "resting_has_no_timer",
        lambda all_: all_.run.runnable_at is not None and not all_.requests and _waits_for_nothing(all_.run),
        "it is {run.status}, but engines look for it",
    ),
    StoredRule(
        "waiting_has_timer",
        lambda all_: (
            all_.run.status is R.WAITING
            and all_.run.attention is None
            and all_.run.runnable_at is None
            and any(_has_timer(step) for step in all_.steps.values())
        ),
        "one of its gates has a time, and no engine would look at it then",
    ),
    StoredRule(
        "requests_are_found",
        lambda all_: bool(all_.requests) and all_.run.runnable_at is None,
        "a verb is recorded for it, and no engine would look for it",
    ),
    StoredRule(
        "tokens_grow",
        lambda all_: any(not 0 <= token <= all_.run.token for token in _tokens(all_)),
        "a resource or an output has a token that was never given out",
    ),
)


def _waits_for_nothing(run: RunRecord) -> bool:
    return run.attention is not None or not (run.status.moves or run.status is R.WAITING)


def _has_timer(step: StepRecord) -> bool:
    return step.status is S.WAITING and (step.next_attempt_at is not None or step.deadline_at is not None)


def _tokens(snapshot: RunSnapshot) -> Iterator[int]:
    yield from (resource.token for resource in snapshot.resources)
    yield from (completion.token for completion in snapshot.completions)
