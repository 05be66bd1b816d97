"""Watch a run until it rests, and say truthfully what becomes of it when nobody watches any more."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from provisioning_cli._lines import event_line
from provisioning_cli._output import is_terminal, tell
from provisioning_cli._text import as_word
from provisioning_core import Engine, Event, Run, RunView

_GLANCE = 0.2
"""Seconds between two looks at a run that moves."""


class Watcher(Protocol):
    """Shows a run while it moves."""

    def show(self, view: RunView, events: Sequence[Event]) -> None:
        """The run as it is now, and what happened since the last time."""
        ...


class SilentWatcher:
    """Shows nothing: the caller wants one JSON document and no more."""

    def show(self, view: RunView, events: Sequence[Event]) -> None:
        """Nothing."""


class PlainWatcher:
    """One line per event on stderr."""

    def show(self, view: RunView, events: Sequence[Event]) -> None:
        """What happened since the last time."""
        tell(f"{as_word(view.subject)}  {event_line(event)}" for event in events)


@contextmanager
def watcher(*, silent: bool) -> Iterator[Watcher]:
    """The live view on a terminal, lines in a pipe."""
    if silent:
        yield SilentWatcher()
    elif not is_terminal(sys.stderr):
        yield PlainWatcher()
    else:
        from provisioning_cli._screen import LiveWatcher

        with LiveWatcher(sys.stderr) as live:
            yield live


def watch(engine: Engine, run: Run, shown_by: Watcher, *, after: int = 0, timeout: float | None = None) -> RunView:
    """The view when the run rests. Events after number ``after`` are shown. Raises TimeoutError after ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        view = _rested(run, _GLANCE if deadline is None else min(_GLANCE, max(deadline - time.monotonic(), 0.0)))
        events = list(engine.events(run_id=run.id, after=after))
        after = events[-1].seq if events else after
        shown_by.show(view or run.view(), events)
        if view is not None:
            return view
        if deadline is not None and time.monotonic() >= deadline:
            raise TimeoutError(f"The run is not finished after {timeout:g} s.")


def _rested(run: Run, seconds: float) -> RunView | None:
    try:
        return run.wait(timeout=seconds)
    except TimeoutError:
        return None


def last_event(engine: Engine, run: Run) -> int:
    """The number of the run's latest event; 0 when it has none."""
    seq = 0
    for event in engine.events(run_id=run.id):
        seq = event.seq
    return seq


def what_becomes_of(engine: Engine, subject: str, program: str) -> str:
    """What happens to a run that is left alone now, and how to come back to it."""
    back = f"{program} watch {as_word(subject)}"
    if not engine.store.is_durable:
        return f"The app's store keeps runs in memory only, so this run ends with this command. With a SqlStore: {back}"
    if engine.is_working:
        return (
            "It is recorded, and the run goes on wherever an engine works: at once if a worker is running, "
            f"else as soon as you run `{program} worker`, or come back to it with: {back}"
        )
    return f"It is recorded, and the run goes on at the worker (`{program} worker`). Come back to it with: {back}"
