"""The commands that stay: a worker, and the HTTP face."""

from __future__ import annotations

import copy
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from provisioning_cli._face import GRACE, Face, FaceCommand, json_option, pass_face, seconds_option
from provisioning_cli._listening import address, listener
from provisioning_cli._output import print_json_line, tell
from provisioning_cli._settings import ServeSettings, WorkerSettings, epilog, likely_typos, read
from provisioning_cli._telling import metrics_if_any, tell_as_set
from provisioning_cli._text import listed
from provisioning_core import Engine, MissingExtra, ProvisioningError

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_CALLS_GRACE = 5.0
"""Seconds that calls under way get to be answered, at the most."""


@click.command(cls=FaceCommand, epilog=epilog(WorkerSettings))
@seconds_option("--grace", f"What steps under way get to end. [default: {GRACE:g}]")
@json_option
@pass_face
def worker(face: Face, *, grace: float | None, as_json: bool) -> None:
    """Carry out runs, until it is stopped.

    SIGTERM or Ctrl-C lets steps under way end first; a second one ends at once.
    """
    settings = read(WorkerSettings, {"grace": grace})
    with _stop_signals() as stop, face.engine(work=True, takes="all", grace=settings.grace) as engine:
        _must_work(engine)
        tell_as_set(engine, settings)
        _tell_typos(WorkerSettings)
        engine.check()
        _say_ready(engine, as_json=as_json)
        stop.wait()
        if not as_json:
            tell(f"Stopping: steps under way get up to {settings.grace:g} s to end. A second signal ends at once.")


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


@click.command(cls=FaceCommand, epilog=epilog(ServeSettings))
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on. [default: 8000]")
@click.option("--no-work", is_flag=True, help="Only record and read; workers elsewhere carry out the runs.")
@json_option
@pass_face
def serve(face: Face, *, host: str | None, port: int | None, no_work: bool, as_json: bool) -> None:
    """Serve the HTTP face and its page. Every call needs the bearer token in PROVISIONING_TOKEN.

    SIGTERM or Ctrl-C ends streams, lets calls and then steps under way end; a second one ends at once.
    """
    uvicorn, http = _http()
    settings = read(ServeSettings, {"host": host, "port": port, "work": False if no_work else None})
    engine = face.opener(settings.work)
    try:
        tell_as_set(engine, settings)
        _tell_typos(ServeSettings)
        app = _app(http, engine, settings)
        with listener(settings.host, settings.port) as listening:
            config = uvicorn.Config(app, **_uvicorn_options(uvicorn, settings))
            _run(config, listening, lambda: _say_serving(address(settings.host, listening), works=settings.work, as_json=as_json))
    finally:
        engine.close(timeout=settings.grace)


def _say_serving(url: str, *, works: bool, as_json: bool) -> None:
    logging.getLogger("uvicorn.error").info("Uvicorn running on %s (Press CTRL+C to quit)", url)
    if as_json:
        print_json_line({"serving": url, "works": works})


def _run(config: Any, listening: socket.socket, on_start: Callable[[], None]) -> None:
    from provisioning_cli._server import Server

    # uvicorn raises the signal again when it has ended; the default handler would kill us before the engine is closed.
    with _stop_signals() as stop:
        server = Server(config, stop=stop, on_start=on_start)
        server.run(sockets=[listening])
    if not server.started:
        raise ProvisioningError("The server could not start.", code="not_started", hint="What it logged tells why.")


def _app(http: Any, engine: Engine, settings: ServeSettings) -> Any:
    """The app that stands alone, with ``/metrics`` beside it."""
    token = settings.token.get_secret_value() if settings.token is not None else ""
    authorize = http.bearer_token(token) if token.strip() else None  # without one, create_app says what to set
    app = http.create_app(engine, authorize=authorize)
    metrics = metrics_if_any(engine, wanted=settings.metrics)
    if metrics is not None:
        own = settings.metrics_token.get_secret_value() if settings.metrics_token is not None else ""
        app.include_router(http.create_metrics_router(metrics, authorize=http.bearer_token(own or token)))
    return app


def _uvicorn_options(uvicorn: Any, settings: ServeSettings) -> dict[str, Any]:
    return {
        "host": settings.host,
        "port": settings.port,
        "log_config": _log_to_stderr(uvicorn.config.LOGGING_CONFIG) if settings.log_format == "text" else None,
        "log_level": settings.log_level,
        "access_log": settings.access_log,
        "root_path": settings.root_path,
        "forwarded_allow_ips": settings.forwarded_allow_ips,
        "timeout_graceful_shutdown": max(1, round(min(settings.grace, _CALLS_GRACE))),
    }


def _tell_typos(kind: type[WorkerSettings]) -> None:
    for name, meant in likely_typos(kind, os.environ):
        tell(f"{name} is no setting and is not read. Did you mean {meant}?")


def _http() -> tuple[Any, Any]:
    try:
        import provisioning_http
        import uvicorn
    except MissingExtra:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtra("http", "`serve`") from error
    return uvicorn, provisioning_http


def _log_to_stderr(config: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    for handler in changed["handlers"].values():
        handler["stream"] = "ext://sys.stderr"
    return changed
