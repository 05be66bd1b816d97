"""Where a SQLite file lies, and who may read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sqlalchemy import URL

from provisioning_core.model import FileFacts

_MOUNTS = Path("/proc/self/mountinfo")
_BESIDE = ("", "-wal", "-shm")


def facts_of(url: URL) -> FileFacts | None:
    """None for a database that is in no file, or in one whose path can't be told."""
    database = url.database or ""
    if database in ("", ":memory:") or database.startswith("file:"):
        return None
    path = Path(database).absolute()
    there = [Path(f"{path}{end}") for end in _BESIDE if Path(f"{path}{end}").exists()]
    mode = 0
    for each in there:
        mode |= stat.S_IMODE(each.stat().st_mode)
    return FileFacts(
        path=str(path),
        exists=path.exists(),
        mode=mode,
        is_writable=os.access(path.parent, os.W_OK | os.X_OK) and all(os.access(each, os.R_OK | os.W_OK) for each in there),
        file_system=file_system_of(path.resolve(), _mounts()),
    )


def is_missing(url: URL) -> bool:
    """Whether the database is a file that is not there yet: whoever connects makes it."""
    facts = facts_of(url)
    return facts is not None and not facts.exists


def file_system_of(path: Path, mounts: str) -> str | None:
    """The kind of file system that a path is on, by the text of ``/proc/self/mountinfo``; None when that does not say."""
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        fields, dash, rest = line.partition(" - ")
        if not dash or len(fields.split()) < 5 or not rest.split():
            continue
        point = Path(_unescaped(fields.split()[4]))
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), rest.split()[0]
    return None if found is None else found[1]


def _unescaped(text: str) -> str:
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text


def _mounts() -> str:
    try:
        return _MOUNTS.read_text("utf-8", "replace")
    except OSError:
        return ""
