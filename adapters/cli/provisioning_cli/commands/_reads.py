"""The commands that only read: where a run stands, what happened, what can be done."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from provisioning_cli import _explain
from provisioning_cli._advice import graph_of
from provisioning_cli._exit import Asked, ExitCode, code_of_run
from provisioning_cli._face import Face, FaceCommand, json_option, pass_face, run_argument, seconds_option
from provisioning_cli._lines import event_line
from provisioning_cli._output import is_terminal, print_grid, print_json, print_json_line, print_lines, tell, write_file
from provisioning_cli._render import error_lines, next_lines, outcome_lines, run_grid, status_head, step_grid
from provisioning_cli._streams import data_stream
from provisioning_cli._text import clean, clean_block
from provisioning_cli.commands._acting import Manner, watch_only
from provisioning_core import Engine, Event, Run, RunStatus, RunView
from provisioning_core.engine import is_anybody_at_work
from provisioning_core.model import waits

if TYPE_CHECKING:
    from provisioning_core.model import PlanGraph

_GLANCE = 0.3
_WIDTH = 80
"""Of a drawing that no terminal gives the width of."""


@click.command(cls=FaceCommand)
@run_argument
@click.option("--exit-status", "by_status", is_flag=True, help="Exit as `watch` does: by how the run stands.")
@json_option
@pass_face
def status(face: Face, subject: str | None, *, run_id: str | None, by_status: bool, as_json: bool) -> NoReturn:
    """Where SUBJECT stands: steps, errors, what is allowed now."""
    with face.engine() as engine:
        view = engine.status(subject, run_id=run_id)
        code = _code(engine, view) if by_status else ExitCode.DONE
        is_worked_on = not view.status.moves or is_anybody_at_work(engine.store)
    if as_json:
        print_json(view.to_dict())
    else:
        _show(view, face.program, graph_of(engine, view), is_worked_on=is_worked_on)
    raise click.exceptions.Exit(code)


def _show(view: RunView, program: str, graph: PlanGraph | None, *, is_worked_on: bool) -> None:
    print_lines([*status_head(view), ""])
    print_grid(step_grid(view, datetime.now(UTC)))
    idle = [] if is_worked_on else ["It waits for:", *(f"  {line}" for line in waits(view, safe=clean, is_worked_on=False))]
    for section in (error_lines(view), idle, next_lines(view, program, graph)):
        print_lines(["", *section] if section else [])


@click.command(cls=FaceCommand)
@run_argument
@seconds_option("--timeout", "Stop watching after so many seconds (exit code 124).")
@click.option("--no-work", is_flag=True, help="Only look on; carry out nothing here.")
@json_option
@pass_face
def watch(face: Face, subject: str | None, *, run_id: str | None, timeout: float | None, no_work: bool, as_json: bool) -> NoReturn:
    """Watch SUBJECT until its run rests.

    The exit code tells how it ended. If no worker has the run, it goes on here.
    """
    manner = Manner(timeout=timeout, as_json=as_json)
    with face.engine(work=not no_work) as engine:
        run = engine.run(subject, run_id=run_id)
        view = watch_only(face, engine, run, manner)
        code = _code(engine, view)
    if as_json:
        print_json(view.to_dict())
    else:
        print_lines(outcome_lines(view, face.program, graph_of(engine, view)))
    raise click.exceptions.Exit(code)


def _code(engine: Engine, view: RunView) -> ExitCode:
    asked = _asked(engine, view.id) if view.status is RunStatus.ROLLED_BACK else Asked.FORWARD
    return code_of_run(view.status, asked, is_set_aside=view.is_set_aside)


def _asked(engine: Engine, run_id: str) -> Asked:
    """Whether the last rollback was asked for by somebody, or came because a step failed."""
    asked = Asked.FORWARD
    for event in engine.events(run_id=run_id):
        if event.type == "run.rolling_back":
            asked = Asked.FORWARD if event.data.get("reason") == "step_failed" else Asked.BACK
    return asked


@click.command(cls=FaceCommand)
@click.option("--status", "statuses", multiple=True, help="Only runs with this status. Repeat it.")
@click.option("--plan", help="Only runs of this plan.")
@click.option("--subject", help="Only runs of this subject.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Runs per page.")
@click.option("--cursor", help="The next page, as the last one told.")
@json_option
@pass_face
def runs(face: Face, *, statuses: tuple[str, ...], as_json: bool, cursor: str | None, **filters: Any) -> None:
    """List runs, newest first."""
    wanted = _statuses(statuses)
    with face.engine() as engine:
        page = engine.runs(status=wanted or None, cursor=cursor, **filters)
    if as_json:
        print_json({"items": page.items, "next_cursor": page.next_cursor})
        return
    if not page.items:
        tell("There are no such runs.")
        return
    print_grid(run_grid(page))
    if page.next_cursor:
        tell(f"There are more: add --cursor {page.next_cursor}")


def _statuses(words: tuple[str, ...]) -> list[str]:
    known = [word.upper().replace("-", "_") for word in words]
    for word in known:
        if word not in RunStatus.__members__:
            raise click.BadParameter(f"{word!r} is no status of a run. There are: {', '.join(RunStatus)}.", param_hint="--status")
    return known


@click.command(cls=FaceCommand)
@run_argument
@click.option("--follow", is_flag=True, help="Go on until the run rests.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="N", help="Only events after number N.")
@json_option
@pass_face
def events(face: Face, subject: str | None, *, run_id: str | None, follow: bool, after: int, as_json: bool) -> None:
    """The history of SUBJECT's run, one line per event.

    With --json one document; with --follow --json one JSON object per line.
    """
    with face.engine() as engine:
        run = engine.run(subject, run_id=run_id)
        if as_json and not follow:
            print_json({"run_id": run.id, "items": [event.to_dict() for event in engine.events(run_id=run.id, after=after)]})
            return
        for event in _followed(engine, run, after) if follow else engine.events(run_id=run.id, after=after):
            if as_json:
                print_json_line(event.to_dict())
            else:
                print_lines([f"{event.seq:>4}  {event_line(event)}"])


def _followed(engine: Engine, run: Run, after: int) -> Iterator[Event]:
    """Events as they come, to the last one before the run rests."""
    is_resting = False
    while not is_resting:
        is_resting = _rests(run)
        for event in engine.events(run_id=run.id, after=after):
            after = event.seq
            yield event


def _rests(run: Run) -> bool:
    try:
        run.wait(timeout=_GLANCE)
    except TimeoutError:
        return False
    return True


@click.command(cls=FaceCommand)
@run_argument
@json_option
@pass_face
def explain(face: Face, subject: str | None, *, run_id: str | None, as_json: bool) -> None:
    """In words: what happened, what it waits for, what can be done."""
    with face.engine() as engine:
        view = engine.status(subject, run_id=run_id)
        told = engine.events(run_id=view.id)
        alive = is_anybody_at_work(engine.store)
        lines = _explain.explain(view, told, graph_of(engine, view), program=face.program, is_worked_on=alive)
    if as_json:
        print_json({"run_id": view.id, "status": view.status, "allowed_actions": view.allowed_actions, "lines": lines})
    else:
        print_lines(lines)


@click.command(cls=FaceCommand)
@run_argument
@click.option("--format", "kind", type=click.Choice(["text", "svg"]), default="text", show_default=True)
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@json_option
@pass_face
def timeline(face: Face, subject: str | None, *, run_id: str | None, kind: str, target: Path | None, as_json: bool) -> None:
    """When what happened in SUBJECT's run: a bar for each attempt."""
    with face.engine() as engine:
        found = engine.timeline(subject, run_id=run_id)
    width = shutil.get_terminal_size().columns if is_terminal(data_stream()) and target is None else _WIDTH
    drawing = found.to_svg() if kind == "svg" else found.to_text(width=width)
    if target is not None:
        write_file(target, drawing)
    if as_json:
        print_json(found.to_dict())
    elif target is None:
        print_lines([clean_block(drawing)])
