"""Going on under changed code: which differences matter, and how a run takes over the plan that the code has now."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from provisioning_core.engine._live import LiveRun
from provisioning_core.errors import Difference, PlanChanged
from provisioning_core.model import Node, Plan, PlanGraph, RunSnapshot, StepRecord, StepStatus, Vault

_GOING_BACK = (StepStatus.COMPENSATING, StepStatus.COMPENSATION_FAILED)
_BY_CONDITION = {"reason": "condition", "text": "its condition was looked at again"}
_UNDER_WAY = (StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.IN_DOUBT)
_UNTOUCHED = (StepStatus.PENDING, StepStatus.BLOCKED, StepStatus.CANCELLED, StepStatus.COMPENSATED)


def differences(plan: Plan, snapshot: RunSnapshot, vault: Vault | None = None) -> list[Difference]:
    """What changed since the run was started; empty when nothing did.

    What is stored is what counts: an input or output that the code's types can read is no difference, however they changed. Secrets
    are taken as readable where there is no key to open them.
    """
    if plan.graph.fingerprint == snapshot.graph.code_fingerprint:
        return []

    def is_readable(name: str) -> bool:
        text = snapshot.steps[name].output
        return text is None or plan.codec(name).reads(text, vault=vault, bound_to=f"{snapshot.run.id}/{name}")

    finished = {name for name, step in snapshot.steps.items() if _is_finished(step)}
    found = plan.differences(snapshot.graph, finished, is_readable)
    if not _reads_input(plan, snapshot, vault):
        found.append(Difference(kind="changed", step="the input", detail="what is stored of it does not fit any more", blocking=True))
    return found


def _reads_input(plan: Plan, snapshot: RunSnapshot, vault: Vault | None) -> bool:
    return plan.input_codec.reads(snapshot.run.input, vault=vault, bound_to=f"{snapshot.run.id}/input")


def adopt(live: LiveRun, vault: Vault | None, at: float, *, accept: bool) -> bool:
    """Let the run go on by the code's plan. Raises PlanChanged when that would lose a finished step, unless ``accept``.

    False when the run already goes by it. Conditions are looked at again, unless the input can't be read.
    """
    plan = live.plan
    if plan.graph.fingerprint == live.graph.code_fingerprint:
        return False
    snapshot = live.snapshot()
    found = differences(plan, snapshot, vault)
    if not accept and any(difference.blocking for difference in found):
        raise PlanChanged(found, run_id=live.id, plan=plan.name)
    graph, steps = _merged(plan, snapshot)
    added = _added(graph, snapshot)
    steps, changed = steps | added, list[str]()
    if _reads_input(plan, snapshot, vault):
        steps, changed = reconsidered(graph, steps, skipped_by(plan, live, vault))
    retired = [node.name for node in graph.nodes if node.retired]
    live.rebuild(graph, steps, dirty=[*changed, *added, *retired])
    live.add_event("plan.adopted", at, data={"version": plan.version, "differences": [str(each) for each in found]})
    tell_reconsidered(live, snapshot, changed, at)
    return True


def skipped_by(plan: Plan, live: LiveRun, vault: Vault | None) -> frozenset[str]:
    """Steps whose condition is false for the run's input as it is now."""
    return plan.skipped(plan.input_codec.decode(live.input, vault=vault, bound_to=f"{live.id}/input"))


def reconsidered(
    graph: PlanGraph, steps: Mapping[str, StepRecord], skipped: Collection[str]
) -> tuple[dict[str, StepRecord], list[str]]:
    """Steps that have not run yet, or not since they were undone, by their conditions as they are now; and which of them changed.

    A step that was skipped stays so while something behind it is under way, which would otherwise go on before what it needs.
    """
    found, changed = dict(steps), []

    def behind(node: Node) -> set[str]:
        return graph.descendants([node.name]) - {node.name}

    for node in graph.nodes:
        if not node.conditional:
            continue
        step = found.get(node.name, StepRecord(name=node.name))
        if node.name in skipped and step.status in _UNTOUCHED and not step.effect:
            new: dict[str, Any] = {"status": StepStatus.SKIPPED, "skip_reason": "condition"}
        elif node.name not in skipped and step.skip_reason == "condition" and not _is_anything_under_way(behind(node), found):
            new = {"status": StepStatus.PENDING, "skip_reason": ""}
        else:
            continue
        found[node.name] = replace(_begun_anew(step), **new)
        changed.append(node.name)
    return found, changed


def _is_anything_under_way(names: Collection[str], steps: Mapping[str, StepRecord]) -> bool:
    return any(name in steps and steps[name].status in _UNDER_WAY for name in names)


def _begun_anew(step: StepRecord) -> StepRecord:
    """With a fresh budget; and under another key, if it was undone."""
    was_undone = step.status is StepStatus.COMPENSATED
    return replace(
        step,
        attempt=0,
        failures=0,
        started_at=None,
        finished_at=None,
        error=None,
        undo_error=None,
        round=step.round + was_undone,
        signalled=step.signalled and not was_undone,
        checkpoint=None if was_undone else step.checkpoint,
    )


def tell_reconsidered(live: LiveRun, before: RunSnapshot, changed: Collection[str], at: float) -> None:
    """Enter into the history which steps have another status because their conditions were looked at again."""
    for step in changed:
        old = before.steps.get(step, StepRecord(name=step)).status
        new = live.machine.cell(step).status
        if StepStatus.PENDING not in (old, new):
            live.add_event("step.pending", at, step=step, data={"from": old.value, **_BY_CONDITION})
            old = StepStatus.PENDING
        if old is not new:
            live.add_event(f"step.{new.lower()}", at, step=step, data={"from": old.value, **_BY_CONDITION})


def _added(graph: PlanGraph, snapshot: RunSnapshot) -> dict[str, StepRecord]:
    """Steps that the run did not have. An earlier version of the plan may have had them, so each begins in a round that never was."""
    known, unused = snapshot.graph.index, snapshot.run.token + 1
    return {node.name: StepRecord(name=node.name, round=unused) for node in graph.nodes if node.name not in known}


def _is_finished(step: StepRecord) -> bool:
    by_hand = step.status is StepStatus.SKIPPED and step.skip_reason == "person"
    return step.status is StepStatus.SUCCEEDED or by_hand


def _merged(plan: Plan, snapshot: RunSnapshot) -> tuple[PlanGraph, dict[str, StepRecord]]:
    """The code's graph, and behind it those removed steps that left an effect: they wait to be undone by hand."""
    kept = {name: step for name, step in snapshot.steps.items() if name in plan.graph.index}
    retired: list[Node] = []
    for node in snapshot.graph.nodes:
        step = snapshot.steps.get(node.name)
        if node.name in plan.graph.index or step is None or not step.effect:
            continue
        retired.append(replace(node, needs=(), tolerates=(), retired=True, has_probe=False, conditional=False))
        if step.status not in _GOING_BACK:
            kept[node.name] = replace(step, status=StepStatus.SKIPPED, skip_reason="retired", live=None, zombie=False)
        else:
            kept[node.name] = step
    return plan.graph.with_nodes([*plan.graph.nodes, *retired]) if retired else plan.graph, kept
