"""What ``engine.diagnose()`` makes of a store's facts and an engine's settings: each trouble is found, and said with what to do."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.orm import Session

from provisioning_core import Engine, Plan, StoreUnavailable, step
from provisioning_core.engine._diagnosis import judge_engines, judge_runs
from provisioning_core.engine._identity import new_identity
from provisioning_core.engine._store_findings import is_network, judge
from provisioning_core.executors import ProcessExecutor
from provisioning_core.model import EngineRecord, FileFacts, Finding, Standing, StoreFacts
from provisioning_core.observers.webhooks import Webhooks
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.testing import FaultyStore

KEY = b"0123456789abcdef0123456789abcdef"
SERVER = StoreFacts(
    kind="postgresql",
    address="postgresql://app:***@db/product",
    revision="0001",
    wanted="0001",
    clock_ahead=0.002,
    clock_error=0.001,
    write_seconds=0.004,
    connections=40,
    server_connections=97,
)
FILE = StoreFacts(
    kind="sqlite",
    address="sqlite:///runs.db",
    revision="0001",
    wanted="0001",
    write_seconds=0.001,
    file=FileFacts(path="/srv/runs.db", exists=True, mode=0o600, file_system="ext4"),
)


@step
def plain() -> str:
    return "x"


@step(transactional=True)
def writes(session: Session) -> None:
    return None


@step
def secretive() -> SecretStr:
    return SecretStr("x")


def _found(facts: StoreFacts, *plans: Plan, key_id: str | None = None, **options: Any) -> dict[str, Finding]:
    keyed = {"secrets_key": KEY} if any(plan.has_secrets for plan in plans) else {}
    engine = Engine(store=SqlStore("sqlite://"), plans=plans, work=False, **keyed, **options)
    return {finding.check: finding for finding in judge(facts, engine._settings, key_id)}


def _level(found: dict[str, Finding], check: str) -> str:
    """The level; what is not well says what to do."""
    finding = found[check]
    assert finding.level == "ok" or finding.hint
    return finding.level


@pytest.mark.parametrize("facts", [SERVER, FILE])
def test_where_all_is_well_all_is_well(facts: StoreFacts) -> None:
    assert {finding.level for finding in _found(facts, Plan("tenant", steps=[plain])).values()} == {"ok"}


@pytest.mark.parametrize(("revision", "level"), [("0001", "ok"), (None, "warn"), ("0002", "fail")])
def test_the_schema_fits_or_does_not(revision: str | None, level: str) -> None:
    assert _level(_found(replace(SERVER, revision=revision)), "schema") == level


@pytest.mark.parametrize(
    ("ahead", "error", "level"),
    [(0.9, 0.0, "ok"), (1.5, 0.1, "warn"), (-1.5, 0.1, "warn"), (1.5, 0.8, "ok"), (40.0, 0.1, "fail"), (-40.0, 0.1, "fail")],
)
def test_clocks_agree_or_do_not(ahead: float, error: float, level: str) -> None:
    found = _found(replace(SERVER, clock_ahead=ahead, clock_error=error))
    assert _level(found, "clock") == level
    assert ("ahead of" if ahead > 0 else "behind") in found["clock"].said


@pytest.mark.parametrize(("seconds", "level"), [(0.05, "ok"), (0.5, "warn"), (4.0, "fail")])
def test_the_lease_is_long_enough_for_the_database(seconds: float, level: str) -> None:
    assert _level(_found(replace(SERVER, write_seconds=seconds)), "lease") == level


def test_the_lease_that_would_do_is_told() -> None:
    assert "lease=50" in _found(replace(SERVER, write_seconds=0.495))["lease"].hint


@pytest.mark.parametrize(
    ("pool", "plan", "level"),
    [
        (40, Plan("t", steps=[writes]), "ok"),
        (19, Plan("t", steps=[writes]), "warn"),
        (20, Plan("t", steps=[writes]), "ok"),
        (4, Plan("t", steps=[plain]), "ok"),
        (3, Plan("t", steps=[plain]), "fail"),
        (None, Plan("t", steps=[writes]), "ok"),
    ],
)
def test_the_pool_is_large_enough_for_the_workers(pool: int | None, plan: Plan, level: str) -> None:
    assert _level(_found(replace(SERVER, connections=pool), plan, max_workers=16), "connections") == level


def test_a_pool_that_the_server_can_not_serve_is_told() -> None:
    assert _level(_found(replace(SERVER, server_connections=30)), "connections") == "warn"


@pytest.mark.parametrize(
    ("stored", "key_id", "plan", "level"),
    [
        ({}, None, Plan("t", steps=[plain]), "ok"),
        ({}, "aaaaaaaa", Plan("t", steps=[secretive]), "ok"),
        ({"aaaaaaaa": 3}, "aaaaaaaa", Plan("t", steps=[secretive]), "ok"),
        ({"bbbbbbbb": 3}, "aaaaaaaa", Plan("t", steps=[secretive]), "fail"),
        ({"aaaaaaaa": 9, "bbbbbbbb": 1}, "aaaaaaaa", Plan("t", steps=[secretive]), "fail"),
        ({"bbbbbbbb": 3}, None, Plan("t", steps=[plain]), "fail"),
    ],
)
def test_the_secrets_key_fits_what_is_stored(stored: dict[str, int], key_id: str | None, plan: Plan, level: str) -> None:
    found = _found(replace(SERVER, key_ids=stored), plan, key_id=key_id)
    assert _level(found, "secrets key") == level
    assert level == "ok" or "key bbbbbbbb" in found["secrets key"].said


@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o640, "warn"), (0o604, "warn")])
def test_a_file_that_others_can_read_is_told(mode: int, level: str) -> None:
    assert FILE.file is not None
    assert _level(_found(replace(FILE, file=replace(FILE.file, mode=mode))), "file") == level


def test_a_file_that_can_not_be_written_is_told() -> None:
    assert FILE.file is not None
    assert _level(_found(replace(FILE, file=replace(FILE.file, is_writable=False))), "file") == "fail"


def test_a_file_that_can_not_be_written_is_not_said_to_have_no_schema() -> None:
    assert FILE.file is not None
    unseen = replace(FILE, revision=None, file=replace(FILE.file, is_writable=False))
    assert "schema" not in _found(unseen)


@pytest.mark.parametrize(
    ("kind", "level"),
    [
        *((kind, "ok") for kind in ("ext4", "xfs", None)),
        *((kind, "fail") for kind in ("nfs4", "cifs", "fuse.sshfs", "9p")),
        *((kind, "warn") for kind in ("tmpfs", "overlay")),
    ],
)
def test_what_the_file_lies_on_is_told(kind: str | None, level: str) -> None:
    assert FILE.file is not None
    assert _level(_found(replace(FILE, file=replace(FILE.file, file_system=kind))), "file system") == level


def test_local_file_systems_are_not_taken_for_others() -> None:
    assert [kind for kind in ("ext4", "btrfs", "zfs", "apfs", "f2fs", "fuseblk", "ntfs3", "xfs", "tmpfs") if is_network(kind)] == []


def _engine(host: str, overdue: float = -20.0) -> EngineRecord:
    return EngineRecord(id=host, host=host, boot_id=host, pid=1, overdue=overdue)


def _of_engines(*records: EngineRecord, **options: Any) -> dict[str, Finding]:
    settings = Engine(store=MemoryStore(), plans=[], work=False, **options)._settings
    return {finding.check: finding for finding in judge_engines(records, settings)}


def test_engines_that_fell_silent_are_told() -> None:
    assert _level(_of_engines(_engine("one", 5.0)), "engines") == "warn"
    found = _of_engines(_engine("one"), _engine("two", 5.0))
    assert (_level(found, "engines"), found["engines"].said) == ("ok", "1 at work, 1 silent.")
    assert "zombies" not in found


def test_an_engine_of_this_host_whose_process_is_gone_is_not_at_work() -> None:
    here = new_identity()
    gone = replace(here, id="gone", process_started="long ago", overdue=-20.0)
    assert _of_engines(gone)["engines"].said == "0 at work, 1 dead."
    assert _level(_of_engines(gone), "engines") == "warn"
    assert _of_engines(replace(here, overdue=-20.0), gone)["engines"].said == "1 at work, 1 dead."


def test_several_hosts_with_threads_are_told_what_is_assumed() -> None:
    found = _of_engines(_engine("one"), _engine("two"), quarantine=45.0)
    assert "45 s more" in found["zombies"].said
    executor = ProcessExecutor(1)
    try:
        assert "zombies" not in _of_engines(_engine("one"), _engine("two"), executor=executor)
    finally:
        executor.shutdown()


@pytest.mark.parametrize(
    ("standing", "level"),
    [
        (Standing(), "ok"),
        (Standing(counts={"FAILED": 3}), "ok"),
        (Standing(counts={"ROLLBACK_FAILED": 1}), "warn"),
        (Standing(set_aside=1), "warn"),
        (Standing(unclaimed=2, unclaimed_for=5.0), "ok"),
        (Standing(unclaimed=2, unclaimed_for=61.0), "warn"),
    ],
)
def test_runs_that_wait_for_somebody_are_told(standing: Standing, level: str) -> None:
    (finding,) = judge_runs(standing, 30.0)
    assert (finding.level, bool(finding.hint)) == (level, level != "ok")


def test_one_run_is_not_told_as_several() -> None:
    (aside,), (idle,) = judge_runs(Standing(set_aside=1), 30.0), judge_runs(Standing(unclaimed=1, unclaimed_for=61.0), 30.0)
    assert aside.said == "1 run was set aside, 0 rollbacks failed: a person has to act."
    assert idle.said == "1 run should move and has no engine, one for 61 s."


# put together


def test_a_store_in_memory_forgets() -> None:
    found = {finding.check: finding for finding in Engine(store=MemoryStore(), plans=[], work=False).diagnose()}
    assert _level(found, "store") == "warn"
    with closing(SqlStore("sqlite://")) as store:
        found = {finding.check: finding for finding in Engine(store=store, plans=[], work=False).diagnose()}
    assert _level(found, "store") == "warn"


def test_a_store_that_is_away_is_told_and_the_rest_is_looked_at_all_the_same(tmp_path: Any) -> None:
    store = FaultyStore(SqlStore(f"sqlite:///{tmp_path / 'none' / 'runs.db'}"))
    found = Engine(store=store, plans=[Plan("t", steps=[plain])], work=False).diagnose()
    assert [(each.check, each.level) for each in found] == [
        ("file", "fail"),
        ("file system", "ok"),
        ("secrets key", "ok"),
        ("plans", "ok"),
    ]


def test_a_store_that_goes_away_in_between_is_told(tmp_path: Any) -> None:
    inner = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    inner.prepare()
    store = FaultyStore(inner)
    store.fail(method="engines", error=StoreUnavailable("gone"), for_ever=True)
    found = Engine(store=store, plans=[], work=False).diagnose()
    inner.close()
    assert (found[-1].check, found[-1].level, found[-1].said) == ("store", "fail", "gone")


def test_limits_without_a_number_are_told() -> None:
    limited = step(name="limited", limit="dns-api")(plain.fn)
    plans = [Plan("t", steps=[limited])]
    found = {each.check: each for each in Engine(store=MemoryStore(), plans=plans, work=False).diagnose()}
    assert _level(found, "plans") == "warn"
    assert "'dns-api'" in found["plans"].said
    found = {each.check: each for each in Engine(store=MemoryStore(), plans=plans, limits={"dns-api": 2}, work=False).diagnose()}
    assert _level(found, "plans") == "ok"


def test_webhooks_to_private_targets_are_told() -> None:
    for allowed, level in ((False, "ok"), (True, "warn")):
        webhooks = Webhooks(allow_private_targets=allowed, send=False)
        engine = Engine(store=MemoryStore(), plans=[], secrets_key=KEY, work=False, webhooks=webhooks)
        found = {each.check: each for each in engine.diagnose()}
        assert _level(found, "webhooks") == level
    assert "webhooks" not in {each.check for each in Engine(store=MemoryStore(), plans=[], work=False).diagnose()}
