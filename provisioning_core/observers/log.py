"""Every line of a run's history, as a record of the standard library's ``logging``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from provisioning_core.model import Event

_ALARMING = ("failed", "in_doubt", "set_aside", "refused")


class LogObserver:
    """Logs each event under ``provisioning_core.events``; those that tell of a failure as warnings.

    ``run_id``, ``step``, ``attempt``, ``seq`` and ``event`` are set on each record, for formatters that write JSON.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("provisioning_core.events")

    def notify(self, events: Sequence[Event]) -> None:
        """Log these events."""
        for event in events:
            fields = {
                "run_id": event.run_id,
                "step": event.step,
                "attempt": event.attempt,
                "seq": event.seq,
                "event": event.type,
                "actor": event.actor,
            }
            where = f" {event.step}" if event.step else ""
            self._logger.log(_level(event), "%s #%d %s%s", event.run_id, event.seq, event.type, where, extra=fields)


def _level(event: Event) -> int:
    return logging.WARNING if event.type.endswith(_ALARMING) else logging.INFO
