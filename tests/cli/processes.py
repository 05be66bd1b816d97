"""``provision`` as a process, in a pipe or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 40.0


class Process:
    """One command, and what it has written so far."""

    def __init__(self, popen: subprocess.Popen[bytes], output: int) -> None:
        self._popen = popen
        self._output = output
        self.text = ""

    def read_until(self, words: str) -> str:
        """Everything so far, once these words are in it."""
        until = time.monotonic() + LONGEST
        while words not in self.text and self._read(until):
            pass
        assert words in self.text, self.text
        return self.text

    def write(self, words: str) -> None:
        os.write(self._output, words.encode())

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def end(self) -> int:
        """Wait for the end; the exit code."""
        until = time.monotonic() + LONGEST
        while self._read(until):
            pass
        return self._popen.wait(timeout=LONGEST)

    def close(self) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait(timeout=LONGEST)
        os.close(self._output)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._output], [], [], max(until - time.monotonic(), 0))
        assert ready, f"nothing came any more after: {self.text}"
        try:
            some = os.read(self._output, 65536)
        except OSError:  # how a terminal tells that its other side is closed
            return False
        self.text += some.decode(errors="replace")
        return bool(some)


@contextlib.contextmanager
def in_a_pipe(folder: Path, *words: str, **environment: str) -> Iterator[Process]:
    """stdout and stderr together in one pipe."""
    ours, theirs = os.pipe()
    with _process(folder, words, stdin=subprocess.DEVNULL, output=theirs, environment=environment) as popen:
        os.close(theirs)
        yield from _closing(Process(popen, ours))


@contextlib.contextmanager
def on_a_terminal(folder: Path, *words: str, columns: int = 80, lines: int = 24, **environment: str) -> Iterator[Process]:
    """stdin, stdout and stderr are a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    told = {"TERM": "xterm-256color"} | environment
    with _process(folder, words, stdin=theirs, output=theirs, environment=told) as popen:
        os.close(theirs)
        yield from _closing(Process(popen, ours))


def _closing(process: Process) -> Iterator[Process]:
    try:
        yield process
    finally:
        process.close()


def _process(
    folder: Path, words: tuple[str, ...], *, stdin: int, output: int, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    app = {"PROVISIONING_APP": "tests.cli.slow_app:make", "SLOW_APP_FOLDER": str(folder)}
    unset = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONWARNINGS")
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.Popen(
        [sys.executable, "-m", "provisioning_cli", *words],
        stdin=stdin,
        stdout=output,
        stderr=output,
        cwd=ROOT,
        env=inherited | app | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"} | environment,
        start_new_session=True,
        preexec_fn=_heed_interrupts,
    )


def _heed_interrupts() -> None:
    """A shell makes what it runs in the background deaf to Ctrl-C, and with it all that is begun from there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
