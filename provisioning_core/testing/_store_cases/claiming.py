"""Runs are given to engines: each to one."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from provisioning_core.errors import NotFound
from provisioning_core.model import ErrorInfo, RunStatus
from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    ALREADY_EXPIRED,
    FULL_GRAPH,
    NOW,
    a_change,
    a_full_run,
    a_full_step,
    a_request,
    a_resource,
    a_run,
    an_engine,
    at_once,
    claimed_runs,
    created,
    engines_alive,
    owned,
    taken,
)


def _claimed(store: Store, engine_id: str = "one", *, now: float = NOW, limit: int = 99, dead: tuple[str, ...] = ()) -> list[str]:
    return [snapshot.run.id for snapshot in claimed_runs(store, engine_id, now=now, limit=limit, dead=dead)]


def _claimed_one_by_one(store: Store, engine_id: str, names: list[str]) -> list[str]:
    return [name for name in names if store.claim_run(engine_id, name) is not None]


class ClaimingCases:
    """``claim``."""

    def test_a_claimed_run_comes_whole_and_is_the_engines(self, store: Store) -> None:
        run = a_full_run()
        current = owned(store, run, "before", steps=[a_full_step()])
        store.commit([a_change(current, resources=(a_resource(2), a_resource(1)), release=True)])
        store.request(a_request("request-1", run.id))
        (snapshot,) = claimed_runs(store, "one", now=NOW + 9)
        assert (snapshot.run.owner, snapshot.run.epoch, snapshot.run.takeovers) == ("one", current.epoch + 1, run.takeovers)
        assert (snapshot.graph, snapshot.steps) == (FULL_GRAPH, {"database": a_full_step()})
        assert (snapshot.resources, snapshot.requests) == ((a_resource(2), a_resource(1)), (a_request("request-1", run.id),))
        assert store.load(run.id) == snapshot

    def test_only_runs_of_these_plans_are_taken(self, store: Store) -> None:
        created(store, a_run("tenant", "acme"), a_run("billing", "acme-1", plan="billing"), a_run("mail", "acme-2", plan="mail"))
        found = claimed_runs(store, "one", plans={"mail", "tenant", "unknown"})
        assert {snapshot.run.id for snapshot in found} == {"tenant", "mail"}
        assert store.load("billing").run.owner is None
        assert claimed_runs(store, "one", plans=[]) == []

    def test_only_runs_whose_time_has_come_are_taken(self, store: Store) -> None:
        engines_alive(store, "one")
        times = {"past": NOW - 1, "now": NOW, "soon": NOW + 0.001, "never": None}
        created(store, *(a_run(name, name, runnable_at=at) for name, at in times.items()))
        assert _claimed(store) == ["past", "now"]
        assert _claimed(store, now=NOW + 1) == ["soon"]
        assert _claimed(store, now=NOW + 1e9) == []

    def test_the_oldest_come_first_and_no_more_than_asked_for(self, store: Store) -> None:
        engines_alive(store, "one")
        times = [NOW - 2, NOW - 5, NOW - 1, NOW - 4, NOW - 3]
        created(store, *(a_run(f"{NOW - at:g}", f"{at}", runnable_at=at) for at in times))
        assert _claimed(store, limit=2) == ["5", "4"]
        assert _claimed(store, limit=9) == ["3", "2", "1"]

    def test_a_run_whose_owner_lives_is_left_alone(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        assert [_claimed(store, "two"), _claimed(store, "one")] == [[], []]
        assert store.load(run.id).run == run

    def test_a_dead_owners_run_is_taken_over(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        store.register(an_engine("one"), ALREADY_EXPIRED)
        assert _claimed(store, "two") == [run.id]
        assert store.load(run.id).run == replace(run, owner="two", epoch=run.epoch + 1, takeovers=1)

    def test_an_owner_without_a_row_is_dead(self, store: Store) -> None:
        created(store, a_run(owner="vanished", epoch=5, takeovers=2))
        (snapshot,) = claimed_runs(store, "two")
        assert snapshot.run == a_run(owner="two", epoch=6, takeovers=3)

    def test_who_is_known_to_be_dead_is_dead_whatever_its_row_says(self, store: Store) -> None:
        owned(store, a_run("first", "acme"), "one")
        owned(store, a_run("second", "globex"), "other")
        assert _claimed(store, "two", dead=("one", "unknown")) == ["first"]

    def test_every_owner_raises_the_epoch(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        for number in range(1, 4):
            assert _claimed(store, f"next-{number}", dead=("one", *(f"next-{n}" for n in range(number)))) == [run.id]
            current = store.load(run.id).run
            assert (current.epoch, current.takeovers) == (run.epoch + number, number)

    def test_engines_that_claim_at_once_never_get_the_same_run(self, store: Store) -> None:
        engines = [f"engine-{number}" for number in range(4)]
        engines_alive(store, *engines)
        created(store, *(a_run(f"run-{number}", f"subject-{number}") for number in range(40)))

        def claim_all(engine_id: str) -> list[str]:
            mine: list[str] = []
            while found := _claimed(store, engine_id, limit=3):
                mine += found
            return mine

        shares = at_once(*(partial(claim_all, engine_id) for engine_id in engines))
        counted = Counter(run_id for share in shares for run_id in share)
        # An engine that finds the others in the middle of taking what is left may go home early; nothing is given twice.
        assert set(counted.values()) == {1}
        owners = {run_id: engine_id for engine_id, share in zip(engines, shares, strict=True) for run_id in share}
        assert all(store.load(run_id).run.owner == engine_id for run_id, engine_id in owners.items())
        assert len(counted) + len(claim_all("engine-0")) == 40


class ClaimingOneCases:
    """``claim_run``."""

    @pytest.mark.parametrize("runnable_at", [None, NOW - 1, NOW + 1e9])
    def test_a_run_is_taken_whatever_its_time_and_status(self, store: Store, runnable_at: float | None) -> None:
        created(store, a_run(status=RunStatus.FAILED, runnable_at=runnable_at))
        snapshot = store.claim_run("one", "run-1")
        assert snapshot == store.load("run-1")
        assert snapshot.run == a_run(status=RunStatus.FAILED, runnable_at=runnable_at, owner="one", epoch=1)

    def test_a_living_owner_keeps_it(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        assert store.claim_run("two", run.id) is None
        assert store.claim_run("two", run.id, dead=("three",)) is None
        assert store.load(run.id).run == run

    def test_a_dead_owner_does_not(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        store.register(an_engine("one"), ALREADY_EXPIRED)
        assert taken(store, run.id, "two").run == replace(run, owner="two", epoch=run.epoch + 1, takeovers=1)

    def test_neither_does_one_that_is_known_to_be_dead(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        assert taken(store, run.id, "two", dead=["one"]).run.owner == "two"

    def test_the_owner_itself_gets_it_again_under_a_new_epoch(self, store: Store) -> None:
        run = owned(store, engine_id="one")
        assert taken(store, run.id, "one").run == replace(run, epoch=run.epoch + 1)

    def test_a_run_that_is_not_there_can_not_be_claimed(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.claim_run("one", "unknown")

    def test_of_many_engines_at_once_one_gets_it(self, store: Store) -> None:
        engines = [f"engine-{number}" for number in range(6)]
        engines_alive(store, *engines)
        names = [f"run-{number}" for number in range(20)]
        created(store, *(a_run(name, name) for name in names))
        got = at_once(*(partial(_claimed_one_by_one, store, engine_id, names) for engine_id in engines))
        assert sorted(run_id for share in got for run_id in share) == sorted(names)
        assert {store.load(name).run.epoch for name in names} == {1}


class ShelvingCases:
    """``shelve``."""

    def test_a_shelved_run_says_why_and_nobody_claims_it_by_its_time(self, store: Store) -> None:
        run = owned(store, a_run(), "one")
        why = ErrorInfo(code="unreadable_run", message="It needs help.", detail="damaged", at=NOW)
        store.shelve(run.id, run.epoch, why)
        kept = store.load(run.id).run
        assert (kept.attention, kept.owner, kept.runnable_at, kept.version) == (why, None, None, run.version + 1)
        assert store.head(run.id).is_set_aside
        assert claimed_runs(store, "two", now=NOW + 1e9) == []

    def test_a_run_that_has_another_owner_by_now_is_not_shelved(self, store: Store) -> None:
        run = owned(store, a_run(), "one")
        store.shelve(run.id, run.epoch - 1, ErrorInfo(code="unreadable_run", message="It needs help."))
        assert store.load(run.id).run == run
