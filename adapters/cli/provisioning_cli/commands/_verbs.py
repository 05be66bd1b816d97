"""The verbs that take a run forward, or settle something by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import click

from provisioning_cli._exit import Asked
from provisioning_cli._face import Face, FaceCommand, run_argument, step_arguments
from provisioning_cli._values import parse_pairs, parse_value, read_input
from provisioning_cli.commands._acting import By, Manner, ask_and_watch, asks, start_and_watch
from provisioning_core import Engine, Run

Verb: TypeAlias = Callable[..., Run]

_INPUT_HELP = (
    "The plan's input: a JSON file, `-` for standard input, or key=value (a.b=1 nests; JSON, but text where the plan wants text). "
    "Repeat it. Keep secrets in a file."
)
_VALUE_HELP = """JSON ('"5"' is text), text, key=value, @FILE, or `-` for standard input."""


@click.command(cls=FaceCommand)
@click.argument("subject")
@click.argument("plan")
@click.option("--input", "inputs", multiple=True, metavar="FILE|-|K=V", help=_INPUT_HELP)
@click.option("--again", is_flag=True, help="Provision a provisioned subject again.")
@click.option("--idempotency-key", metavar="KEY", help="The same key gives back the same run.")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="A label for the run. Repeat it.")
@asks
def start(
    face: Face,
    subject: str,
    plan: str,
    *,
    inputs: tuple[str, ...],
    again: bool,
    idempotency_key: str | None,
    labels: tuple[str, ...],
    by: By,
    manner: Manner,
) -> None:
    """Provision SUBJECT (the tenant's id) with PLAN."""
    given, labelled = read_input(inputs), parse_pairs(labels, "--label")
    start_and_watch(
        face,
        lambda engine: engine.start(
            plan,
            subject=subject,
            input=given.to_start(engine.plans.get(plan)),
            again=again,
            idempotency_key=idempotency_key,
            labels=labelled,
            **by,
        ),
        manner,
        subject=subject,
    )


@click.command(cls=FaceCommand)
@run_argument
@click.option(
    "--step",
    "--steps",
    "steps",
    multiple=True,
    metavar="STEP,…",
    help="Run these and all behind them again, even if done. Repeat it.",
)
@click.option("--input", "inputs", multiple=True, metavar="FILE|-|K=V", help="Correct the input. " + _INPUT_HELP)
@asks
def retry(
    face: Face,
    subject: str | None,
    *,
    run_id: str | None,
    steps: tuple[str, ...],
    inputs: tuple[str, ...],
    by: By,
    manner: Manner,
) -> None:
    """Try again what failed; what is done stays done."""
    given, named = read_input(inputs), [name for word in steps for name in word.split(",") if name]

    def ask(engine: Engine) -> Run:
        plan = engine.plans.get(engine.run(subject, run_id=run_id).view().plan) if inputs else None
        corrected = given.value(None if plan is None else plan.input_schema)
        return engine.retry(subject, run_id=run_id, steps=named or None, input=corrected, **by)

    ask_and_watch(
        face,
        ask,
        manner,
        subject=subject,
        run_id=run_id,
    )


@click.command(cls=FaceCommand)
@step_arguments
@click.option("--payload", metavar="VALUE", help=f"What the gate hands on. {_VALUE_HELP}")
@asks
def signal(
    face: Face,
    subject: str,
    step: str,
    *,
    payload: str | None,
    run_id: str | None,
    by: By,
    manner: Manner,
) -> None:
    """Open the gate STEP; a signal that comes early is kept."""
    value = parse_value(payload)
    ask_and_watch(
        face,
        lambda engine: engine.signal(subject, step, payload=value, run_id=run_id, **by),
        manner,
        subject=subject,
        run_id=run_id,
    )


@click.command(cls=FaceCommand)
@step_arguments
@click.option("--output", metavar="VALUE", help=f"What the step would have given. {_VALUE_HELP}")
@asks
def skip(
    face: Face,
    subject: str,
    step: str,
    *,
    output: str | None,
    run_id: str | None,
    by: By,
    manner: Manner,
) -> None:
    """Say that the failed STEP was done by hand; then `continue`."""
    value = parse_value(output)
    ask_and_watch(
        face,
        lambda engine: engine.skip(subject, step, output=value, run_id=run_id, **by),
        manner,
        subject=subject,
        run_id=run_id,
        by_hand=True,
    )


@click.command(cls=FaceCommand)
@step_arguments
@click.option("--as", "as_", required=True, type=click.Choice(["succeeded", "failed", "compensated"]), help="How it stands.")
@click.option("--output", metavar="VALUE", help=f"With --as succeeded: what the step gave. {_VALUE_HELP}")
@asks
def resolve(
    face: Face,
    subject: str,
    step: str,
    *,
    as_: str,
    output: str | None,
    run_id: str | None,
    by: By,
    manner: Manner,
) -> None:
    """Settle a STEP in doubt, or one that could not be undone."""
    value = parse_value(output)
    ask_and_watch(
        face,
        lambda engine: engine.resolve(subject, step, as_=as_, output=value, run_id=run_id, **by),
        manner,
        subject=subject,
        run_id=run_id,
        by_hand=True,
    )


def _plain(name: str, verb: Verb, told: str, *, asked: Asked = Asked.FORWARD, by_hand: bool = False) -> click.Command:
    """The command of a verb that takes nothing but the run."""

    @click.command(name, cls=FaceCommand, help=told)
    @run_argument
    @asks
    def command(face: Face, subject: str | None, *, run_id: str | None, by: By, manner: Manner) -> None:
        ask_and_watch(
            face,
            lambda engine: verb(engine, subject, run_id=run_id, **by),
            manner,
            subject=subject,
            run_id=run_id,
            asked=asked,
            by_hand=by_hand,
        )

    return command


continue_ = _plain("continue", Engine.continue_, "Take up a run that stopped, and do what is not done.")
pause = _plain("pause", Engine.pause, "Start nothing new, until `continue`.", asked=Asked.PAUSE)
adopt_plan = _plain("adopt-plan", Engine.adopt_plan, "Let the run go on by the plan that the code has now.", by_hand=True)
