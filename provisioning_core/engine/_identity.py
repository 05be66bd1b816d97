"""Who an engine is, and whether another engine's process is known to be dead.

Process ids are used again, so a process is told by its pid *and* the moment it started, on a host told by the boot's id and the pid
namespace (two containers of one host don't see each other's pids).
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

from provisioning_core.model import EngineRecord


def new_identity() -> EngineRecord:
    """A new engine in this process: no two engines ever share an id."""
    return EngineRecord(
        id=uuid.uuid4().hex,
        host=socket.gethostname(),
        boot_id=_boot_id(),
        pid=os.getpid(),
        process_started=_started(os.getpid()),
    )


def is_same_host(other: EngineRecord, mine: EngineRecord) -> bool:
    """Whether this process can see the other's process, if it is there."""
    return bool(mine.boot_id) and (other.host, other.boot_id) == (mine.host, mine.boot_id)


def is_known_dead(other: EngineRecord, mine: EngineRecord) -> bool:
    """True only when the other's process ran where this one runs, and is gone."""
    return is_same_host(other, mine) and _started(other.pid) != other.process_started


def _boot_id() -> str:
    """Empty where the system doesn't tell: then no process is ever taken for dead."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """The process's start time in clock ticks since boot; empty when there is no such process, or it is only waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] in {"Z", "X"} else fields[19]
