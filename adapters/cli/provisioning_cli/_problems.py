"""What went wrong, said to people or as JSON. Each says what to do; each has its exit code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, Any

import click

from provisioning_cli._exit import ExitCode, code_of_error
from provisioning_cli._text import clean, clean_block
from provisioning_core import Conflict, InvalidInput, PlanChanged, PlanError, ProvisioningError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error, ready to be shown."""

    code: str
    message: str
    hint: str = ""
    allowed_actions: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else programs want to know, by name."""
    lines: tuple[str, ...] = ()
    """What else people want to know."""
    exit_code: ExitCode = ExitCode.UNEXPECTED

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        told = {"code": self.code, "message": self.message, "hint": self.hint, "allowed_actions": list(self.allowed_actions)}
        return {"error": told | dict(self.details)}

    def to_lines(self) -> list[str]:
        """As lines for a terminal."""
        first, *rest = clean_block(self.message).splitlines() or [""]
        hint = [] if self.lines and all(line in self.hint for line in self.lines) else clean_block(self.hint).splitlines()
        return [f"Error: {first}", *rest, *(f"  - {clean(line)}" for line in self.lines), *hint]


class Failure(click.ClickException):
    """Ends the command with a problem; click shows it and exits."""

    def __init__(self, problem: Problem, *, as_json: bool = False) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.as_json = as_json
        self.exit_code = int(problem.exit_code)  # type: ignore[misc]  # newer click types say ClassVar, click reads the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to the error stream: stdout stays free for data."""
        show(self.problem, as_json=self.as_json, file=file)


def show(problem: Problem, *, as_json: bool, file: IO[Any] | None = None) -> None:
    """Write a problem to the error stream."""
    text = json.dumps(problem.to_dict()) if as_json else "\n".join(problem.to_lines())
    click.echo(text, file=file, err=file is None)


def problem_of(error: BaseException) -> Problem:
    """Any error as a problem."""
    if isinstance(error, click.ClickException):
        return Problem(code="usage", message=error.format_message(), exit_code=ExitCode(error.exit_code))
    if isinstance(error, ProvisioningError):
        return _foreseen(error)
    if isinstance(error, PermissionError):
        hint = "Ask for the permission, or run the command as somebody who has it."
        return Problem(code="permission", message=str(error), hint=hint, exit_code=code_of_error(error))
    return _unforeseen(error)


def _foreseen(error: ProvisioningError) -> Problem:
    return Problem(
        code=error.code,
        message=error.message,
        hint=as_typed(error.hint),
        allowed_actions=error.allowed_actions if isinstance(error, Conflict) else (),
        details=_details(error),
        lines=_lines(error),
        exit_code=code_of_error(error),
    )


def as_typed(hint: str) -> str:
    """A hint of the library in the words of the command line: it speaks of the library's own names and arguments."""
    for said, typed in _TYPED.items():
        hint = hint.replace(said, typed)
    return hint


_TYPED = {
    "again=True": "--again",
    "Use force": "Use --force",
    "Give output=,": "Give --output,",
    "adopt_plan": "adopt-plan",
    "Open the engine (or `store.prepare()`) first: it makes the tables.": "Run `db upgrade` first: it makes the tables.",
}


def _unforeseen(error: BaseException) -> Problem:
    return Problem(
        code="unexpected",
        message=f"Something went wrong that nobody foresaw: {type(error).__name__}: {error}",
        hint="It is a fault of the app or of provisioning, not of your command. PROVISIONING_DEBUG=1 shows where it happened.",
        exit_code=code_of_error(error),
    )


def _details(error: ProvisioningError) -> dict[str, Any]:
    match error:
        case Conflict():
            return {"run_id": error.run_id, "status": error.status}
        case InvalidInput():
            return {"errors": [dict(each) for each in error.errors]}
        case PlanError():
            faults = [{"code": each.code, "step": each.step, "problem": each.problem, "mend": each.mend} for each in error.faults]
            return {"faults": faults}
        case PlanChanged():
            return {"run_id": error.run_id, "differences": [_difference(each) for each in error.differences]}
        case _:
            return {}


def _difference(each: Any) -> dict[str, Any]:
    return {"kind": each.kind, "step": each.step, "detail": each.detail, "blocking": each.blocking}


def _lines(error: ProvisioningError) -> tuple[str, ...]:
    if not isinstance(error, InvalidInput):
        return ()
    return tuple(f"{_place(each.get('loc', ()))}: {each.get('msg', 'does not fit')}" for each in error.errors)


def _place(loc: Any) -> str:
    parts = loc if isinstance(loc, (list, tuple)) else [loc]
    return ".".join(str(part) for part in parts) or "input"
