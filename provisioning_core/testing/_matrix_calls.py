"""A step's function with something happening to it: before it, in the middle of it, after it.

A kill in the middle is an exception that no ``except Exception`` catches; what the function does in ``finally`` happens all the same,
which a real ``kill -9`` would not let it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning_core.errors import StepError
from provisioning_core.model import Binding, Direction, Resource, StepContext


class Killed(BaseException):
    """The process that ran the function is gone."""


class InjectedFault(StepError):
    """What the fault matrix makes a step raise."""

    def __init__(self) -> None:
        super().__init__("the fault matrix made it fail", code="injected_fault")


@dataclass(slots=True, kw_only=True)
class Deed:
    """What one attempt did: told by its function, and by what the world was before it and after."""

    step: str
    direction: Direction
    made: Counter[str] = field(default_factory=Counter)
    was_called: bool = False
    """It got as far as the function's first line."""
    returned: bool = False
    value: Any = None
    had_output: bool = False
    """A compensation got what the step had returned."""
    waited: bool = False
    """An async function was not done at once."""
    notes: int = 0
    """Calls of ``ctx.record`` and ``ctx.checkpoint``."""
    recorded: int = 0
    """Calls of ``ctx.record`` that went through."""
    records: int = 0
    """Calls of ``ctx.record``, one that was cut off counts too."""
    is_cut: bool = False
    """Killed before it had written down what it made."""
    was_asked_to_end: bool = False


class Meddling:
    """What happens to a call; nothing, here."""

    def begins(self, deed: Deed) -> None:
        """Before the function is called."""

    def notes(self, deed: Deed) -> None:
        """Before it writes something down; ``deed.notes`` counts."""

    def noted(self, deed: Deed) -> None:
        """After that is durable."""

    def waits(self, deed: Deed) -> bool:  # noqa: ARG002  the hook's signature
        """An async function waits for the first time; True cancels it there."""
        return False

    def ends(self, deed: Deed) -> None:
        """After it returned, before anybody hears of it."""


UNTOUCHED = Meddling()


class FailsFirst(Meddling):
    """It raises before it did anything."""

    def begins(self, deed: Deed) -> None:  # noqa: ARG002  the hook's signature
        raise InjectedFault


class FailsLast(Meddling):
    """It raises after all its work: the answer got lost on the way."""

    def ends(self, deed: Deed) -> None:  # noqa: ARG002  the hook's signature
        raise InjectedFault


class AskedToEnd(Meddling):
    """The process is about to be closed: a sync function sees ``ctx.cancelled()``, an async one is cancelled where it first waits."""

    def begins(self, deed: Deed) -> None:
        deed.was_asked_to_end = True

    def waits(self, deed: Deed) -> bool:  # noqa: ARG002  the hook's signature
        return True


class KilledAtNote(Meddling):
    """The process dies when the function writes down its n-th note, just before or just after that is durable."""

    def __init__(self, crash: Callable[[], None], n: int, *, is_durable: bool) -> None:
        self._crash = crash
        self._n = n
        self._is_durable = is_durable

    def notes(self, deed: Deed) -> None:
        if not self._is_durable and deed.notes == self._n:
            deed.is_cut = deed.records > deed.recorded
            self._die()

    def noted(self, deed: Deed) -> None:
        if self._is_durable and deed.notes == self._n:
            self._die()

    def _die(self) -> None:
        self._crash()
        raise Killed


class KilledWaiting(Meddling):
    """The process dies where an async function first waits."""

    def __init__(self, crash: Callable[[], None]) -> None:
        self._crash = crash

    def waits(self, deed: Deed) -> bool:  # noqa: ARG002  the hook's signature
        self._crash()
        return True


class _NotingSink:
    """Between a context and what stands behind it."""

    def __init__(self, sink: Any, deed: Deed, meddling: Meddling) -> None:
        self._sink = sink
        self._deed = deed
        self._meddling = meddling

    def is_stopped(self) -> bool:
        return bool(self._sink.is_stopped())

    def progress(self, fraction: float, message: str) -> None:
        self._sink.progress(fraction, message)

    def record(self, kind: str, id: str, details: Mapping[str, Any]) -> Resource:  # noqa: A002  the contract's word
        self._deed.records += 1
        recorded: Resource = self._note(lambda: self._sink.record(kind, id, details))
        self._deed.recorded += 1
        return recorded

    def checkpoint(self, data: Any) -> None:
        self._note(lambda: self._sink.checkpoint(data))

    def _note(self, write: Callable[[], Any]) -> Any:
        self._deed.notes += 1
        self._meddling.notes(self._deed)
        written = write()
        self._meddling.noted(self._deed)
        return written


def meddled(binding: Binding, deed: Deed, meddling: Meddling) -> Callable[..., Any]:
    """The binding's function, telling the deed what it does, with this happening to it."""
    return _async(binding.fn, deed, meddling) if binding.is_async else _sync(binding.fn, deed, meddling)


def _sync(fn: Callable[..., Any], deed: Deed, meddling: Meddling) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        _prepare(arguments, deed, meddling)
        meddling.begins(deed)
        deed.was_called = True
        _return(deed, fn(**arguments))
        meddling.ends(deed)
        return deed.value

    return call


def _async(fn: Callable[..., Any], deed: Deed, meddling: Meddling) -> Callable[..., Any]:
    async def call(**arguments: Any) -> Any:
        _prepare(arguments, deed, meddling)
        meddling.begins(deed)
        deed.was_called = True
        task = asyncio.ensure_future(fn(**arguments))
        await asyncio.sleep(0)
        if not task.done():
            deed.waited = True
            if meddling.waits(deed):
                task.cancel()
        _return(deed, await task)
        meddling.ends(deed)
        return deed.value

    return call


def _prepare(arguments: Mapping[str, Any], deed: Deed, meddling: Meddling) -> None:
    deed.had_output = arguments.get("output") is not None
    for value in arguments.values():
        if isinstance(value, StepContext):
            value._sink = _NotingSink(value._sink, deed, meddling)  # noqa: SLF001  the step must not notice


def _return(deed: Deed, value: Any) -> None:
    deed.returned, deed.value = True, value
