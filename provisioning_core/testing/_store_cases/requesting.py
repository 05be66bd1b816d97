"""Verbs are recorded for a run's owner, and none is lost."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from functools import partial

import pytest

from provisioning_core.errors import NotFound
from provisioning_core.model import RunStatus
from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    NOW,
    a_change,
    a_request,
    a_run,
    at_once,
    claimed_runs,
    created,
    engines_alive,
    owned,
    taken,
)


class RequestingCases:
    """``request``, ``requests``, and what they mean for ``runnable_at``."""

    def test_a_verb_is_recorded(self, store: Store) -> None:
        created(store, a_run())
        request = a_request(arguments={"deep": {"ü": [1, None, True]}}, actor=None, reason="weil's « so » ist")
        store.request(request)
        assert store.load("run-1").requests == (request,)
        assert store.head("run-1").has_requests

    def test_verbs_of_a_run_are_given_oldest_first(self, store: Store) -> None:
        created(store, a_run())
        late, early = a_request("late", at=NOW + 2), a_request("early", at=NOW + 1)
        same = [a_request(name, at=NOW + 1) for name in ("z", "a")]
        for request in (late, early, *same):
            store.request(request)
        assert store.load("run-1").requests == (early, *same, late)

    @pytest.mark.parametrize(("known", "at", "wanted"), [(None, NOW, NOW), (NOW + 9, NOW, NOW), (NOW - 9, NOW, NOW - 9)])
    def test_a_run_with_a_verb_is_looked_at_no_later_than_that(
        self, store: Store, known: float | None, at: float, wanted: float
    ) -> None:
        created(store, a_run(status=RunStatus.FAILED, runnable_at=known))
        store.request(a_request(at=at))
        assert store.load("run-1").run.runnable_at == wanted

    def test_a_resting_run_with_a_verb_can_be_claimed(self, store: Store) -> None:
        created(store, a_run(status=RunStatus.FAILED, runnable_at=None))
        assert claimed_runs(store, "one") == []
        store.request(a_request())
        (snapshot,) = claimed_runs(store, "one")
        assert snapshot.requests == (a_request(),)

    def test_a_verb_for_a_run_that_is_not_there_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.request(a_request(run_id="unknown"))

    def test_an_engine_sees_the_verbs_for_its_own_runs_alone(self, store: Store) -> None:
        owned(store, a_run("mine", "acme"), "one")
        owned(store, a_run("also mine", "initech"), "one")
        owned(store, a_run("theirs", "globex"), "two")
        created(store, a_run("nobody's", "umbrella"))
        requests = [a_request("1", "also mine", at=NOW + 1), a_request("2", "mine", at=NOW), a_request("3", "theirs")]
        for request in (*requests, a_request("4", "nobody's")):
            store.request(request)
        assert store.requests("one") == [requests[1], requests[0]]
        assert store.requests("two") == [requests[2]]
        assert store.requests("three") == []

    def test_a_verb_follows_its_run_to_the_next_owner(self, store: Store) -> None:
        run = owned(store)
        store.request(a_request())
        store.commit([a_change(run, release=True)])
        assert store.requests("one") == []
        engines_alive(store, "two")
        assert taken(store, run.id, "two").requests == (a_request(),)
        assert store.requests("two") == [a_request()]

    @pytest.mark.parametrize("wanted", [None, NOW + 1000])
    def test_a_run_is_not_put_to_sleep_over_a_waiting_verb(self, store: Store, wanted: float | None) -> None:
        run = owned(store)
        for number in (1, 2, 3):
            store.request(a_request(f"{number}", at=NOW + number))
        store.commit([a_change(run, requests_done=("1",), run_fields={"runnable_at": wanted}, release=True)])
        runnable_at = store.load(run.id).run.runnable_at
        assert runnable_at is not None
        assert runnable_at <= NOW + 3

    @pytest.mark.parametrize("wanted", [None, NOW + 1000])
    def test_a_run_sleeps_when_all_its_verbs_are_carried_out(self, store: Store, wanted: float | None) -> None:
        run, other = owned(store), owned(store, a_run("other", "globex"))
        store.request(a_request("1"))
        store.request(a_request("2", other.id))
        store.commit([a_change(run, requests_done=("1",), run_fields={"runnable_at": wanted}, release=True)])
        assert store.load(run.id).run.runnable_at == wanted
        assert store.load(other.id).requests == (a_request("2", other.id),)

    def test_a_run_that_is_due_earlier_stays_so(self, store: Store) -> None:
        run = owned(store)
        store.request(a_request(at=NOW + 9))
        store.commit([a_change(run, run_fields={"runnable_at": NOW + 1}, release=True)])
        assert store.load(run.id).run.runnable_at == NOW + 1

    def test_no_verb_is_lost_while_its_run_is_put_to_sleep(self, store: Store) -> None:
        for number in range(20):
            run = owned(store, a_run(f"run-{number}", f"subject-{number}"))
            sleep = a_change(run, run_fields={"runnable_at": None}, release=True)
            request = a_request(f"request-{number}", run.id)
            at_once(partial(store.commit, [sleep]), partial(store.request, request))
        woken = {snapshot.run.id for snapshot in claimed_runs(store, "two")}
        assert woken == {f"run-{number}" for number in range(20)}
