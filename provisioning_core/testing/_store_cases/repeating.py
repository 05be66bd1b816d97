"""A commit whose outcome was unknown comes again: what it had written is not written twice."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from dataclasses import replace
from typing import Any

from provisioning_core.model import RunStatus, StatusChange
from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    a_change,
    a_request,
    a_resource,
    a_run,
    a_step,
    events_from,
    everything_of,
    moved,
    owned,
)


class RepeatingCases:
    """``commit`` of a change that was written already, and ``request`` of a verb that is recorded already."""

    def test_a_commit_that_comes_again_changes_nothing(self, store: Store) -> None:
        run = owned(store)
        change = moved(run, RunStatus.SUCCEEDED, events=2, steps=(a_step(),), resources=(a_resource(1), a_resource(2)))
        store.commit([change])
        before = everything_of(store, run.id)
        assert store.commit([change]) == frozenset()
        assert everything_of(store, run.id) == before

    def test_the_hook_is_not_told_again(self, store: Store) -> None:
        told: list[Any] = []
        change = moved(owned(store), RunStatus.SUCCEEDED)
        for _ in range(2):
            store.commit([change], hook=lambda seen, _: told.append(seen))
        assert told == [change.status_change]

    def test_it_may_bring_what_happened_since(self, store: Store) -> None:
        run = owned(store)
        first = a_change(run, events=2, steps=(a_step(),))
        store.commit([first])
        told: list[Any] = []
        more = moved(run, RunStatus.SUCCEEDED, events=3, steps=(a_step(), a_step("bucket")))
        assert store.commit([more], hook=lambda seen, _: told.append(seen)) == frozenset()
        snapshot, events = everything_of(store, run.id)
        assert (snapshot.run, set(snapshot.steps), tuple(events)) == (more.run, {"database", "bucket"}, events_from(run.id, 1, 3))
        assert told == [more.status_change]

    def test_the_hook_is_told_of_the_change_from_what_is_stored(self, store: Store) -> None:
        """The writer knows of the status before the first one only."""
        run = owned(store)
        store.commit([moved(run, RunStatus.ROLLING_BACK)])
        told: list[StatusChange] = []
        store.commit([moved(run, RunStatus.FAILED)], hook=lambda seen, _: told.append(seen))
        assert [(each.old, each.new) for each in told] == [(RunStatus.ROLLING_BACK, RunStatus.FAILED)]

    def test_the_hook_is_told_of_a_way_back_if_the_way_there_is_stored(self, store: Store) -> None:
        there, still_here = owned(store, a_run("there", "acme")), owned(store, a_run("here", "globex"))
        store.commit([moved(there, RunStatus.FAILED)])
        told: list[StatusChange] = []
        back = [moved(there, RunStatus.RUNNING, events=1), moved(still_here, RunStatus.RUNNING, events=1)]
        assert store.commit(back, hook=lambda seen, _: told.append(seen)) == frozenset()
        assert [(each.run_id, each.old, each.new) for each in told] == [("there", RunStatus.FAILED, RunStatus.RUNNING)]
        assert [store.load(name).run.status for name in ("there", "here")] == [RunStatus.RUNNING] * 2

    def test_it_can_be_sent_with_what_was_never_written(self, store: Store) -> None:
        seen, new = owned(store, a_run("seen", "acme")), owned(store, a_run("new", "globex"))
        changes = [a_change(seen, events=1), a_change(new, events=1)]
        store.commit(changes[:1])
        assert store.commit(changes) == frozenset()
        assert [len(store.events(name)) for name in ("seen", "new")] == [1, 1]

    def test_a_verb_that_is_recorded_again_is_there_once(self, store: Store) -> None:
        run = owned(store)
        for _ in range(2):
            store.request(a_request())
        assert store.load(run.id).requests == (a_request(),)

    def test_a_verb_that_is_recorded_again_is_the_first_one(self, store: Store) -> None:
        owned(store)
        store.request(a_request())
        store.request(replace(a_request(), verb="cancel"))
        assert store.requests("one") == [a_request()]
