"""The example's command line; ``python -m examples.workspaces --help`` lists the commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from pydantic import ValidationError

from examples.workspaces import engine, faults
from examples.workspaces.backend import workspace_for
from examples.workspaces.demo import demo
from examples.workspaces.plan import PLAN_FOR
from examples.workspaces.settings import Settings
from examples.workspaces.watch import follow, say, table
from provisioning_core import Engine, NotFound, ProvisioningError, Run, RunStatus, RunView

EXIT_CODE = {"SUCCEEDED": 0, "FAILED": 3, "ROLLED_BACK": 5, "ROLLBACK_FAILED": 6, "WAITING": 7, "PAUSED": 7, "CANCELLED": 10}
UNDOING = ("rollback", "deprovision")
USAGE, UNKNOWN, REFUSED = 2, 8, 9
IN_MOTION = ["PENDING", "RUNNING", "CANCELLING", "ROLLING_BACK"]

Verb = Callable[[Engine, argparse.Namespace], Run]

VERBS: dict[str, Verb] = {
    "up": lambda engine, asked: engine.start(
        PLAN_FOR[asked.on_failure].name, subject=asked.subject, input=workspace_for(asked.subject), actor="cli"
    ),
    "retry": lambda engine, asked: engine.retry(asked.subject, actor="cli"),
    "continue": lambda engine, asked: engine.continue_(asked.subject, actor="cli"),
    "rollback": lambda engine, asked: engine.rollback(asked.subject, actor="cli"),
    "deprovision": lambda engine, asked: engine.deprovision(asked.subject, actor="cli"),
}
HELP = {
    "up": "provision a tenant; go on if it was begun before",
    "retry": "try the failed steps again",
    "continue": "take up a run that stopped, and do what is not done",
    "rollback": "undo everything that was done",
    "deprovision": "close a provisioned tenant",
}


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code says how it ended."""
    asked = _parser().parse_args(words)
    _tell_environment(asked)
    try:
        return int(asked.run(asked))
    except (ProvisioningError, TimeoutError) as error:
        sys.stderr.write(f"{error}\n")
        return UNKNOWN if isinstance(error, NotFound) else REFUSED
    except ValidationError:
        sys.stderr.write("A tenant's name has 2 to 31 small letters, digits and hyphens, and begins with a letter.\n")
        return USAGE


def _tell_environment(asked: argparse.Namespace) -> None:
    """Steps read their settings from the environment, wherever they run."""
    if asked.dir:
        os.environ["WORKSPACES_DIR"] = asked.dir
    if getattr(asked, "slow", None) is not None:
        os.environ["WORKSPACES_SLOW"] = str(asked.slow)


def _demo(_asked: argparse.Namespace) -> int:
    with engine() as running:
        return 0 if demo(running, Settings.from_environment()) else 1


def _verb(asked: argparse.Namespace) -> int:
    settings = Settings.from_environment()
    workspace_for(asked.subject)
    faults.inject(settings, dict(asked.fail))
    with engine() as running:
        seen = _seen(running, asked.subject)
        run = VERBS[asked.command](running, asked)
        view = follow(running, run, after=seen.get(run.id, 0))
    code = _show(view)
    return 0 if asked.command in UNDOING and view.status is RunStatus.ROLLED_BACK else code


def _resume(_asked: argparse.Namespace) -> int:
    faults.inject(Settings.from_environment(), {})
    with engine(work=False) as reading:
        seen = {run.id: _last_event(reading, run.id) for run in reading.runs(status=IN_MOTION)}
    if not seen:
        say("nothing to resume")
        return 0
    with engine() as running:
        return max(_show(follow(running, running.run(run_id=run_id), after=last)) for run_id, last in seen.items())


def _status(asked: argparse.Namespace) -> int:
    with engine(work=False) as reading:
        return _show(reading.status(asked.subject))


def _serve(asked: argparse.Namespace) -> int:
    import uvicorn

    from examples.workspaces.app import create_app

    uvicorn.run(create_app(), host="127.0.0.1", port=asked.port)
    return 0


def _seen(running: Engine, subject: str) -> dict[str, int]:
    """The number of the latest event of the subject's latest run, so that only what is new is shown."""
    try:
        run = running.run(subject)
    except NotFound:
        return {}
    return {run.id: _last_event(running, run.id)}


def _last_event(running: Engine, run_id: str) -> int:
    return max(event.seq for event in running.events(run_id=run_id))


def _show(view: RunView) -> int:
    for line in table(view):
        say(line)
    return EXIT_CODE.get(str(view.status), 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.workspaces", description="A small backend that provisions real tenants."
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--dir", help="folder of everything the backend writes (default: $WORKSPACES_DIR or .work/workspaces)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", parents=[shared], help="one tenant succeeds, one fails and is rolled back").set_defaults(run=_demo)
    for name, words in HELP.items():
        _add_verb(commands.add_parser(name, parents=[shared], help=words), is_start=name == "up")
    status = commands.add_parser("status", parents=[shared], help="show where a tenant stands")
    status.add_argument("subject")
    status.set_defaults(run=_status)
    commands.add_parser("resume", parents=[shared], help="go on with whatever a dead process left behind").set_defaults(run=_resume)
    serve = commands.add_parser("serve", parents=[shared], help="run the backend's HTTP API")
    serve.add_argument("--port", type=int, default=8000)
    serve.set_defaults(run=_serve)
    return parser


def _fault(word: str) -> tuple[str, int]:
    try:
        return faults.parse(word, PLAN_FOR["finish"].steps)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _add_verb(command: argparse.ArgumentParser, *, is_start: bool) -> None:
    command.add_argument("subject", help="the tenant's name")
    command.add_argument(
        "--fail", type=_fault, action="append", default=[], metavar="STEP[:N]", help="let a step fail N times, or for ever"
    )
    command.add_argument("--slow", type=float, metavar="SECONDS", help="let each step linger")
    if is_start:
        command.add_argument("--on-failure", choices=sorted(PLAN_FOR), default="finish", help="what a failed step leads to")
    command.set_defaults(run=_verb)


if __name__ == "__main__":
    sys.exit(main())
