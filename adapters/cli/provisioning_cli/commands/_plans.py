"""The commands about plans: which there are, whether they can run, what they would do, what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from provisioning_cli._face import Face, FaceCommand, json_option, pass_face
from provisioning_cli._output import print_grid, print_json, print_lines, tell, write_file
from provisioning_cli._render import plan_grid, preview_grid, preview_head
from provisioning_cli._text import clean, clean_block, several
from provisioning_cli._values import read_input
from provisioning_core import Engine, Plan


@click.command(cls=FaceCommand)
@json_option
@pass_face
def plans(face: Face, *, as_json: bool) -> None:
    """The plans of the app."""
    with face.engine() as engine:
        known = list(engine.plans.values())
    if as_json:
        print_json({"items": [_described(each) for each in known]})
    elif known:
        print_grid(plan_grid(known))
    else:
        tell("The app has no plans. Hand them to its Engine: Engine(plans=[...]).")


def _described(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "version": plan.version,
        "description": plan.description,
        "on_failure": plan.on_failure,
        "steps": list(plan.steps),
        "input_schema": plan.input_schema,
    }


@click.command(cls=FaceCommand)
@json_option
@pass_face
def check(face: Face, *, as_json: bool) -> None:
    """Load the app, check its plans and reach its store."""
    with face.engine() as engine:
        engine.check()
        known = {each.name: len(each.steps) for each in engine.plans.values()}
    if as_json:
        print_json({"ok": True, "plans": known, "store": "reachable"})
        return
    print_lines([f"✓ plan {clean(name)}: {several(count, 'step')}" for name, count in known.items()])
    print_lines(["✓ the store is reachable and its schema is right"])


@click.command(cls=FaceCommand)
@click.argument("name")
@click.option("--input", "inputs", multiple=True, metavar="FILE|-|K=V", help="Tells which steps this input would skip.")
@json_option
@pass_face
def plan(face: Face, name: str, *, inputs: tuple[str, ...], as_json: bool) -> None:
    """What a run of the plan NAME would do; nothing is run."""
    given = read_input(inputs)
    with face.engine() as engine:
        known = engine.plans.get(name)
        preview = engine.preview(name, given.to_start(known) if inputs else None)
    if as_json:
        print_json(preview.to_dict())
        return
    print_lines([*preview_head(preview), ""])
    print_grid(preview_grid(preview))


@click.command(cls=FaceCommand)
@click.argument("name", required=False)
@click.option("--run-id", metavar="ID", help="Draw this run.")
@click.option("--format", "kind", type=click.Choice(["mermaid", "dot", "svg", "text"]), default="text", show_default=True)
@click.option("--output", "target", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file.")
@json_option
@pass_face
def graph(face: Face, name: str | None, *, run_id: str | None, kind: str, target: Path | None, as_json: bool) -> None:
    """Draw a plan, or a subject's run.

    NAME is a plan or a subject; a run's drawing shows where each step stands. A name that is both is the plan's.
    """
    if name is None and run_id is None:
        raise click.UsageError("Name a plan or a subject, or a run by --run-id.")
    with face.engine() as engine:
        drawing = _drawn(engine, name, run_id, kind)
    if target is not None:
        write_file(target, drawing)
    if as_json:
        print_json({"format": kind, "drawing": drawing, "file": None if target is None else str(target)})
    elif target is None:
        print_lines([clean_block(drawing)])


def _drawn(engine: Engine, name: str | None, run_id: str | None, kind: str) -> str:
    if run_id is None and name is not None and name in engine.plans:
        draw = getattr(engine.plans[name], f"to_{kind}")
        return str(draw())
    return engine.drawing(None if run_id else name, run_id=run_id, format=kind)  # type: ignore[arg-type]  # click checked the choice
