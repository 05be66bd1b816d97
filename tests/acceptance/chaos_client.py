"""A product that starts runs and sends verbs while its workers die, and keeps a log of what was acknowledged to it."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from chaos_app import PLANS, Order

from provisioning_core import Conflict, Engine, RunStatus, RunView, StoreUnavailable
from provisioning_core.stores import SqlStore

_ENDED = (RunStatus.SUCCEEDED, RunStatus.ROLLED_BACK, RunStatus.CANCELLED)


@dataclass(frozen=True)
class Acknowledged:
    """A call that returned."""

    run_id: str
    verb: str
    actor: str
    """Made for this call alone: it stands in the history of what the call did."""


class Client:
    """Keeps ``at_once`` tenants on the way; whoever is done makes room for another."""

    def __init__(self, url: str, *, at_once: int = 16, seed: int = 0) -> None:
        self.engine = Engine(store=SqlStore(url), plans=PLANS, work=False)
        self.log: list[Acknowledged] = []
        self.refused: Counter[str] = Counter()
        self.unavailable = 0
        self.freed = 0
        """Runs that had been set aside, since their engines died too often, and were let go on."""
        self.error: BaseException | None = None
        self._at_once = at_once
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._actors = itertools.count(1)
        self._active: dict[str, str] = {}
        self._starts = threading.Event()
        self._starts.set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def begin(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Start nothing more; see what is on the way to its end."""
        self._starts.clear()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.engine.close()

    @property
    def run_ids(self) -> list[str]:
        """Of all runs that were acknowledged."""
        return [each.run_id for each in self.log if each.verb == "start"]

    def _serve(self) -> None:
        try:
            with closing(self.engine):
                while not self._over.is_set() and (self._starts.is_set() or self._active):
                    while self._starts.is_set() and len(self._active) < self._at_once:
                        if not self._start():
                            break
                    for subject, run_id in list(self._active.items()):
                        self._look_at(subject, run_id)
                    self._over.wait(0.02)
        except BaseException as error:
            self.error = error

    def _start(self) -> bool:
        subject = f"tenant-{next(self._numbers)}"
        order = Order(fails=self._random.random() < 0.4)
        run_id = self._acknowledged("start", lambda actor: self.engine.start("gated", subject=subject, input=order, actor=actor).id)
        if run_id is None:
            return False
        self._active[subject] = run_id
        return True

    def _look_at(self, subject: str, run_id: str) -> None:
        try:
            head = self.engine.store.head(run_id)
            if not head.is_resting:
                self._disturb(subject, run_id)
                return
            view = self.engine.status(run_id=run_id)
        except StoreUnavailable:
            self.unavailable += 1
            return
        if head.is_set_aside:
            self._send("continue", run_id, lambda actor: self.engine.continue_(run_id=run_id, actor=actor))
            self.freed += 1
        elif view.status in _ENDED:
            del self._active[subject]
        else:
            self._help(run_id, view)

    def _help(self, run_id: str, view: RunView) -> None:
        """What a person does about a run that rests."""
        if view.status is RunStatus.WAITING:
            self._send("signal", run_id, lambda actor: self.engine.signal(None, "approval", run_id=run_id, actor=actor))
        elif view.status is RunStatus.PAUSED:
            self._send("continue", run_id, lambda actor: self.engine.continue_(run_id=run_id, actor=actor))
        elif view.status in (RunStatus.FAILED, RunStatus.ROLLBACK_FAILED):
            self._send("retry", run_id, lambda actor: self.engine.retry(run_id=run_id, actor=actor))

    def _disturb(self, subject: str, run_id: str) -> None:
        """Now and then a person wants something else."""
        chance = self._random.random()
        if chance < 0.001:
            self._send("cancel", run_id, lambda actor: self.engine.cancel(run_id=run_id, rollback=True, actor=actor))
        elif chance < 0.003:
            self._send("pause", run_id, lambda actor: self.engine.pause(run_id=run_id, actor=actor))

    def _send(self, verb: str, run_id: str, call: Callable[[str], object]) -> None:
        def named(actor: str) -> str:
            call(actor)
            return run_id

        self._acknowledged(verb, named)

    def _acknowledged(self, verb: str, call: Callable[[str], str]) -> str | None:
        """Note a call that returned; one that was refused, or of which it is not known, was not acknowledged."""
        actor = f"{verb}-{next(self._actors)}"
        try:
            run_id = call(actor)
        except Conflict:
            self.refused[verb] += 1
            return None
        except StoreUnavailable:
            self.unavailable += 1
            return None
        self.log.append(Acknowledged(run_id, verb, actor))
        return run_id
