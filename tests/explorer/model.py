"""The world around the machine: one run's row in the store, engine processes, attempts under way, and what they left outside.

A state is a tuple of tuples, so that two ways that lead to the same state are seen to meet. Times are *due* or *later*; attempt
numbers, ledger and texts, which decide nothing, are left out.
"""

from __future__ import annotations

from typing import NamedTuple

from provisioning_core.model import Direction, Phase, RunStatus, StepStatus

DEAD = -1
"""In the place of a process: one that has ended, and is known to have."""
DUE, LATER, DEADLINE = 0.0, 1.0, 1000.0
"""All there is of time: what is due; what a tick makes due; what an attempt that is too slow goes beyond."""


class Run(NamedTuple):
    """What the machine records of the run."""

    status: RunStatus = RunStatus.PENDING
    phase: Phase = Phase.FORWARD
    token: int = 0
    pausing: bool = False
    cancel_rollback: bool = False
    rollback_to: str | None = None
    forced: bool = False


class Step(NamedTuple):
    """What the machine records of a step."""

    status: StepStatus = StepStatus.PENDING
    failures: int = 0
    token: int = 0
    live: Direction | None = None
    zombie: bool = False
    round: int = 1
    effect: bool = False
    redo: bool = False
    half_done: bool = False
    skip_reason: str = ""
    signalled: bool = False
    next_attempt_at: float | None = None
    deadline_at: float | None = None
    has_output: bool = False
    doubted: bool = False
    """Known to a machine only while it holds the run; not recorded."""


class Records(NamedTuple):
    """One run, as a machine holds it or as the store does."""

    run: Run
    steps: tuple[Step, ...]


class Told(NamedTuple):
    """The statuses as the history tells them."""

    run: RunStatus
    steps: tuple[StepStatus, ...]


class Moved(NamedTuple):
    """One line of the history. ``step`` is None for the run."""

    step: int | None
    old: str
    new: str


class Order(NamedTuple):
    """An attempt that is to begin."""

    step: int
    direction: Direction
    token: int


class Wish(NamedTuple):
    """A recorded request: a person's verb, or the news that an attempt has ended."""

    verb: str
    step: int | None = None
    token: int = 0


class Row(NamedTuple):
    """What is stored of the run."""

    records: Records
    engines: tuple[int | None, ...]
    """For each step the process that began its live attempt."""
    owner: int | None
    wishes: tuple[Wish, ...]
    told: Told


class Process(NamedTuple):
    """One engine process. Without ``records`` it does not hold the run."""

    id: int
    is_current: bool = False
    """The epoch under which it holds the run is the store's."""
    records: Records | None = None
    engines: tuple[int | None, ...] = ()
    is_dirty: bool = False
    moves: tuple[Moved, ...] = ()
    """Lines of the history that are not known to be committed."""
    known: int = 0
    """So many of these the store has all the same: the answer to a commit was lost."""
    orders: tuple[Order, ...] = ()
    """Launches that wait for the commit."""
    outbox: tuple[Order, ...] = ()
    """Launches that are committed, and not carried out."""
    done: tuple[Wish, ...] = ()
    """Requests carried out, waiting for the commit."""


class Attempt(NamedTuple):
    """One execution of a step, under way in a process."""

    process: int
    step: int
    direction: Direction
    token: int
    has_acted: bool = False
    found: bool = False
    """A probe's: what it saw."""


class State(NamedTuple):
    """Everything."""

    row: Row
    processes: tuple[Process, ...]
    attempts: tuple[Attempt, ...]
    world: tuple[bool, ...]
    """For each step whether its effect is there."""
    faults: tuple[int, ...]
    """How many of each kind may still happen, in the order of :data:`FAULTS`."""
    newest: tuple[int, ...]
    """For each step the largest token an attempt ever began under."""
    owed: tuple[Wish, ...] = ()
    """Verbs that were acknowledged, and whose carrying out is not committed."""


FAULTS = ("crash", "lease", "unknown", "failure", "undo_failure", "break_off", "timeout", "verb")


def first_state(steps: int, faults: dict[str, int]) -> State:
    """A run that was just started; no engine has it."""
    records = Records(Run(), (Step(),) * steps)
    told = Told(RunStatus.PENDING, (StepStatus.PENDING,) * steps)
    row = Row(records, (None,) * steps, None, (), told)
    return State(row, (), (), (False,) * steps, tuple(faults.get(kind, 0) for kind in FAULTS), (0,) * steps)


def process_of(state: State, number: int) -> Process:
    """The process of this number."""
    return next(process for process in state.processes if process.id == number)


def with_process(state: State, process: Process) -> State:
    """The same, but for this process."""
    return state._replace(processes=tuple(process if each.id == process.id else each for each in state.processes))
