"""Starting: one active run per subject; the same request gives back the same run, anything else is a conflict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning_core.engine._views import allowed_actions, weights_text
from provisioning_core.errors import Conflict, InvalidInput
from provisioning_core.model import EventRecord, Plan, RunRecord, RunSnapshot, RunStatus, StepRecord, StepStatus, Vault
from provisioning_core.ports import NewRun, Store

_ACTIVE = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING, RunStatus.PAUSED)
_LONGEST = 200
_LONGEST_REASON = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What a caller wants to be provisioned."""

    run_id: str
    plan: Plan
    subject: str
    input: str
    digest: str
    skipped: frozenset[str]
    again: bool
    idempotency_key: str | None
    labels: Mapping[str, str]
    actor: str | None
    reason: str | None
    connection: Any


def check_subject(subject: str) -> str:
    """A subject's id: 1 to 200 characters, none of them a control character. Raises InvalidInput."""
    if not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST or not subject.isprintable() or subject.strip() != subject:
        raise InvalidInput(
            "The subject is not usable as an id.",
            code="invalid_subject",
            hint=f"Use 1 to {_LONGEST} printable characters, without spaces around.",
        )
    return subject


def check_key(key: str | None) -> str | None:
    """An idempotency key: 1 to 200 printable characters. Raises InvalidInput."""
    if key is not None and (not isinstance(key, str) or not 1 <= len(key) <= _LONGEST or not key.isprintable()):
        raise InvalidInput(
            "The idempotency key is not usable.", code="invalid_idempotency_key", hint="Use 1 to 200 printable characters."
        )
    return key


def check_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """At most 20 labels, short strings both. Raises InvalidInput."""
    found = dict(labels or {})
    fits = len(found) <= 20 and all(
        isinstance(text, str) and len(text) <= _LONGEST and "\x00" not in text for pair in found.items() for text in pair
    )
    if not fits:
        raise InvalidInput(
            "The labels are not usable.", code="invalid_labels", hint="At most 20 pairs of strings up to 200 characters."
        )
    return found


def check_teller(actor: str | None, reason: str | None) -> None:
    """Who asks for a verb, and why: both enter the history. Raises InvalidInput."""
    for what, text, longest in (("actor", actor, _LONGEST), ("reason", reason, _LONGEST_REASON)):
        if text is not None and (not isinstance(text, str) or len(text) > longest or not _is_storable(text)):
            hint = f"Use at most {longest:,} characters of text."
            raise InvalidInput(f"The {what} is not usable.", code=f"invalid_{what}", hint=hint)


def _is_storable(text: str) -> bool:
    return "\x00" not in text and text.encode("utf-8", "ignore").decode() == text


def already(store: Store, wanted: StartRequest, plans: Mapping[str, Plan], vault: Vault | None = None) -> RunRecord | None:
    """The run that this request already has; None when a new one may be created. Raises Conflict."""
    if wanted.idempotency_key is not None:
        known = store.by_idempotency_key(wanted.subject, wanted.idempotency_key, connection=wanted.connection)
        if known is not None and not _is_same(known, wanted):
            raise _reused(store.load(known.id, connection=wanted.connection), plans, vault)
        if known is not None:
            return known
    latest = store.latest(wanted.subject, connection=wanted.connection)
    if latest is None or latest.status is RunStatus.ROLLED_BACK:
        return None
    if latest.status in _ACTIVE and _is_same(latest, wanted):
        return latest
    if latest.status is RunStatus.SUCCEEDED and wanted.again:
        return None
    snapshot = store.load(latest.id, connection=wanted.connection)
    if latest.status is RunStatus.CANCELLED and not any(step.effect for step in snapshot.steps.values()):
        return None
    raise _conflict(snapshot, plans, vault)


def _is_same(run: RunRecord, wanted: StartRequest) -> bool:
    return run.plan == wanted.plan.name and run.input_digest == wanted.digest


def _reused(snapshot: RunSnapshot, plans: Mapping[str, Plan], vault: Vault | None) -> Conflict:
    run = snapshot.run
    return Conflict(
        "This idempotency key was used for another plan or input.",
        code="idempotency_key_reused",
        hint="Use a new key for a new request.",
        run_id=run.id,
        status=run.status,
        allowed_actions=allowed_actions(snapshot, plans.get(run.plan), vault),
    )


def _conflict(snapshot: RunSnapshot, plans: Mapping[str, Plan], vault: Vault | None) -> Conflict:
    run = snapshot.run
    allowed = allowed_actions(snapshot, plans.get(run.plan), vault)
    if run.status is RunStatus.SUCCEEDED:
        return Conflict(
            f"{run.subject!r} is already provisioned (plan {run.plan!r}).",
            code="already_provisioned",
            hint="`start` it with again=True, or `deprovision` it first.",
            run_id=run.id,
            status=run.status,
            allowed_actions=allowed,
        )
    return Conflict(
        f"{run.subject!r} already has a run that is {run.status} (plan {run.plan!r}).",
        code="already_active",
        run_id=run.id,
        status=run.status,
        allowed_actions=allowed,
    )


def new_run(
    wanted: StartRequest, *, at: float, owner: str | None, durations: Mapping[str, float], trace: str | None = None
) -> NewRun:
    """The run to be created. With an owner it is that engine's from the beginning."""
    graph = wanted.plan.graph
    events = _first_events(wanted, at)
    run = RunRecord(
        id=wanted.run_id,
        plan=wanted.plan.name,
        plan_version=graph.version,
        fingerprint=graph.fingerprint,
        subject=wanted.subject,
        input=wanted.input,
        input_digest=wanted.digest,
        labels=wanted.labels,
        idempotency_key=wanted.idempotency_key,
        epoch=1 if owner else 0,
        owner=owner,
        version=1,
        seq=len(events),
        weights=weights_text(graph.nodes, durations),
        trace=trace,
        created_at=at,
        runnable_at=at,
    )
    steps = tuple(
        StepRecord(name=node.name, status=StepStatus.SKIPPED, skip_reason="condition")
        for node in graph.nodes
        if node.name in wanted.skipped
    )
    return NewRun(run=run, graph=graph, steps=steps, events=events)


def _first_events(wanted: StartRequest, at: float) -> tuple[EventRecord, ...]:
    data: dict[str, Any] = {"plan": wanted.plan.name, "version": wanted.plan.version}
    if wanted.labels:
        data["labels"] = dict(wanted.labels)
    if wanted.reason:
        data["why"] = wanted.reason
    created = EventRecord(run_id=wanted.run_id, seq=1, at=at, type="run.created", data=data, actor=wanted.actor)
    skipped = [node.name for node in wanted.plan.graph.nodes if node.name in wanted.skipped]
    return (
        created,
        *(
            EventRecord(run_id=wanted.run_id, seq=number, at=at, type="step.skipped", step=name, data={"reason": "condition"})
            for number, name in enumerate(skipped, start=2)
        ),
    )
