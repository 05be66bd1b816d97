"""Looks at all that a store recorded, and at what its steps wrote outside, and says what does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provisioning_core.engine import Engine
from provisioning_core.engine._verifying import verify_all, verify_runs
from provisioning_core.errors import ProvisioningError
from provisioning_core.machine import Violation
from provisioning_core.model import EventRecord
from provisioning_core.ports import Store
from provisioning_core.testing._ledger import LedgerLine
from provisioning_core.testing._ledger_checks import check_ledger

_PAGE = 1000


def verify_history(
    store_or_engine: Store | Engine, run_ids: Iterable[str] | None = None, *, ledger: Iterable[LedgerLine] | None = None
) -> list[Violation]:
    """All violations of these runs, or of all runs; empty when everything holds.

    Every invariant is checked on what is stored (records, graph and whole history of each run). ``ledger``: lines that steps wrote
    outside the store (:class:`LedgerLine`), in the order in which they were written; they are compared with the history. Let the
    engines come to rest, or at least stop writing, before you compare a ledger. Raises NotFound for a run that is not there.
    """
    store = store_or_engine.store if isinstance(store_or_engine, Engine) else store_or_engine
    chosen = None if run_ids is None else list(run_ids)
    found = verify_all(store) if chosen is None else verify_runs(store, chosen)
    violations = [violation for verified in found for violation in verified.violations]
    return [*violations, *([] if ledger is None else _by_ledger(store, chosen, list(ledger)))]


def _by_ledger(store: Store, chosen: list[str] | None, lines: list[LedgerLine]) -> Iterator[Violation]:
    by_run: dict[str, list[LedgerLine]] = {}
    for line in lines:
        by_run.setdefault(line.run_id, []).append(line)
    for run_id, own in by_run.items():
        if chosen is None or run_id in chosen:
            yield from _of_run(store, run_id, own)


def _of_run(store: Store, run_id: str, lines: list[LedgerLine]) -> list[Violation]:
    try:
        snapshot = store.load(run_id)
        return check_ledger(snapshot, list(_all_events(store, run_id)), lines)
    except ProvisioningError as error:
        text = f"Run {run_id} wrote lines into the ledger, but can't be read: {error.message}"
        return [Violation(code="ledger_intent_recorded", run_id=run_id, step=None, text=text)]


def _all_events(store: Store, run_id: str) -> Iterator[EventRecord]:
    last = 0
    while page := store.events(run_id, after=last, limit=_PAGE):
        yield from page
        last = page[-1].seq
