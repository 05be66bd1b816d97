"""The commands that stay: a worker, and the HTTP face."""

from __future__ import annotations

import copy
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from provisioning_cli._face import GRACE, Face, FaceCommand, json_option, pass_face, seconds_option
from provisioning_cli._output import print_json_line, tell
from provisioning_cli._text import listed
from provisioning_core import Engine, MissingExtra

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@click.command(cls=FaceCommand)
@seconds_option("--grace", "What steps under way get to end.", default=GRACE)
@json_option
@pass_face
def worker(face: Face, *, grace: float, as_json: bool) -> None:
    """Carry out runs, until it is stopped.

    SIGTERM or Ctrl-C lets steps under way end first; a second one ends at once.
    """
    with _stop_signals() as stop, face.engine(work=True, grace=grace) as engine:
        _must_work(engine)
        engine.check()
        _say_ready(engine, as_json=as_json)
        stop.wait()
        if not as_json:
            tell(f"Stopping: steps under way get up to {grace:g} s to end. A second signal ends at once.")


def _must_work(engine: Engine) -> None:
    if not engine.is_working:
        raise click.UsageError(
            "The app's engine was made with work=False. Let its function take work=, and hand that to Engine(work=work)."
        )


def _say_ready(engine: Engine, *, as_json: bool) -> None:
    names = list(engine.plans)
    if as_json:
        print_json_line({"ready": True, "plans": names, "pid": os.getpid()})
    else:
        tell(f"The worker is ready (process {os.getpid()}), plans: {listed(names) or 'none'}.")


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or SIGINT sets; the second ends the process."""
    stop = threading.Event()

    def note(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {each: signal.signal(each, note) for each in _STOPPING}
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@click.command(cls=FaceCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port to listen on.")
@click.option("--no-work", is_flag=True, help="Only record and read; workers elsewhere carry out the runs.")
@json_option
@pass_face
def serve(face: Face, *, host: str, port: int, no_work: bool, as_json: bool) -> None:
    """Serve the HTTP face. Every call needs the bearer token in PROVISIONING_TOKEN."""
    uvicorn, create_app = _http()
    engine = face.opener(not no_work)
    try:
        app = create_app(engine)
        if as_json:
            print_json_line({"serving": f"http://{host}:{port}", "works": not no_work})
        # uvicorn raises the signal again when it has ended; the default handler would kill us before the engine is closed.
        with _stop_signals():
            uvicorn.run(app, host=host, port=port, log_config=_log_to_stderr(uvicorn.config.LOGGING_CONFIG))
    finally:
        engine.close(timeout=GRACE)


def _http() -> tuple[Any, Any]:
    try:
        import uvicorn
        from provisioning_http import create_app
    except MissingExtra:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtra("http", "`serve`") from error
    return uvicorn, create_app


def _log_to_stderr(config: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    for handler in changed["handlers"].values():
        handler["stream"] = "ext://sys.stderr"
    return changed
