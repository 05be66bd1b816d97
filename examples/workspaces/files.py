"""Files that are there whole or not at all, whenever the process is killed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o644


@contextmanager
def _beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """The data in a temporary file in the same folder; gone afterwards, if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Write the file, or leave the old one as it was."""
    with _beside(path, data, mode) as new:
        new.replace(path)


def make_once(path: Path, make: Callable[[], bytes], *, mode: int = PRIVATE) -> bytes:
    """The file's content, made by whoever comes first; all others, in other processes too, get the same."""
    if not path.exists():
        with _beside(path, make(), mode) as new, suppress(FileExistsError):
            path.hardlink_to(new)
    return path.read_bytes()


def link_whole(link: Path, target: Path) -> None:
    """Point a symbolic link at the target, in one move."""
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".new-{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(target, link.parent))
    new.replace(link)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder; fine if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
