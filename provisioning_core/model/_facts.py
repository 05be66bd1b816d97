"""What can be told of a store and its host before something goes wrong: what ``provision doctor`` judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """The file of a store, or where it will be."""

    path: str
    exists: bool
    mode: int = 0
    """Its permission bits, with those of the files that SQLite has beside it."""
    is_writable: bool = True
    """Whether this process may write to it, and make files beside it."""
    file_system: str | None = None
    """Its kind, such as ``ext4`` or ``nfs4``; None where that can't be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """How a store answered. What could not be asked, because the store is not there yet, is left out."""

    kind: str
    """``sqlite``, ``postgresql``."""
    address: str
    """Without its password."""
    is_durable: bool = True
    revision: str | None = None
    """Of its schema; None when it has none yet."""
    wanted: str = ""
    """The revision that this release works with."""
    clock_ahead: float | None = None
    """Seconds that its clock is ahead of this host's; None when it is the same clock."""
    clock_error: float = 0.0
    """By how many seconds that may be wrong."""
    write_seconds: float | None = None
    """How long it takes to record something, as a rule; None where that could not be tried."""
    connections: int | None = None
    """The most connections this process opens; None without a limit."""
    server_connections: int | None = None
    """The most connections the server takes from all."""
    key_ids: Mapping[str, int] = field(default_factory=dict)
    """Secrets in what was recorded last, by the id of the key that they were encrypted with."""
    file: FileFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked, and what came of it."""

    check: str
    level: Level
    said: str
    hint: str = ""
    """What to do about it; empty when there is nothing to do."""
