"""Every legal change of status, as two tables. One gate (:meth:`Board.move_step`, :meth:`Board.move_run`) checks them.

docs/states.md is generated from these tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from provisioning_core.model import RunStatus as R
from provisioning_core.model import StepStatus as S

STEP_MOVES: Mapping[S, frozenset[S]] = {
    S.PENDING: frozenset({S.RUNNING, S.WAITING, S.SKIPPED, S.BLOCKED, S.CANCELLED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.FAILED, S.RETRYING, S.IN_DOUBT, S.CANCELLED}),
    S.RETRYING: frozenset({S.RUNNING, S.FAILED, S.CANCELLED, S.COMPENSATING, S.COMPENSATED}),
    S.WAITING: frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED}),
    S.SUCCEEDED: frozenset({S.COMPENSATING, S.COMPENSATED, S.PENDING}),
    S.FAILED: frozenset({S.PENDING, S.SKIPPED, S.COMPENSATING, S.COMPENSATED}),
    S.IN_DOUBT: frozenset({S.RUNNING, S.RETRYING, S.SUCCEEDED, S.FAILED, S.CANCELLED, S.COMPENSATING, S.COMPENSATED}),
    S.SKIPPED: frozenset({S.PENDING, S.COMPENSATING, S.COMPENSATED}),
    S.BLOCKED: frozenset({S.PENDING}),
    S.CANCELLED: frozenset({S.PENDING, S.COMPENSATING, S.COMPENSATED}),
    S.COMPENSATING: frozenset({S.COMPENSATED, S.COMPENSATION_FAILED}),
    S.COMPENSATED: frozenset({S.PENDING}),
    S.COMPENSATION_FAILED: frozenset({S.COMPENSATING, S.COMPENSATED}),
}
"""From each step status, those it may change to."""

RUN_MOVES: Mapping[R, frozenset[R]] = {
    R.PENDING: frozenset({R.RUNNING, R.PAUSED, R.CANCELLING, R.ROLLING_BACK}),
    R.RUNNING: frozenset({R.WAITING, R.PAUSED, R.SUCCEEDED, R.FAILED, R.CANCELLING, R.ROLLING_BACK}),
    R.WAITING: frozenset({R.RUNNING, R.PAUSED, R.SUCCEEDED, R.FAILED, R.CANCELLING, R.ROLLING_BACK}),
    R.PAUSED: frozenset({R.RUNNING, R.CANCELLING, R.ROLLING_BACK}),
    R.SUCCEEDED: frozenset({R.RUNNING, R.ROLLING_BACK}),
    R.FAILED: frozenset({R.RUNNING, R.ROLLING_BACK}),
    R.CANCELLING: frozenset({R.CANCELLED, R.ROLLING_BACK}),
    R.CANCELLED: frozenset({R.RUNNING, R.ROLLING_BACK}),
    R.ROLLING_BACK: frozenset({R.ROLLED_BACK, R.ROLLBACK_FAILED, R.PAUSED}),
    R.ROLLED_BACK: frozenset({R.RUNNING}),
    R.ROLLBACK_FAILED: frozenset({R.ROLLING_BACK}),
}
"""From each run status, those it may change to."""
