"""What a commit writes, of one run and of many."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from dataclasses import replace

import pytest

from provisioning_core.model import RunStatus, StepRecord, StepStatus
from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    FULL_GRAPH,
    GRAPH,
    NOW,
    a_change,
    a_full_event,
    a_full_run,
    a_full_step,
    a_request,
    a_resource,
    a_run,
    a_step,
    claimed_runs,
    events_from,
    everything_of,
    moved,
    owned,
)


class CommittingCases:
    """``commit``, when nothing stands against it."""

    def test_the_whole_record_is_written(self, store: Store) -> None:
        run = owned(store)
        full = a_full_run()
        wanted = replace(
            full, id=run.id, subject=run.subject, owner=run.owner, epoch=run.epoch, fingerprint=run.fingerprint, idempotency_key=None
        )
        assert store.commit([a_change(run, run_fields=_fields(wanted))]) == frozenset()
        assert store.load(run.id).run == wanted

    def test_fields_can_be_emptied_again(self, store: Store) -> None:
        run = owned(store, a_full_run())
        emptied = a_run(run.id, run.subject, fingerprint=run.fingerprint, owner="one", epoch=run.epoch, version=99, seq=run.seq)
        emptied = replace(emptied, idempotency_key=run.idempotency_key, runnable_at=None)
        store.commit([a_change(run, run_fields=_fields(emptied))])
        assert store.load(run.id).run == emptied

    def test_who_a_run_is_never_changes(self, store: Store) -> None:
        run = owned(store)
        other = {"plan": "another", "subject": "globex", "created_at": NOW + 5}
        store.commit([a_change(run, run_fields={**other, "progress": 0.5})])
        assert store.load(run.id).run == replace(run, version=run.version + 1, progress=0.5)
        assert store.latest("globex") is None

    def test_steps_are_added_and_overwritten_and_others_stay(self, store: Store) -> None:
        run = owned(store, steps=[a_step("database", StepStatus.RUNNING), a_step("bucket")])
        store.commit([a_change(run, steps=(a_full_step("database"), a_step("mail")))])
        steps = {"database": a_full_step("database"), "bucket": a_step("bucket"), "mail": a_step("mail")}
        assert store.load(run.id).steps == steps

    def test_a_steps_fields_can_be_emptied_again(self, store: Store) -> None:
        run = owned(store, steps=[a_full_step()])
        store.commit([a_change(run, steps=(StepRecord(name="database"),))])
        assert store.load(run.id).steps == {"database": StepRecord(name="database")}

    def test_removed_steps_are_gone(self, store: Store) -> None:
        run = owned(store, steps=[a_step("database"), a_step("bucket"), a_step("mail")])
        store.commit([a_change(run, removed_steps=("bucket", "mail", "never there"))])
        assert store.load(run.id).steps == {"database": a_step("database")}

    def test_a_step_that_is_removed_and_written_begins_anew(self, store: Store) -> None:
        run = owned(store, steps=[a_full_step()])
        store.commit([a_change(run, removed_steps=("database",), steps=(a_step("database"),))])
        assert store.load(run.id).steps == {"database": a_step("database")}

    def test_events_go_on_where_they_were(self, store: Store) -> None:
        run = owned(store, a_run(seq=2), events=events_from("run-1", 1, 2))
        third = a_full_event(run.id, 3)
        store.commit([a_change(run, events=(third, *events_from(run.id, 4, 4)))])
        assert store.events(run.id) == [*events_from(run.id, 1, 2), third, *events_from(run.id, 4, 4)]

    def test_resources_are_kept_in_the_order_they_came(self, store: Store) -> None:
        run = owned(store)
        store.commit([first := a_change(run, resources=(a_resource(3), a_resource(1)))])
        store.commit([a_change(first.run, resources=(a_resource(2), a_resource(0, step="bucket")))])
        assert store.load(run.id).resources == (a_resource(3), a_resource(1), a_resource(2), a_resource(0, step="bucket"))

    def test_a_resource_told_again_is_there_once_as_it_was_told_last(self, store: Store) -> None:
        run = owned(store)
        again, other = a_resource(1, details={"size": 2}, attempt=2, token=5), a_resource(1, kind="role")
        store.commit([first := a_change(run, resources=(a_resource(1), a_resource(2)))])
        store.commit([a_change(first.run, resources=(replace(again, details={}), other, again))])
        assert store.load(run.id).resources == (a_resource(2), other, again)

    def test_resources_of_different_runs_do_not_meet(self, store: Store) -> None:
        first, second = owned(store, a_run("first", "acme")), owned(store, a_run("second", "globex"))
        store.commit([a_change(first, resources=(a_resource(1),)), a_change(second, resources=(a_resource(1, token=2),))])
        assert [store.load(name).resources for name in ("first", "second")] == [(a_resource(1),), (a_resource(1, token=2),)]

    def test_a_changed_graph_is_the_runs_own(self, store: Store) -> None:
        run, other = owned(store), owned(store, a_run("other", "globex"))
        store.commit([a_change(run, graph=FULL_GRAPH, run_fields={"fingerprint": FULL_GRAPH.fingerprint, "plan_version": "2"})])
        assert (store.load(run.id).graph, store.load(other.id).graph) == (FULL_GRAPH, GRAPH)

    def test_requests_that_were_carried_out_are_gone(self, store: Store) -> None:
        run = owned(store)
        for name in ("first", "second", "third"):
            store.request(a_request(name))
        store.commit([a_change(run, requests_done=("first", "third", "unknown"))])
        assert store.load(run.id).requests == (a_request("second"),)

    def test_many_runs_are_written_in_one_commit(self, store: Store) -> None:
        runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(20)]
        steps = [(a_step("database", token=number), a_step("bucket")) for number in range(20)]
        changes = [a_change(run, events=3, steps=steps[number]) for number, run in enumerate(reversed(runs))]
        assert store.commit(changes) == frozenset()
        for change in changes:
            snapshot, events = everything_of(store, change.run.id)
            assert (snapshot.run, events) == (change.run, list(change.events))
            assert snapshot.steps == {step.name: step for step in change.steps}

    def test_counters_alone_can_be_written(self, store: Store) -> None:
        run = owned(store, a_full_run())
        counted = {"version": run.version + 1, "token": run.token + 1, "progress": 0.75, "takeovers": 0}
        change = a_change(run, run_fields=counted, events=2, steps=(a_step("bucket"),), only_counters=True)
        assert store.commit([change]) == frozenset()
        snapshot = store.load(run.id)
        assert (snapshot.run, snapshot.steps["bucket"]) == (change.run, a_step("bucket"))
        assert store.events(run.id)[-2:] == list(change.events)

    def test_counters_leave_a_run_as_runnable_as_a_verb_made_it(self, store: Store) -> None:
        run = owned(store, a_run(runnable_at=NOW + 9))
        store.request(a_request(at=NOW + 1))
        change = a_change(run, run_fields={"token": 5}, only_counters=True)
        store.commit([change])
        assert store.load(run.id).run == replace(change.run, runnable_at=NOW + 1)

    def test_counters_of_a_run_that_is_anothers_are_not_written(self, store: Store) -> None:
        mine, lost = owned(store), owned(store, a_run("run-2", "globex"))
        stale = replace(lost, epoch=lost.epoch - 1)
        changes = [a_change(run, run_fields={"token": 5}, events=1, only_counters=True) for run in (mine, stale)]
        assert store.commit(changes) == frozenset({"run-2"})
        assert (store.load(mine.id).run.token, store.load(lost.id).run) == (5, lost)
        assert store.events(lost.id) == []

    def test_counters_that_were_written_before_are_not_written_again(self, store: Store) -> None:
        run = owned(store)
        change = a_change(run, run_fields={"token": 5}, events=2, only_counters=True)
        store.commit([change])
        before = everything_of(store, run.id)
        assert store.commit([change]) == frozenset()
        assert everything_of(store, run.id) == before

    def test_a_commit_of_nothing_does_nothing(self, store: Store) -> None:
        assert store.commit([]) == frozenset()

    def test_a_run_that_is_released_has_no_owner(self, store: Store) -> None:
        run = owned(store, a_run(runnable_at=NOW))
        change = a_change(run, run_fields={"runnable_at": NOW + 60}, release=True)
        assert store.commit([change]) == frozenset()
        assert store.load(run.id).run == replace(change.run, owner=None)

    def test_a_released_run_can_be_taken_at_once_and_that_is_no_takeover(self, store: Store) -> None:
        run = owned(store)
        store.commit([a_change(run, release=True)])
        (snapshot,) = claimed_runs(store, "two")
        assert (snapshot.run.owner, snapshot.run.epoch, snapshot.run.takeovers) == ("two", run.epoch + 1, 0)

    @pytest.mark.parametrize("ended", [RunStatus.CANCELLED, RunStatus.ROLLED_BACK, RunStatus.SUCCEEDED])
    def test_a_run_that_ends_and_one_that_begins_can_share_a_commit(self, store: Store, ended: RunStatus) -> None:
        ending = owned(store, a_run("ending"))
        beginning = owned(store, a_run("beginning", status=RunStatus.SUCCEEDED))
        changes = [moved(beginning, RunStatus.ROLLING_BACK), moved(ending, ended)]
        assert store.commit(changes) == frozenset()
        assert [store.load(change.run.id).run for change in changes] == [change.run for change in changes]


def _fields(run: object) -> dict[str, object]:
    return {name: getattr(run, name) for name in run.__slots__}  # type: ignore[attr-defined]
