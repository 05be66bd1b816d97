"""What a store's facts mean: whether it is reached, fits this release, lies well, is quick enough, and has the engine's key.

Every check is one function from facts to findings, so that each can be tried without a database that has the trouble.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provisioning_core.engine._settings import Settings
from provisioning_core.model import FileFacts, Finding, Level, StoreFacts

_NETWORKS = (
    *("nfs", "cifs", "smb", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2", "davfs"),
    *("vboxsf", "virtiofs", "prl_fs"),  # a virtual machine's host
    *(f"fuse.{name}" for name in ("sshfs", "s3fs", "gcsfuse", "rclone", "glusterfs", "ceph", "vmhgfs", "davfs")),
)
_GOES_AWAY = {
    "tmpfs": "goes with the next restart of the host",
    "ramfs": "goes with the next restart of the host",
    "overlay": "goes with the container",
}
_SKEW, _BAD_SKEW = 1.0, 30.0
"""Seconds."""
_SLOW, _TOO_SLOW = 1 / 100, 1 / 10
"""Of the lease, for one write."""
_BESIDES = 4
"""Connections besides those of transactional steps: the loop's, the lease's, the notifier's, a caller's."""


def judge(facts: StoreFacts, settings: Settings, key_id: str | None) -> Iterator[Finding]:
    """What the store's facts mean for these settings."""
    yield from _reached(facts)
    yield from _schema(facts)
    if facts.file is not None:
        yield from _file(facts.file)
    yield from _clock(facts)
    yield from _latency(facts, settings.lease)
    yield from _connections(facts, settings)
    yield from _key(facts.key_ids, key_id, any(plan.has_secrets for plan in settings.plans))


def _reached(facts: StoreFacts) -> Iterator[Finding]:
    if not facts.is_durable:
        hint = "Use a file or PostgreSQL where runs must outlive the process."
        yield Finding(check="store", level="warn", said=f"{facts.address} forgets everything with the process.", hint=hint)
    elif facts.file is not None and facts.file.is_writable and not facts.file.exists:
        yield Finding(check="store", level="ok", said=f"{facts.address} is not there yet; the first engine that opens it makes it.")
    elif facts.file is None or facts.file.is_writable:
        yield Finding(check="store", level="ok", said=f"{facts.address} answers.")


def _schema(facts: StoreFacts) -> Iterator[Finding]:
    if facts.revision == facts.wanted:
        yield Finding(check="schema", level="ok", said=f"Its schema has revision {facts.revision}, which this release works with.")
    elif facts.revision is None and (facts.file is None or (facts.file.exists and facts.file.is_writable)):
        hint = "The first engine that opens it makes one, or `provision db upgrade`, or `provision db upgrade --sql` for the DBA."
        yield Finding(check="schema", level="warn", said="It has no schema yet.", hint=hint)
    elif facts.revision is not None:
        said = f"Its schema has revision {facts.revision}, this release works with {facts.wanted}."
        yield Finding(check="schema", level="fail", said=said, hint="`provision db upgrade`, or deploy the release that made it.")


def _file(file: FileFacts) -> Iterator[Finding]:
    if not file.is_writable:
        hint = "SQLite writes to the file and makes others beside it: make the folder, and give both to this user."
        yield Finding(check="file", level="fail", said=f"This user can't write to {file.path} or beside it.", hint=hint)
    elif file.exists and file.mode & 0o077:
        said = f"Other users of this host can get at {file.path} (mode {file.mode:04o}): runs' inputs and outputs are in it."
        yield Finding(check="file", level="warn", said=said, hint=f"chmod 600 {file.path}*")
    elif file.exists:
        yield Finding(check="file", level="ok", said=f"Only its owner can get at {file.path}.")
    yield from _file_system(file)


def _file_system(file: FileFacts) -> Iterator[Finding]:
    kind = file.file_system
    if kind is None:
        yield Finding(
            check="file system", level="ok", said="What the file is on can't be told here; it must not be a network file system."
        )
    elif is_network(kind):
        said = f"The file is on a network file system ({kind}): SQLite's locks and its WAL don't work there, and runs would be lost."
        yield Finding(check="file system", level="fail", said=said, hint="Put it on a local disk, or use PostgreSQL.")
    elif kind in _GOES_AWAY:
        yield Finding(
            check="file system",
            level="warn",
            said=f"The file is on {kind}, which {_GOES_AWAY[kind]}.",
            hint="Put it on a disk, or on a volume of the container.",
        )
    else:
        yield Finding(check="file system", level="ok", said=f"The file is on {kind}, no network file system.")


