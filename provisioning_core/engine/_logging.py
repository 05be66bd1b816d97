"""What the engine's log records carry besides their text, for formatters: ``run_id subject plan step attempt``.

All five are set on every record about a run, to None where there is none. The library configures no logging: without a handler of
the application's its records go nowhere.
"""

from __future__ import annotations

import logging
from typing import Any

from provisioning_core.engine._attempts import Attempt
from provisioning_core.model import RunRecord, UnreadableRun

logging.getLogger("provisioning_core").addHandler(logging.NullHandler())


def about(run: RunRecord) -> dict[str, Any]:
    """Of a record about a run."""
    return {"run_id": run.id, "subject": run.subject, "plan": run.plan, "step": None, "attempt": None}


def about_unreadable(run: UnreadableRun) -> dict[str, Any]:
    """Of a record about a run of which no more is known."""
    return {"run_id": run.id, "subject": None, "plan": None, "step": None, "attempt": None}


def about_attempt(attempt: Attempt) -> dict[str, Any]:
    """Of a record about an attempt."""
    return {
        "run_id": attempt.key.run_id,
        "subject": attempt.subject,
        "plan": attempt.plan.name,
        "step": attempt.key.step,
        "attempt": attempt.attempt,
    }
