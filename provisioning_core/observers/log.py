"""Every line of a run's history, as a record of the standard library's ``logging``; and a formatter that writes records as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from provisioning_core.model import Event, RunSummary

_ALARMING = ("failed", "in_doubt", "set_aside", "refused")
_OF_EVERY_RECORD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}


class LogObserver:
    """Logs each event under ``provisioning_core.events``; those that tell of a failure as warnings.

    ``run_id``, ``subject``, ``plan``, ``step``, ``attempt``, ``seq``, ``event`` and ``actor`` are set on each record, for formatters
    that write JSON. What an event holds besides, an error's message among it, is not logged.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("provisioning_core.events")

    def notify_run(self, run: RunSummary, events: Sequence[Event]) -> None:
        """Log these events of a run."""
        for event in events:
            self._log(event, run.subject, run.plan)

    def notify(self, events: Sequence[Event]) -> None:
        """Log these events, where no more is known of their run."""
        for event in events:
            self._log(event, None, None)

    def _log(self, event: Event, subject: str | None, plan: str | None) -> None:
        fields = {
            "run_id": event.run_id,
            "subject": subject,
            "plan": plan,
            "step": event.step,
            "attempt": event.attempt,
            "seq": event.seq,
            "event": event.type,
            "actor": event.actor,
        }
        where = f" {event.step}" if event.step else ""
        self._logger.log(_level(event), "%s #%d %s%s", event.run_id, event.seq, event.type, where, extra=fields)


class JsonFormatter(logging.Formatter):
    """One JSON object on one line for each record: ``at level logger message``, all ``extra`` fields, and ``exception`` if any.

    In ASCII, and what JSON does not know as its text, so that no field can break a line or the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        told: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD and name not in told}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = self.formatStack(record.stack_info)
        return json.dumps(told, default=str)


def _level(event: Event) -> int:
    return logging.WARNING if event.type.endswith(_ALARMING) else logging.INFO
