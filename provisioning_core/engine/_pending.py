"""What happened in a run since its last commit."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning_core.machine import Command, Launch
from provisioning_core.model import EventRecord, PlanGraph, ResourceRecord, RunStatus


class Pending:
    """Made when the first thing happens, and gone with the commit: a run that waits has none."""

    __slots__ = (
        "commands",
        "ended",
        "events",
        "graph",
        "is_urgent",
        "lazy_since",
        "may_be_stored",
        "old_status",
        "removed_steps",
        "requests_done",
        "resources",
        "settled",
        "steps",
        "vindicates",
    )

    def __init__(self) -> None:
        self.steps: dict[str, None] = {}
        """Names of those that changed, in order."""
        self.events: list[EventRecord] = []
        self.resources: list[ResourceRecord] = []
        self.commands: list[Command] = []
        """To be carried out when it is committed."""
        self.settled: list[str] = []
        self.requests_done: list[str] = []
        self.removed_steps: tuple[str, ...] = ()
        self.ended: list[tuple[str, int]] = []
        """Attempts (step, token) that have ended."""
        self.old_status: RunStatus | None = None
        """Of the run, before it changed first."""
        self.graph: PlanGraph | None = None
        """Another one that was adopted."""
        self.vindicates = False
        """Whether an attempt came to its end by itself: the run does not kill its engines."""
        self.is_urgent = False
        self.lazy_since: float | None = None
        """Since when something waits that is not urgent."""
        self.may_be_stored = False
        """A commit of it failed, perhaps only in that its answer was lost: what is stored is not known."""

    @property
    def launches(self) -> Iterator[Launch]:
        """The commands that begin attempts."""
        return (command for command in self.commands if isinstance(command, Launch))
