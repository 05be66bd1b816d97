"""Judges a set-up before something goes wrong: the store, this host and the engine's settings, and whether they fit one another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, cast

from provisioning_core.engine._identity import is_known_dead, new_identity
from provisioning_core.engine._settings import Settings
from provisioning_core.engine._store_findings import judge
from provisioning_core.errors import ProvisioningError, SchemaMismatch, StoreUnavailable
from provisioning_core.executors import ProcessExecutor
from provisioning_core.model import EngineRecord, Finding, Plan, Standing, Vault, several
from provisioning_core.ports import Examinable, Store


def diagnose(settings: Settings, vault: Vault | None, webhooks: Any) -> Iterator[Finding]:
    """All findings, in the order in which they are worth reading. Changes nothing; never raises for what is wrong with the store."""
    store = settings.store
    examinable = cast("Examinable", store) if hasattr(store, "facts") else None  # a wrapper may have it of the store inside
    if examinable is None:
        yield Finding(
            check="store",
            level="ok" if store.is_durable else "warn",
            said=f"{type(store).__name__}." if store.is_durable else f"{type(store).__name__} forgets everything with the process.",
            hint="" if store.is_durable else "Use SqlStore where runs must outlive the process.",
        )
    else:
        yield from _of_store(settings, examinable, vault)
    yield from _plans(settings.plans, settings.limits)
    yield from _targets(webhooks)


def _of_store(settings: Settings, store: Examinable, vault: Vault | None) -> Iterator[Finding]:
    try:
        facts = store.facts()
    except (StoreUnavailable, SchemaMismatch) as error:
        check = "schema" if isinstance(error, SchemaMismatch) else "store"
        yield Finding(check=check, level="fail", said=error.message, hint=error.hint)
        return
    yield from judge(facts, settings, None if vault is None else vault.key_id)
    if facts.revision == facts.wanted:
        yield from _of_what_is_recorded(settings)


def _of_what_is_recorded(settings: Settings) -> Iterator[Finding]:
    try:
        engines = settings.store.engines()
        standing = settings.store.standing(settings.clock_or_system().now())
    except ProvisioningError as error:
        yield Finding(check="store", level="fail", said=error.message, hint=error.hint)
        return
    yield from judge_engines(engines, settings)
    yield from judge_runs(standing, settings.lease)


def living_and_dead(rows: Collection[EngineRecord]) -> tuple[list[EngineRecord], list[EngineRecord]]:
    """Engines that count as alive, and those whose process is known to be gone; neither are those that only fell silent."""
    me = new_identity()
    dead = [each for each in rows if is_known_dead(each, me)]
    return [each for each in rows if each.overdue <= 0 and each not in dead], dead


def is_anybody_at_work(store: Store) -> bool:
    """Whether an engine of the store counts as alive. Raises StoreUnavailable."""
    return bool(living_and_dead(store.engines())[0])


def judge_engines(engines: Iterable[EngineRecord], settings: Settings) -> Iterator[Finding]:
    """Who else works on the store. One whose process ran on this host and is gone is known to be dead before its lease is over."""
    rows = list(engines)
    living, dead = living_and_dead(rows)
    silent = len(rows) - len(dead) - len(living)
    hosts = {each.host for each in living}
    others = [f"{count} {word}" for count, word in ((silent, "silent"), (len(dead), "dead")) if count]
    said = ", ".join([f"{len(living)} at work" + (f" on {len(hosts)} hosts" if len(hosts) > 1 else ""), *others])
    if others and not living:
        hint = "Their runs wait for an engine: start `provision worker`, or an app whose engine works."
        yield Finding(check="engines", level="warn", said=f"{said}.", hint=hint)
    else:
        yield Finding(check="engines", level="ok", said=f"{said}.")
    if len(hosts) > 1 and not isinstance(settings.executor, ProcessExecutor | ProcessPoolExecutor):
        wait = settings.quarantine_or_lease
        said = f"Threads can't be killed: steps of a host that falls silent are left alone for its lease and {wait:g} s more."
        hint = "If hosts may be paused for longer and go on, raise quarantine=, or use the ProcessExecutor with timeouts."
        yield Finding(check="zombies", level="ok", said=f"{said} {hint}")


def judge_runs(standing: Standing, lease: float) -> Iterator[Finding]:
    """Whether runs wait for somebody."""
    failed = standing.counts.get("ROLLBACK_FAILED", 0)
    if standing.set_aside or failed:
        aside = f"{several(standing.set_aside, 'run was', 'runs were')} set aside"
        said = f"{aside}, {several(failed, 'rollback')} failed: a person has to act."
        yield Finding(check="runs", level="warn", said=said, hint="`provision runs`, then `provision explain SUBJECT`.")
    elif standing.unclaimed and standing.unclaimed_for > 2 * lease:
        idle = several(standing.unclaimed, "run should move and has", "runs should move and have")
        said = f"{idle} no engine, one for {standing.unclaimed_for:.0f} s."
        yield Finding(check="runs", level="warn", said=said, hint="Start an engine that has their plans and works.")
    else:
        total = sum(standing.counts.values())
        yield Finding(check="runs", level="ok", said=f"{total} recorded, none waits for an operator." if total else "None yet.")


def _plans(plans: Iterable[Plan], limits: Mapping[str, int]) -> Iterator[Finding]:
    known = list(plans)
    unknown = sorted({(plan.name, limit) for plan in known for limit in plan.limits if limit not in limits})
    if unknown:
        said = (
            ", ".join(f"plan {plan!r} has the limit {limit!r}" for plan, limit in unknown) + ", for which the engine has no number."
        )
        yield Finding(
            check="plans", level="warn", said=said, hint="Give the engine limits={...}; without a number it does not limit."
        )
    elif known:
        yield Finding(check="plans", level="ok", said=f"{len(known)}: {', '.join(plan.name for plan in known)}.")


def _targets(webhooks: Any) -> Iterator[Finding]:
    if webhooks is None:
        return
    if getattr(webhooks, "allows_private_targets", False):
        said = "allow_private_targets is on: whoever may add an endpoint can make this process call hosts of its own network."
        yield Finding(check="webhooks", level="warn", said=said, hint="Turn it off unless all who may add endpoints are trusted.")
    else:
        yield Finding(check="webhooks", level="ok", said="They go to public addresses only.")