def is_network(kind: str) -> bool:
    """Whether a kind of file system is one over a network, or shared in another way that SQLite can't lock in."""
    return any(kind == each or kind.startswith(each) for each in _NETWORKS)


def _clock(facts: StoreFacts) -> Iterator[Finding]:
    if facts.clock_ahead is None:
        return
    off = abs(facts.clock_ahead)
    least = max(0.0, off - facts.clock_error)
    way = "ahead of" if facts.clock_ahead > 0 else "behind"
    said = f"The database's clock is {off:.3g} s {way} this host's (±{facts.clock_error:.2g} s)."
    level: Level = "fail" if least > _BAD_SKEW else "warn" if least > _SKEW else "ok"
    why = "Waits and timers of runs are off by that much where runs change hosts (leases are not): let NTP set the clocks."
    yield Finding(check="clock", level=level, said=said, hint="" if level == "ok" else why)


def _latency(facts: StoreFacts, lease: float) -> Iterator[Finding]:
    if facts.write_seconds is None:
        return
    took = facts.write_seconds
    said = f"Recording takes {took * 1000:.3g} ms, the lease lasts {lease:g} s."
    level: Level = "fail" if took > lease * _TOO_SLOW else "warn" if took > lease * _SLOW else "ok"
    hint = f"Renewals come too late now and then. Give the engine lease={_rounded(took / _SLOW):g} or more, or a quicker database."
    yield Finding(check="lease", level=level, said=said, hint="" if level == "ok" else hint)


def _rounded(seconds: float) -> float:
    return float(round(seconds + 0.5))


def _connections(facts: StoreFacts, settings: Settings) -> Iterator[Finding]:
    if facts.kind == "sqlite":
        if any(plan.has_transactional for plan in settings.plans):
            said = "Transactional steps take SQLite's one writer for as long as they run, and hold all else up."
            yield Finding(check="connections", level="ok", said=said)
        return
    needed = _BESIDES + (settings.max_workers if any(plan.has_transactional for plan in settings.plans) else 0)
    most = facts.connections
    if most is not None and most < needed:
        said = f"At most {most} connections, and {settings.max_workers} workers with transactional steps need {needed}."
        hint = f"Let the pool have {needed} (pool_size + max_overflow), or lower max_workers to {max(1, most - _BESIDES)}."
        yield Finding(check="connections", level="fail" if most < _BESIDES else "warn", said=said, hint=hint)
    elif facts.server_connections is not None and facts.server_connections < (most or needed):
        said = f"This process may open {most or needed} connections, and the server takes {facts.server_connections} from all."
        hint = "Raise the server's max_connections, make the pool smaller, or put a pooler in front."
        yield Finding(check="connections", level="warn", said=said, hint=hint)
    else:
        yield Finding(check="connections", level="ok", said=f"{_most(most)}, {needed} are needed.")


def _most(connections: int | None) -> str:
    return "No limit to connections" if connections is None else f"At most {connections} connections"


def _key(stored: Mapping[str, int], key_id: str | None, has_secrets: bool) -> Iterator[Finding]:
    others = {each: count for each, count in stored.items() if each != key_id}
    if others and key_id is None:
        said = f"There are secrets in the store ({_keys(others)}), and this engine has no key."
        yield Finding(check="secrets key", level="fail", said=said, hint="Give the engine the secrets_key= they were encrypted with.")
    elif others:
        said = f"Secrets in the store were encrypted with another key ({_keys(others)}) than this engine's ({key_id})."
        hint = "Runs that have them can't go on here. Give the engine that key, or let these runs end where it is."
        yield Finding(check="secrets key", level="fail", said=said, hint=hint)
    elif key_id is not None:
        seen = f"fits {stored[key_id]} stored secrets" if key_id in stored else "nothing is encrypted with it yet"
        yield Finding(check="secrets key", level="ok", said=f"The key {key_id} is there; {seen}.")
    elif not has_secrets:
        yield Finding(check="secrets key", level="ok", said="None is needed: no plan has secrets, and none are stored.")


def _keys(stored: Mapping[str, int]) -> str:
    return ", ".join(f"key {each}: {count}" for each, count in sorted(stored.items()))
