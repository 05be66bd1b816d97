"""Sockets with one limit of time and one of size for all that comes, whether the other side drips or floods."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any

MOST_TAKEN = 128 * 1024
"""Bytes of an answer, headers and all: what reads more is kept busy, and with it the whole process."""


class TooLong(OSError):
    """More came than is taken."""


class _Timed:
    """Before each wait, the time that is left is set. Mixed into the two kinds of sockets."""

    deadline: float | None = None
    """By the monotonic clock."""
    taken = 0
    """Bytes."""

    def recv_into(self, *arguments: Any) -> int:
        self._set_time()
        count: int = super().recv_into(*arguments)  # type: ignore[misc]  # the socket's, behind this
        self.taken += count
        if self.taken > MOST_TAKEN:
            raise TooLong("more came than is taken")
        return count

    def send(self, *arguments: Any) -> int:
        self._set_time()
        return super().send(*arguments)  # type: ignore[misc,no-any-return]  # the socket's, behind this

    def sendall(self, *arguments: Any) -> None:
        self._set_time()
        super().sendall(*arguments)  # type: ignore[misc]  # the socket's, behind this

    def _set_time(self) -> None:
        if self.deadline is not None:
            self.settimeout(time_left(self.deadline))  # type: ignore[attr-defined]  # the socket's


class TimedSocket(_Timed, socket.socket):
    """A plain one."""


class TimedTls(_Timed, ssl.SSLSocket):
    """An encrypted one."""


def time_left(deadline: float) -> float:
    """Seconds. Raises TimeoutError when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left
