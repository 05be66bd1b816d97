"""The socket of a command that serves, taken before anything is said to be served."""

from __future__ import annotations

import os
import socket

import click


def listener(host: str, port: int) -> socket.socket:
    """Listen there; port 0 takes a free one. A usage error where that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise cannot_listen(host, port, error) from error


def cannot_listen(host: str, port: int, error: OSError, *, option: str = "--port") -> click.UsageError:
    """Nothing can listen there: why, and what to do."""
    number = error.errno or 0
    why = os.strerror(number) if number > 0 else error.strerror or error  # those of a name are negative
    told = f"Nothing can listen on {_place(host, port)}: {why}."
    return click.UsageError(f"{told} Name another by {option}, or end what listens there.")


def address(host: str, listening: socket.socket) -> str:
    """Its URL, with the port that it has."""
    return f"http://{_place(host, listening.getsockname()[1])}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
