"""What the store in memory keeps of one run, and how a commit changes it."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace

from provisioning_core.model import EventRecord, PlanGraph, RequestRecord, ResourceRecord, RunRecord, RunSnapshot, StepRecord
from provisioning_core.ports import RunChange, RunHead

_FIXED = ("plan", "subject", "created_at")


@dataclass(slots=True)
class KeptRun:
    """All of one run."""

    number: int
    run: RunRecord
    graph: PlanGraph
    steps: dict[str, StepRecord]
    events: list[EventRecord]
    resources: dict[tuple[str, str, str], ResourceRecord] = field(default_factory=dict)
    requests: dict[str, RequestRecord] = field(default_factory=dict)

    def snapshot(self) -> RunSnapshot:
        return RunSnapshot(
            run=self.run,
            graph=self.graph,
            steps=dict(self.steps),
            resources=tuple(self.resources.values()),
            requests=tuple(self.waiting()),
        )

    def head(self) -> RunHead:
        run = self.run
        is_set_aside = run.attention is not None
        return RunHead(
            status=run.status, version=run.version, seq=run.seq, has_requests=bool(self.requests), is_set_aside=is_set_aside
        )

    def waiting(self) -> list[RequestRecord]:
        """Verbs to be carried out, oldest first."""
        return sorted(self.requests.values(), key=lambda request: request.at)

    def events_after(self, number: int, limit: int) -> list[EventRecord]:
        first = bisect_right(self.events, number, key=lambda event: event.seq)
        return self.events[first : first + limit]

    def is_repeated(self, change: RunChange) -> bool:
        """Whether an earlier commit of the same change went through."""
        return self.run.version >= change.run.version

    def new_events(self, change: RunChange) -> list[EventRecord]:
        """Those that are not written already."""
        known = self.run.seq if self.is_repeated(change) else 0
        return [event for event in change.events if event.seq > known]

    def has_effect_after(self, change: RunChange) -> bool:
        """Whether a step would have an effect with this change."""
        changed = {step.name: step for step in change.steps}
        kept = (step for name, step in self.steps.items() if name not in changed and name not in change.removed_steps)
        return any(step.effect for steps in (changed.values(), kept) for step in steps)

    def write(self, change: RunChange) -> None:
        for name in change.removed_steps:
            self.steps.pop(name, None)
        for step in change.steps:
            self.steps[step.name] = step
        self.graph = change.graph or self.graph
        self.events.extend(self.new_events(change))
        for entry in change.resources:
            key = (entry.step, entry.kind, entry.id)
            self.resources.pop(key, None)
            self.resources[key] = entry
        for request_id in change.requests_done:
            self.requests.pop(request_id, None)
        if change.only_counters:
            self.run = self._with_counters(change.run)
        else:
            fixed = {name: getattr(self.run, name) for name in _FIXED}
            owner = None if change.release else change.run.owner
            self.run = replace(change.run, **fixed, owner=owner, runnable_at=self._runnable_at(change.run.runnable_at))

    def _with_counters(self, run: RunRecord) -> RunRecord:
        """A verb may have been recorded meanwhile, and have made the run runnable earlier: that stays."""
        return run if run.runnable_at == self.run.runnable_at else replace(run, runnable_at=self.run.runnable_at)

    def _runnable_at(self, wanted: float | None) -> float | None:
        """No later than the latest verb that still waits."""
        if not self.requests:
            return wanted
        latest = max(request.at for request in self.requests.values())
        return latest if wanted is None else min(wanted, latest)
