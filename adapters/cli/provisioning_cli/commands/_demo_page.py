"""``demo --web``: the same tenants on the status page, for whoever sits at this machine."""

from __future__ import annotations

import os
import socket
import sys
import threading
import webbrowser
from contextlib import suppress
from typing import Any

import click

from provisioning_cli._listening import address, listener
from provisioning_cli._output import print_json_line, tell
from provisioning_cli.commands._demo_plan import FAILS, MENDS, STUMBLES, Tenant, approved_plan, demo_plan
from provisioning_core import Engine, MissingExtra
from provisioning_core.stores import MemoryStore

_HOST = "127.0.0.1"
_PORT = 8000
_APPROVED = "hooli"
_WHO = "you"


def serve_demo(pause: float, *, port: int | None, opens_browser: bool, as_json: bool) -> None:
    """Serve the page until Ctrl-C. Raises MissingExtra, and UsageError when the port that was asked for is taken."""
    uvicorn, create_app = _http()
    listening = _listener(port)
    with Engine(store=MemoryStore(), plans=[demo_plan(pause), approved_plan(pause)], poll=0.05) as engine:
        app = create_app(engine, authorize=_whoever_sits_here)
        config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=2)
        _start(engine)
        _tell(f"{address(_HOST, listening)}/provisioning/ui", opens_browser=opens_browser, as_json=as_json)
        try:
            with suppress(KeyboardInterrupt):  # uvicorn raises it again when it has ended
                uvicorn.Server(config).run(sockets=[listening])
        finally:
            listening.close()
            engine.close(timeout=0.0)


def _start(engine: Engine) -> None:
    """The latest stands on top of the list."""
    for subject, plan in (
        (_APPROVED, "tenant-with-approval"),
        (MENDS, "tenant-with-approval"),
        (FAILS, "tenant"),
        (STUMBLES, "tenant"),
    ):
        engine.start(plan, subject=subject, input=Tenant(name=subject), actor="demo", reason="The demo")
    engine.signal(MENDS, "approval", actor="demo", reason="The demo: said before it was asked")


def _whoever_sits_here(request: Any) -> str | None:
    """Everything is allowed, but only under this machine's own name: a page elsewhere could point a name of its own here."""
    return _WHO if request.url.hostname in (_HOST, "localhost") else None


def _listener(port: int | None) -> socket.socket:
    if port is not None:
        return listener(_HOST, port)
    try:
        return listener(_HOST, _PORT)
    except click.UsageError:
        return listener(_HOST, 0)


def _tell(page: str, *, opens_browser: bool, as_json: bool) -> None:
    if as_json:
        print_json_line({"serving": page})
    else:
        tell([f"The status page: {page}", "All of this is in memory, and for this machine only. Ctrl-C ends it."])
    if opens_browser and _has_windows():
        threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()


def _has_windows() -> bool:
    """Whether a browser would open beside this terminal, not in it."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _http() -> tuple[Any, Any]:
    try:
        import uvicorn
        from provisioning_http import create_app
    except MissingExtra:
        raise
    except ModuleNotFoundError as error:
        raise MissingExtra("http", "`demo --web`") from error
    return uvicorn, create_app
