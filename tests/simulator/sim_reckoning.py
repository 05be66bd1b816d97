"""When all is over: does the history hold together, and was everybody served who was told so?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sim_people import Asked

from provisioning_core.model import OCCUPYING, EventRecord, RunStatus
from provisioning_core.stores._kept import KeptRun
from provisioning_core.testing import verify_history

if TYPE_CHECKING:
    from sim_simulation import Simulation

_RESETS_FROM = ("COMPENSATED", "SUCCEEDED")


def reckon(sim: Simulation) -> None:
    """Tell the trace of every promise that was broken."""
    kept = sim.world.memory._kept
    for each in kept.values():
        history_holds_together(sim, each)
        success_was_final(sim, each)
        no_engine_was_taken_for_a_failure(sim, each)
        keys_were_stable(sim, each)
        sim.trace.expect(sim.witness.mirror.get(each.run.id) == each.run.status, "9 told: the product's own table says otherwise")
        if each.run.status is RunStatus.ROLLED_BACK:
            sim.witness.nothing_is_left(each.run.id)
        elif each.run.status is RunStatus.SUCCEEDED:
            sim.witness.all_is_there(each.run.id)
    occupied = Counter(each.run.subject for each in kept.values() if each.run.status in OCCUPYING)
    sim.trace.expect(all(count == 1 for count in occupied.values()), f"one active run per subject: {dict(occupied)}")
    for violation in verify_history(sim.world.memory):
        sim.trace.breaks(f"verify: {violation.code}: {violation.text}")
    by_actor = {event.actor: event for each in kept.values() for event in each.events if event.actor is not None}
    for asked in sim.people.asked:
        was_kept(sim, asked, by_actor.get(asked.actor))


def history_holds_together(sim: Simulation, kept: KeptRun) -> None:
    """Numbered without gaps; each change begins where the last one ended; and the last ones are what is recorded."""
    trace, run = sim.trace, kept.run
    short = trace.short(run.id)
    numbers = [event.seq for event in kept.events]
    trace.expect(numbers == list(range(1, run.seq + 1)), f"9 no gaps: {short} has {numbers}, its latest is {run.seq}")
    status, steps = "PENDING", dict.fromkeys(kept.graph.index, "PENDING")
    for event in kept.events:
        kind, _, new = event.type.partition(".")
        if "from" not in event.data:
            if event.type == "step.skipped" and event.step is not None:
                steps[event.step] = "SKIPPED"
            continue
        old = status if kind == "run" else steps[event.step or ""]
        trace.expect(
            old == event.data["from"], f"9 no gaps: {short} {event.seq} {event.type} from {event.data['from']}, it was {old}"
        )
        if kind == "run":
            status = new.upper()
        else:
            steps[event.step or ""] = new.upper()
    recorded = {name: kept.steps[name].status.value if name in kept.steps else "PENDING" for name in kept.graph.index}
    trace.expect(status == run.status, f"9 state and event: {short} is {run.status}, its events say {status}")
    trace.expect(steps == recorded, f"9 state and event: {short}: recorded {recorded}, events {steps}")


def success_was_final(sim: Simulation, kept: KeptRun) -> None:
    """Between a step's success and its next attempt stands a person's wish."""
    done: set[str] = set()
    for event in kept.events:
        if event.type.endswith(".requested"):
            done.clear()
        elif event.type == "step.succeeded" and event.step is not None:
            done.add(event.step)
        elif event.type == "step.running":
            sim.trace.expect(event.step not in done, f"2 success is final: {event.step} runs again ({event.seq})")


def no_engine_was_taken_for_a_failure(sim: Simulation, kept: KeptRun) -> None:
    """A step whose engine died has not failed."""
    for event in kept.events:
        is_blamed = event.type == "step.failed" and event.data.get("reason") == "engine_lost"
        sim.trace.expect(not is_blamed, f"8 moves again: {event.step} failed because its engine died ({event.seq})")


def keys_were_stable(sim: Simulation, kept: KeptRun) -> None:
    """One key for each time a step was provisioned anew, at most."""
    resets = Counter(event.step for event in kept.events if event.type == "step.pending" and event.data.get("from") in _RESETS_FROM)
    for (run_id, step, direction), keys in sim.witness.keys.items():
        if run_id == kept.run.id:
            sim.trace.expect(len(keys) == len(set(keys)) <= 1 + resets[step], f"3 stable key: {direction} of {step}: {keys}")


def was_kept(sim: Simulation, asked: Asked, event: EventRecord | None) -> None:
    """What was acknowledged is recorded; what was refused, or could not be recorded, is not."""
    what = f"{asked.actor} ({asked.wanted}) was told {asked.answer!r}"
    if asked.answer == "ok" and asked.wanted.verb == "start":
        sim.trace.expect(asked.run_id in sim.world.memory._kept, f"1 acknowledged: {what}, and there is no such run")
    elif asked.answer == "ok":
        sim.trace.expect(event is not None, f"1 acknowledged: {what}, and nothing is recorded")
    elif asked.answer in ("refused", "no"):
        sim.trace.expect(event is None, f"1 acknowledged: {what}, and {event and event.type} is recorded")
