"""uvicorn on a socket that listens already. Imported only by commands that serve, because it takes a while to load."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn


class Server(uvicorn.Server):
    """Calls ``on_start`` when it answers, and heeds a signal that had set ``stop`` before it took signals itself."""

    def __init__(self, config: uvicorn.Config, *, stop: threading.Event, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop = stop
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_start()
        self.should_exit = self.should_exit or self._stop.is_set()
