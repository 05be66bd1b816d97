"""The rules by which engines and store work together, and all else that a search is about.

Each rule can be broken, to see that the search finds out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from explorer.deciding import Decider
from explorer.model import DUE, Attempt, Process, State, Wish
from provisioning_core import machine as m


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """As the engine keeps them, if none is named."""

    intent_is_recorded: bool = True
    """An attempt's intent is part of the commit before its launch."""
    commits_before_launch: bool = True
    checks_epoch: bool = True
    """A commit of an engine that has lost the run is refused."""
    one_transaction: bool = True
    """Status and history are written together."""
    quarantines: bool = True
    """An attempt of an engine that may be alive is waited for."""
    compares_versions: bool = True
    """A commit whose answer was lost is recognised when it comes again."""
    says_farewell: bool = True
    """An engine that learns that it lost the run says which of its attempts have ended, those it had taken in too."""
    tells_what_never_began: bool = True
    """And which were recorded and never launched, because the answer to that commit was lost."""
    opens_what_it_claims: bool = True
    """An engine that claims a run forgets what it still held of it under an older epoch."""
    strikes_off_late: bool = True
    """A verb is struck off in the commit that carries it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """What is searched: a plan with its machine, the rules, and how finely actions are told apart.

    A turn of the engine decides, commits and launches. A crash or a lost lease between commit and launch leaves the same as one right
    after the launch, before the attempt did anything; so a turn is one action, unless ``is_fine`` makes three of it.
    """

    decider: Decider
    rules: Rules = field(default_factory=Rules)
    is_fine: bool = False
    processes: int = 3
    """Engines that are there at the same time."""
    verbs: tuple[Wish, ...] = ()
    fails_after_effect: bool = True

    @property
    def decides_apart(self) -> bool:
        """Whether a turn's decision is an action of its own."""
        return self.is_fine or not self.rules.commits_before_launch

    def name(self, step: int) -> str:
        return self.decider.graph.nodes[step].name


VERBS = {
    "cancel": m.CancelRequested(at=DUE),
    "cancel and roll back": m.CancelRequested(at=DUE, rollback=True),
    "roll back": m.RollbackRequested(at=DUE),
    "retry": m.RetryRequested(at=DUE),
    "continue": m.ContinueRequested(at=DUE),
    "pause": m.PauseRequested(at=DUE),
    "deprovision": m.DeprovisionRequested(at=DUE),
}
"""Those that name no step."""
RUN_AGAIN = "run again"
"""``retry`` with a named step."""
ENDED = "ended"
"""No person's: an engine tells that an attempt it had begun has ended."""


def event_of(wish: Wish, protocol: Protocol) -> m.MachineEvent:
    """What the machine is told."""
    if wish.step is None:
        return VERBS[wish.verb]
    name = protocol.name(wish.step)
    if wish.verb == ENDED:
        return m.AttemptLost(at=DUE, step=name, token=wish.token)
    return m.RetryRequested(at=DUE, steps=(name,))


class Transition(NamedTuple):
    """One action, and where it leads."""

    label: tuple[object, ...]
    after: State
    fault: str | None = None
    launched: tuple[Attempt, ...] = ()
    writer: Process | None = None
    """Who committed, if somebody did."""
    broken: str | None = None
    """A promise that the action itself broke."""
