"""A sign and a colour's name for every status of a step. A word always stands beside them: a colour alone tells nothing."""

from __future__ import annotations

from collections.abc import Mapping

from provisioning_core.model._status import StepStatus

SYMBOLS: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "○",
    StepStatus.RUNNING: "▶",
    StepStatus.RETRYING: "↻",
    StepStatus.WAITING: "⧖",
    StepStatus.SUCCEEDED: "✓",
    StepStatus.FAILED: "✗",
    StepStatus.IN_DOUBT: "?",
    StepStatus.SKIPPED: "–",
    StepStatus.BLOCKED: "⊘",
    StepStatus.CANCELLED: "◌",
    StepStatus.COMPENSATING: "↶",
    StepStatus.COMPENSATED: "↩",
    StepStatus.COMPENSATION_FAILED: "‼",
}
FAMILY: Mapping[StepStatus, str] = {
    StepStatus.PENDING: "idle",
    StepStatus.RUNNING: "busy",
    StepStatus.RETRYING: "busy",
    StepStatus.WAITING: "wait",
    StepStatus.SUCCEEDED: "done",
    StepStatus.FAILED: "bad",
    StepStatus.IN_DOUBT: "wait",
    StepStatus.SKIPPED: "idle",
    StepStatus.BLOCKED: "idle",
    StepStatus.CANCELLED: "idle",
    StepStatus.COMPENSATING: "busy",
    StepStatus.COMPENSATED: "undone",
    StepStatus.COMPENSATION_FAILED: "bad",
}
"""Statuses that look alike; each drawing has a colour for each family."""
