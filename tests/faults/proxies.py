"""A network between a client and PostgreSQL that can be cut, can fall silent, and can lose the answer to a commit."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from types import TracebackType
from typing import Self

_COMMIT = b"COMMIT\x00"
_WRITES_AT_ONCE = re.compile(rb"(_pg3_\w+)\x00WITH given AS MATERIALIZED")
"""Where the driver prepares a statement that is a commit by itself, under this name."""


class Proxy:
    """Listens on ``port`` and passes everything on to the server at ``target``, until it is told otherwise."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._speaks = threading.Event()
        self._speaks.set()
        self._commits = 0
        self._lost: range | None = None
        self._are_sent = True
        self.met = 0
        """Commits whose answers did not come back."""
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._speaks.set()
        self.cut()
        for thread in self._threads:
            thread.join()

    def lose_answers(self, commits: int = 1, *, after: int = 0, are_sent: bool = True) -> None:
        """So many commits, ``after`` others, get no answer, their connections are cut. They reach the server if they ``are_sent``."""
        with self._lock:
            self._lost = range(self._commits + after, self._commits + after + commits)
            self._are_sent = are_sent

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)

    def fall_silent(self) -> None:
        """Pass nothing on; connections stay."""
        self._speaks.clear()

    def speak(self) -> None:
        """Pass on again, what had been held back too."""
        self._speaks.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._pairs.append((client, server))
                lost = threading.Event()
                for source, sink, is_asking in ((client, server, True), (server, client, False)):
                    thread = threading.Thread(target=self._pass_on, args=(source, sink, is_asking, lost))
                    self._threads.append(thread)
                    thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_asking: bool, lost: threading.Event) -> None:
        at_once: set[bytes] = set()
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._speaks.wait()
                if is_asking and _is_commit(data, at_once) and self._is_lost():
                    lost.set()
                    if not self._are_sent:
                        break
                elif not is_asking and lost.is_set():
                    break
                sink.sendall(data)
        _close(source, sink)

    def _is_lost(self) -> bool:
        with self._lock:
            number, self._commits = self._commits, self._commits + 1
            is_lost = self._lost is not None and number in self._lost
            self.met += is_lost
            return is_lost


def _is_commit(data: bytes, at_once: set[bytes]) -> bool:
    """``at_once``: names of those statements of this connection that are commits by themselves; grows as they are prepared."""
    if prepared := _WRITES_AT_ONCE.findall(data):
        at_once.update(prepared)
        return False
    return _COMMIT in data or any(b"\x00" + name + b"\x00" in data for name in at_once)


def _close(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
