"""What must hold of every recorded run: the names of the invariants, and what tells that one of them is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

INVARIANTS: Mapping[str, str] = {
    # of what is recorded of a run
    "readable": "Whatever is stored of a run can be read.",
    "steps_known": "Every record, event and resource is of a step that the run's plan has.",
    "counts_make_sense": "Epochs, versions and numbers never go below their start, and progress is a share of the whole.",
    "tokens_grow": "No token is larger than the run's latest, and no two steps have the same one.",
    "attempt_fits_status": "A step is RUNNING exactly while a forward attempt of it is under way; others run only where they may.",
    "effect_fits_status": "Only what was begun can have an effect, what succeeded has one, what is compensated has none.",
    "waits_for_something": "What waits, waits for a time or for a signal.",
    "phase_fits_status": "Which way the run goes, and what was asked of it, agree with its status.",
    "times_fit_status": "A run has an end exactly when it has ended.",
    "redo_in_redo": "Steps are marked to be run again only while that is done.",
    "resting_is_quiet": "A run that rests has nothing under way but what was given up; after a rollback or a cancel, nothing at all.",
    "pending_is_untouched": "Nothing was begun in a run that is PENDING.",
    "success_is_complete": "A run SUCCEEDED only if every step is done, was skipped, or was optional.",
    "rolled_back_clean": "A run is ROLLED_BACK only if no step has an effect, is under way or is open.",
    "order_forward": "A step starts only when all it needs are settled, and deliver what it can't do without.",
    "order_back": "A step is undone only when nothing that depends on it is left.",
    "blocked_has_cause": "A BLOCKED step stands behind one that failed.",
    "moving_can_move": "In a run that moves, something is under way or can be begun.",
    "moving_is_found": "A run that moves has a time from which engines look for it.",
    "resting_has_no_timer": "No engine looks for a run that rests and waits for nothing.",
    "waiting_has_timer": "A run that waits is looked at when the time of one of its gates comes.",
    "requests_are_found": "A run for which verbs are recorded is looked for.",
    "one_active_run": "A subject has one active run at the most.",
    # of its history
    "events_gapless": "Events are numbered 1, 2, 3 … without gaps, up to the number that the run's record has.",
    "created_once": "A history begins with the run's creation, and has no other.",
    "moves_legal": "Every change of status in the history is a row of the tables.",
    "chains_join": "Each change begins where the one before ended, and the last ends where the record stands.",
    "success_final": "What succeeded is neither begun again nor undone, unless a person named it or the run is rolled back.",
    "start_while_running": "Steps start only while the run is RUNNING: not after a cancel, a pause or a rollback.",
    "undone_in_rollback": "Steps are undone only in a rollback, or before they are run again.",
    "attempts_counted": "The attempts of a step are counted 1, 2, 3 … in each round.",
    "status_explained": "Whenever a run's status changes, its steps say why.",
    "resources_kept": "Whatever was told to be in the ledger is there.",
    # of what the steps did, by a ledger outside the store
    "ledger_intent_recorded": "No attempt begins whose intent is not recorded.",
    "ledger_begun_once": "Each attempt begins once.",
    "ledger_token_grows": "Every attempt of a step has a larger token than those that began before.",
    "ledger_key_stable": "All attempts of one step, direction and round have one idempotency key, and no others have it.",
    "ledger_no_overlap": "Two attempts of a step are never under way at once.",
    "ledger_order_back": "No compensation begins before those of its dependents have ended.",
    "ledger_nothing_left": "Nothing that could be undone is left of a run that is ROLLED_BACK.",
}
"""Each invariant's stable code, and the sentence that must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One invariant that does not hold of one run."""

    code: str
    """A key of :data:`INVARIANTS`."""
    run_id: str
    step: str | None
    text: str
    """What was found, in a sentence."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)
