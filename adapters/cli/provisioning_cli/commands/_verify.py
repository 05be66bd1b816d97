"""The command that looks at all that is recorded, and says what does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import click

from provisioning_cli._exit import ExitCode
from provisioning_cli._face import Face, FaceCommand, json_option, pass_face
from provisioning_cli._output import print_json, print_lines, tell
from provisioning_cli._text import clean, several
from provisioning_core import Engine

if TYPE_CHECKING:
    from provisioning_core.engine import Verified
    from provisioning_core.machine import Violation

_EVERY = 1000
"""Runs after which it says how far it is."""


@click.command(cls=FaceCommand)
@click.argument("subject", required=False)
@click.option("--run", "--run-id", "run_id", metavar="ID", help="Only this run.")
@click.option("--all", "all_runs", is_flag=True, help="All runs of the store.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="Stop after so many violations.")
@json_option
@pass_face
def verify(face: Face, subject: str | None, *, run_id: str | None, all_runs: bool, limit: int, as_json: bool) -> NoReturn:
    """Check what is recorded against what must always hold.

    Looks at the runs of SUBJECT, at one run, or at all, each with its whole history, and changes nothing. What does not hold is
    told with its code and a sentence; then the exit code is 1. It can be run while engines work.
    """
    if sum((subject is not None, run_id is not None, all_runs)) != 1:
        raise click.UsageError("Name a SUBJECT (the tenant's id), or a run by --run, or all runs by --all.")
    seen = _Seen(limit, as_json=as_json)
    with face.engine() as engine:
        seen.look_at(engine, subject, run_id)
    if as_json:
        print_json(seen.to_dict())
    else:
        print_lines([seen.summary])
    raise click.exceptions.Exit(ExitCode.UNEXPECTED if seen.violations else ExitCode.DONE)


@dataclass(slots=True)
class _Seen:
    """What was looked at so far, and what was found."""

    limit: int
    as_json: bool
    runs: int = 0
    events: int = 0
    violations: list[Violation] = field(default_factory=list)

    def look_at(self, engine: Engine, subject: str | None, run_id: str | None) -> None:
        """Run by run, until there are no more or enough was found."""
        for verified in engine.verify_each(subject, run_id=run_id):
            self.runs += 1
            self.events += verified.events
            for violation in self._new(verified):
                self.violations.append(violation)
                if not self.as_json:
                    print_lines([_line(violation)])
            if self.is_full:
                return
            if self.runs % _EVERY == 0 and not self.as_json:
                tell(f"{self._counts} looked at ...")

    def _new(self, verified: Verified) -> Iterator[Violation]:
        yield from verified.violations[: self.limit - len(self.violations)]

    @property
    def is_full(self) -> bool:
        return len(self.violations) >= self.limit

    @property
    def _counts(self) -> str:
        return f"{several(self.runs, 'run')} with {several(self.events, 'event')}"

    @property
    def summary(self) -> str:
        """The last line for people."""
        if not self.violations:
            return f"✓ {self._counts} looked at: everything holds."
        more = "; there may be more, --limit ended it" if self.is_full else ""
        return f"✗ {self._counts} looked at: {several(len(self.violations), 'violation')}{more}."

    def to_dict(self) -> dict[str, Any]:
        """The document for programs."""
        found = [violation.to_dict() for violation in self.violations]
        return {"ok": not found, "runs": self.runs, "events": self.events, "violations": found, "is_complete": not self.is_full}


def _line(violation: Violation) -> str:
    return f"✗ {clean(violation.code)}  {clean(violation.text)}"
