"""A real Chromium, and a real server for it; where to find them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import uvicorn
from fastapi import FastAPI

VARIABLE = "PROVISIONING_TEST_BROWSER"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def browser_path() -> str | None:
    """The browser named in the environment, or the first one on the PATH; None when there is none that can be driven."""
    if find_spec("playwright") is None:
        return None
    given = os.environ.get(VARIABLE)
    return given or next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of a server of this app, on a port of its own; it ends with the block."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="pages")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
