"""Which faults a simulation has, and how many: each kind is on or off for a whole seed, so that some seeds see plenty of one."""

from __future__ import annotations

from dataclasses import dataclass

from sim_dice import Dice


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """Shares are of all cases; ``every`` are mean seconds between two faults (0.0: never)."""

    # steps
    fails: float
    fails_late: float
    """Of those that fail: after their effect."""
    fails_for_good: float
    polls: float
    undo_fails: float
    probe_fails: float
    slow: float
    """Slower than any timeout."""
    mean_work: float
    """Seconds between a step's beginning, its effect and its end."""
    # the store
    commit_before: float
    commit_after: float
    """Carried out, and the answer is lost."""
    hook_fails: float
    outage_every: float
    cut_off_every: float
    """The store is away for one engine alone."""
    # engines
    crash_in_store: float
    """Of all calls of the store: the engine dies just before or just after."""
    crash_every: float
    pause_every: float
    close_every: float
    clock_every: float
    """One engine's time of day jumps."""
    store_clock_every: float
    """The store's own time of day jumps."""
    lag: float
    """Seconds that a turn of the loop comes late at the most."""
    # people
    verb_every: float
    rude: float
    """Of all verbs: asked for whether they are allowed or not."""


CALM = Weather(
    fails=0.0, fails_late=0.0, fails_for_good=0.0, polls=0.0, undo_fails=0.0, probe_fails=0.0, slow=0.0, mean_work=0.5,
    commit_before=0.0, commit_after=0.0, hook_fails=0.0, outage_every=0.0, cut_off_every=0.0,
    crash_in_store=0.0, crash_every=0.0, pause_every=0.0, close_every=0.0, clock_every=0.0, store_clock_every=0.0, lag=0.0,
    verb_every=0.0, rude=0.0,
)  # fmt: skip
"""Nothing goes wrong any more."""


def draw_weather(dice: Dice) -> Weather:
    """Every kind of fault is absent in about half of all seeds."""

    def share(*rates: float) -> float:
        return dice.one_of(rates) if dice.chance(0.5) else 0.0

    return Weather(
        fails=share(0.05, 0.2, 0.5),
        fails_late=dice.one_of((0.0, 0.5, 1.0)),
        fails_for_good=share(0.1, 0.5),
        polls=share(0.1, 0.3),
        undo_fails=share(0.1, 0.3, 0.7),
        probe_fails=share(0.2, 0.5),
        slow=share(0.05, 0.2),
        mean_work=dice.one_of((0.2, 1.0, 5.0)),
        commit_before=share(0.02, 0.1),
        commit_after=share(0.02, 0.1),
        hook_fails=share(0.05),
        outage_every=share(20.0, 60.0),
        cut_off_every=share(20.0, 60.0),
        crash_in_store=share(0.005, 0.02),
        crash_every=share(10.0, 40.0),
        pause_every=share(15.0, 40.0),
        close_every=share(20.0, 60.0),
        clock_every=share(15.0),
        store_clock_every=share(40.0),
        lag=share(0.1, 2.0),
        verb_every=share(3.0, 10.0, 30.0),
        rude=share(0.3, 1.0),
    )
