"""What every verb does: ask the engine, watch the run until it rests, leave the outcome on stdout and the exit code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypedDict

import click

from provisioning_cli import _problems
from provisioning_cli._advice import graph_of
from provisioning_cli._exit import Asked, ExitCode, code_of_run
from provisioning_cli._face import GRACE, Face, by_options, json_option, pass_face, watch_options
from provisioning_cli._output import print_json, print_lines, tell
from provisioning_cli._problems import Problem
from provisioning_cli._render import outcome_lines
from provisioning_cli._text import as_word, several
from provisioning_cli._watch import last_event, watch, watcher, what_becomes_of
from provisioning_core import Engine, Run, RunStatus, RunView

Ask: TypeAlias = Callable[[Engine], Run]

_GOING_BACK = (RunStatus.ROLLBACK_FAILED, RunStatus.ROLLING_BACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a command goes on once its request is recorded."""

    detach: bool = False
    timeout: float | None = None
    as_json: bool = False


class By(TypedDict):
    """Who asks, and why: kept in the run's history."""

    actor: str | None
    reason: str | None


def asks(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every verb; the command gets them as ``by`` and ``manner``."""

    @functools.wraps(function)
    def asked(
        *arguments: Any, actor: str | None, reason: str | None, detach: bool, timeout: float | None, as_json: bool, **options: Any
    ) -> Any:
        by, manner = By(actor=actor, reason=reason), Manner(detach=detach, timeout=timeout, as_json=as_json)
        return function(*arguments, by=by, manner=manner, **options)

    return by_options(watch_options(json_option(pass_face(asked))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Where the run stood when the verb was asked for."""

    status: RunStatus | None = None
    seq: int = 0


def start_and_watch(face: Face, ask: Ask, manner: Manner, *, subject: str) -> NoReturn:
    """Ask for a new run; its whole history is shown."""
    with face.engine(work=not manner.detach) as engine:
        view = _carried_out(face, engine, ask, manner, Before(), subject)
        _leave(face, engine, view, manner, code_of_run(view.status, is_set_aside=view.is_set_aside))


def ask_and_watch(
    face: Face,
    ask: Ask,
    manner: Manner,
    *,
    subject: str | None,
    run_id: str | None,
    asked: Asked = Asked.FORWARD,
    by_hand: bool = False,
) -> NoReturn:
    """Ask a verb of a run that is there; what happens from now on is shown.

    ``by_hand``: the verb only settles a step, so a run that rests where it rested has done what was asked.
    """
    with face.engine(work=not manner.detach) as engine:
        run = engine.run(subject, run_id=run_id)
        before = Before(status=run.view().status, seq=last_event(engine, run))
        view = _carried_out(face, engine, ask, manner, before, run.subject)
        wanted = Asked.BACK if asked is Asked.FORWARD and before.status in _GOING_BACK else asked
        is_done = manner.detach or (by_hand and view.status is before.status)
        code = ExitCode.DONE if is_done else code_of_run(view.status, wanted, is_set_aside=view.is_set_aside)
        _leave(face, engine, view, manner, code)


def watch_only(face: Face, engine: Engine, run: Run, manner: Manner) -> RunView:
    """Watch a run that somebody else asked for."""
    return _carried_out(face, engine, lambda _: run, manner, Before(), run.subject)


def _carried_out(face: Face, engine: Engine, ask: Ask, manner: Manner, before: Before, subject: str) -> RunView:
    run: Run | None = None
    try:
        run = ask(engine)
        if manner.detach:
            return run.view()
        with watcher(silent=manner.as_json) as shown_by:
            return watch(engine, run, shown_by, after=before.seq, timeout=manner.timeout)
    except TimeoutError as error:
        _part(face, engine, subject, manner, Problem(code="timeout", message=str(error), exit_code=ExitCode.TIMEOUT))
    except KeyboardInterrupt:
        told = "Detached." if run is not None else f"Interrupted. `{face.program} status {as_word(subject)}` tells what was recorded."
        _part(face, engine, subject, manner, Problem(code="detached", message=told, exit_code=ExitCode.DETACHED))


def _part(face: Face, engine: Engine, subject: str, manner: Manner, problem: Problem) -> NoReturn:
    """Say at once what becomes of the run; letting go of the engine may take a while."""
    becomes = what_becomes_of(engine, subject, face.program)
    if manner.as_json:
        told = Problem(code=problem.code, message=problem.message, hint=becomes, exit_code=problem.exit_code)
        _problems.show(told, as_json=True)
    else:
        tell([problem.message, becomes])
        if under_way := engine.stats().attempts:
            tell(f"Waiting up to {GRACE:g} s for {several(under_way, 'step')} under way here to end. Ctrl-C again leaves at once.")
    raise click.exceptions.Exit(problem.exit_code)


def _leave(face: Face, engine: Engine, view: RunView, manner: Manner, code: ExitCode) -> NoReturn:
    if manner.as_json:
        print_json(view.to_dict())
    else:
        print_lines(outcome_lines(view, face.program, graph_of(engine, view)))
    if manner.detach and not manner.as_json:
        tell(what_becomes_of(engine, view.subject, face.program))
    raise click.exceptions.Exit(code)
