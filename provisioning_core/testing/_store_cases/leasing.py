"""Engines and their leases."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from dataclasses import replace

from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    ALREADY_EXPIRED,
    FOR_AN_HOUR,
    NOW,
    a_run,
    an_engine,
    claimed_runs,
    created,
    engines_alive,
    owned,
    taken,
)

_A_BIT = 300.0


class LeasingCases:
    """``register``, ``heartbeat``, ``retire``, ``engines``, ``bury``, ``owned``."""

    def test_engines_are_given_back_as_they_were_even_when_expired(self, store: Store) -> None:
        records = [an_engine("one"), an_engine("two", host="wörker", boot_id="x", pid=1, process_started="")]
        store.register(records[0], FOR_AN_HOUR)
        store.register(records[1], ALREADY_EXPIRED)
        found = sorted(store.engines(), key=lambda engine: engine.id)
        assert [replace(engine, expires_at=0.0, overdue=0.0) for engine in found] == records

    def test_a_row_expires_after_its_time_by_the_stores_clock(self, store: Store) -> None:
        store.register(an_engine("reference", expires_at=12.0), 0.0)
        store.register(an_engine("one", expires_at=12.0), FOR_AN_HOUR)
        now, until = _expiry(store, "reference"), _expiry(store, "one")
        assert 0 <= until - now - FOR_AN_HOUR < _A_BIT

    def test_it_tells_for_how_long_an_engine_has_been_expired(self, store: Store) -> None:
        store.register(an_engine("living", overdue=5.0), FOR_AN_HOUR)
        store.register(an_engine("dead"), -FOR_AN_HOUR)
        overdue = {engine.id: engine.overdue for engine in store.engines()}
        assert -FOR_AN_HOUR <= overdue["living"] < -FOR_AN_HOUR + _A_BIT
        assert FOR_AN_HOUR <= overdue["dead"] < FOR_AN_HOUR + _A_BIT

    def test_registering_again_replaces_the_row(self, store: Store) -> None:
        store.register(an_engine("one"), ALREADY_EXPIRED)
        store.register(an_engine("one", pid=2, host="web-2"), FOR_AN_HOUR)
        (found,) = store.engines()
        assert (found.pid, found.host) == (2, "web-2")
        assert store.heartbeat("one", FOR_AN_HOUR)

    def test_a_heartbeat_renews_the_row(self, store: Store) -> None:
        store.register(an_engine("one"), 1000.0)
        before = _expiry(store, "one")
        assert store.heartbeat("one", 2000.0)
        assert 1000 <= _expiry(store, "one") - before < 1000 + _A_BIT

    def test_a_heartbeat_renews_no_other_row(self, store: Store) -> None:
        engines_alive(store, "one", "two")
        before = _expiry(store, "two")
        store.heartbeat("one", 2 * FOR_AN_HOUR)
        assert _expiry(store, "two") == before

    def test_an_expired_row_is_not_renewed(self, store: Store) -> None:
        store.register(an_engine("one"), FOR_AN_HOUR)
        assert store.heartbeat("one", ALREADY_EXPIRED)
        before = _expiry(store, "one")
        assert not store.heartbeat("one", FOR_AN_HOUR)
        assert _expiry(store, "one") == before

    def test_a_row_that_is_gone_is_not_renewed(self, store: Store) -> None:
        assert not store.heartbeat("one", FOR_AN_HOUR)
        assert store.engines() == ()

    def test_an_engine_that_retires_lets_go_of_its_runs(self, store: Store) -> None:
        mine, theirs = owned(store, a_run("mine", "acme"), "one"), owned(store, a_run("theirs", "globex"), "two")
        store.retire("one")
        assert [engine.id for engine in store.engines()] == ["two"]
        assert store.load("mine").run == replace(mine, owner=None)
        assert store.load("theirs").run == theirs
        assert not store.heartbeat("one", FOR_AN_HOUR)

    def test_a_run_that_was_let_go_of_is_no_takeover(self, store: Store) -> None:
        run = owned(store)
        store.retire("one")
        (snapshot,) = claimed_runs(store, "two")
        assert snapshot.run == replace(run, owner="two", epoch=run.epoch + 1)

    def test_retiring_twice_does_no_harm(self, store: Store) -> None:
        created(store, a_run())
        engines_alive(store, "one", "two")
        run = taken(store, "run-1", "two").run
        for _ in range(2):
            store.retire("one")
        assert store.load("run-1").run == run

    def test_only_named_and_expired_rows_are_buried(self, store: Store) -> None:
        engines_alive(store, "living", "living too")
        for engine_id in ("dead", "dead too", "not named"):
            store.register(an_engine(engine_id), ALREADY_EXPIRED)
        store.bury(["living", "dead", "dead too", "unknown"])
        assert {engine.id for engine in store.engines()} == {"living", "living too", "not named"}
        store.bury([])

    def test_what_a_buried_engine_still_owns_counts_as_taken_over(self, store: Store) -> None:
        run = owned(store)
        store.register(an_engine("one"), ALREADY_EXPIRED)
        store.bury(["one"])
        (snapshot,) = claimed_runs(store, "two")
        assert snapshot.run == replace(run, owner="two", epoch=run.epoch + 1, takeovers=1)

    def test_an_engine_can_ask_what_it_owns(self, store: Store) -> None:
        mine = [owned(store, a_run(name, name, runnable_at=at), "one").id for name, at in (("a", NOW), ("b", None))]
        owned(store, a_run("theirs", "globex"), "two")
        created(store, a_run("nobody's", "umbrella"))
        assert sorted(store.owned("one")) == mine
        assert store.owned("three") == []


def _expiry(store: Store, engine_id: str) -> float:
    return next(engine.expires_at for engine in store.engines() if engine.id == engine_id)
