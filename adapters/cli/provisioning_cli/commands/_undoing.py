"""The verbs that undo: on a terminal each first shows what it will do and asks; a script is taken at its word."""

from __future__ import annotations

import click

from provisioning_cli._advice import graph_of
from provisioning_cli._exit import Asked
from provisioning_cli._face import Face, FaceCommand, run_argument
from provisioning_cli._output import can_ask, tell
from provisioning_cli._text import clean
from provisioning_cli._undo import undo_lines
from provisioning_cli.commands._acting import By, Manner, ask_and_watch, asks
from provisioning_core.model import undoing

_yes = click.option("--yes", is_flag=True, help="Don't show and don't ask; in a script nobody is asked.")


@click.command(cls=FaceCommand)
@run_argument
@click.option("--to", metavar="STEP", help="Stop there: STEP and all it needs stay.")
@click.option("--force", is_flag=True, help="Go on past steps that can't be undone.")
@_yes
@asks
def rollback(
    face: Face,
    subject: str | None,
    *,
    run_id: str | None,
    to: str | None,
    force: bool,
    yes: bool,
    by: By,
    manner: Manner,
) -> None:
    """Undo what was done, in reverse order."""
    _ask(face, "Roll back", subject, run_id, to=to, yes=yes, as_json=manner.as_json)
    ask_and_watch(
        face,
        lambda engine: engine.rollback(subject, run_id=run_id, to=to, force=force, **by),
        manner,
        subject=subject,
        run_id=run_id,
        asked=Asked.BACK if to is None else Asked.PART_BACK,
    )


@click.command(cls=FaceCommand)
@run_argument
@_yes
@asks
def deprovision(face: Face, subject: str | None, *, run_id: str | None, yes: bool, by: By, manner: Manner) -> None:
    """Take a provisioned subject down: undo all of it."""
    _ask(face, "Deprovision", subject, run_id, yes=yes, as_json=manner.as_json)
    ask_and_watch(
        face,
        lambda engine: engine.deprovision(subject, run_id=run_id, **by),
        manner,
        subject=subject,
        run_id=run_id,
        asked=Asked.BACK,
    )


@click.command(cls=FaceCommand)
@run_argument
@click.option("--rollback", "then_undo", is_flag=True, help="Then undo what was done.")
@_yes
@asks
def cancel(
    face: Face,
    subject: str | None,
    *,
    run_id: str | None,
    then_undo: bool,
    yes: bool,
    by: By,
    manner: Manner,
) -> None:
    """Start nothing new and end when what runs has ended."""
    if then_undo:
        _ask(face, "Cancel and roll back", subject, run_id, yes=yes, as_json=manner.as_json)
    ask_and_watch(
        face,
        lambda engine: engine.cancel(subject, run_id=run_id, rollback=then_undo, **by),
        manner,
        subject=subject,
        run_id=run_id,
        asked=Asked.BACK if then_undo else Asked.CANCEL,
    )


def _ask(face: Face, what: str, subject: str | None, run_id: str | None, *, to: str | None = None, yes: bool, as_json: bool) -> None:
    """Show what will be undone and ask; the engine that looks doesn't work, so nothing moves while the question stands."""
    if yes or as_json or not can_ask():
        return
    with face.engine() as engine:
        view = engine.status(subject, run_id=run_id)
        tell(undo_lines(undoing(view, graph_of(engine, view), to=to)))
    if not click.confirm(f"{what} {clean(view.subject)}?", err=True):
        tell("Nothing was done.")
        raise click.exceptions.Exit(1)
