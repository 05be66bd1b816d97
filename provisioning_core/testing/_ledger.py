"""A ledger that steps write outside the store: what really happened, told by those who did it.

Each step writes a line when it begins, one when its effect is there (or gone, for a compensation), and one when it ends::

    ledger = LedgerFile("ledger.jsonl")

    @step
    def database(ctx: StepContext) -> str:
        with ledger.attempt(ctx) as note:
            create_database(...)
            note.effect()

Lines are read in the order in which they were written. :func:`verify_history` compares them with what the store recorded.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from provisioning_core.model import Direction, StepContext

What = Literal["begin", "effect", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One thing that an attempt did. ``end`` is written only when the attempt did what it was to do."""

    run_id: str
    step: str
    direction: Direction
    """``forward`` or ``compensate``."""
    token: int
    idempotency_key: str
    what: What
    at: float = 0.0
    """Seconds since the epoch, by the clock of whoever wrote it. For people: nothing is concluded from it."""

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> LedgerLine:
        """The reverse of :meth:`to_json`."""
        document = json.loads(text)
        return cls(**document | {"direction": Direction(document["direction"])})

    @classmethod
    def of(cls, ctx: StepContext, what: What, at: float = 0.0) -> LedgerLine:
        """A line of the attempt that ``ctx`` belongs to."""
        return cls(
            run_id=ctx.run_id,
            step=ctx.step,
            direction=_direction_of(ctx),
            token=ctx.token,
            idempotency_key=ctx.idempotency_key,
            what=what,
            at=at,
        )


def _direction_of(ctx: StepContext) -> Direction:
    """The idempotency key tells it: ``run/step/direction``, and the round from the second on."""
    word = ctx.idempotency_key.removeprefix(f"{ctx.run_id}/{ctx.step}/").partition("/")[0]
    return Direction(word)


@dataclass(frozen=True, slots=True)
class Note:
    """Writes the lines of one attempt."""

    _ctx: StepContext
    _write: Callable[[LedgerLine], None]

    def effect(self) -> None:
        """The effect is there; for a compensation: it is gone."""
        self._write(LedgerLine.of(self._ctx, "effect", time.time()))


class LedgerFile:
    """A file of lines, one JSON object each; written through to the disk, by any number of processes and threads."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @contextmanager
    def attempt(self, ctx: StepContext) -> Iterator[Note]:
        """Writes ``begin`` now, and ``end`` unless the block raises."""
        self.write(LedgerLine.of(ctx, "begin", time.time()))
        yield Note(ctx, self.write)
        self.write(LedgerLine.of(ctx, "end", time.time()))

    def write(self, line: LedgerLine) -> None:
        """Add a line; it is on the disk when this returns."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"\n{line.to_json()}\n".encode())  # first ends what a killed process may have left unfinished
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lines(self) -> list[LedgerLine]:
        """All of them, in order. A line that a kill cut short is left out: nothing that came after it was done."""
        text = self.path.read_text() if self.path.exists() else ""
        return [LedgerLine.from_json(line) for line in text.split("\n") if _is_whole(line)]


def _is_whole(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")
