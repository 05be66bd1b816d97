"""What a commit must not write: another engine's runs, and what breaks a rule of the data."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioning_core.errors import Conflict
from provisioning_core.model import OCCUPYING, RunStatus, StepStatus
from provisioning_core.ports import RunChange, Store
from provisioning_core.testing._store_cases.records import (
    FULL_GRAPH,
    a_change,
    a_request,
    a_resource,
    a_run,
    a_step,
    created,
    engines_alive,
    events_from,
    everything_of,
    moved,
    owned,
    taken,
)


class StaleWriterCases:
    """``commit`` by an engine that lost the run: refused whole."""

    def test_a_moved_epoch_refuses_the_whole_change(self, store: Store) -> None:
        run = owned(store, steps=[a_step("bucket")])
        store.request(a_request())
        taken(store, run.id, "one")
        _assert_is_refused_whole(store, run)

    def test_another_owner_refuses_the_whole_change(self, store: Store) -> None:
        run = owned(store, steps=[a_step("bucket")])
        store.request(a_request())
        engines_alive(store, "two")
        current = taken(store, run.id, "two", dead=["one"]).run
        _assert_is_refused_whole(store, replace(run, epoch=current.epoch))

    def test_a_released_run_is_not_the_writers_any_more(self, store: Store) -> None:
        run = owned(store, steps=[a_step("bucket")])
        store.request(a_request())
        store.commit([change := a_change(run, release=True)])
        _assert_is_refused_whole(store, change.run)

    def test_a_run_that_nobody_has_claimed_can_not_be_written(self, store: Store) -> None:
        created(store, a_run(), steps=[a_step("bucket")])
        store.request(a_request())
        _assert_is_refused_whole(store, replace(a_run(), owner="one"))

    def test_a_run_that_is_not_there_is_refused(self, store: Store) -> None:
        assert store.commit([a_change(a_run("unknown", owner="one"))]) == {"unknown"}

    def test_the_others_in_the_commit_are_written(self, store: Store) -> None:
        stale, mine = owned(store, a_run("stale", "acme")), owned(store, a_run("mine", "globex"))
        taken(store, "stale", "one")
        told: list[str] = []
        changes = [moved(stale, RunStatus.SUCCEEDED), moved(mine, RunStatus.SUCCEEDED)]
        assert store.commit(changes, hook=lambda change, _: told.append(change.run_id)) == {"stale"}
        assert store.load("stale").run.status is RunStatus.RUNNING
        assert store.load("mine").run == changes[1].run
        assert told == ["mine"]


class RuleCases:
    """The rules of the data, which no writer can break."""

    @pytest.mark.parametrize("status", sorted(OCCUPYING))
    def test_a_subject_never_has_two_runs_that_occupy_it(self, store: Store, status: RunStatus) -> None:
        old = owned(store, a_run("old", status=RunStatus.SUCCEEDED))
        created(store, a_run("new"))
        _assert_conflict(store, moved(old, status, events=1, steps=(a_step(),)), "already_active")

    def test_two_runs_of_a_subject_can_not_begin_to_occupy_it_together(self, store: Store) -> None:
        runs = [owned(store, a_run(name, status=RunStatus.SUCCEEDED)) for name in ("first", "second")]
        with pytest.raises(Conflict) as caught:
            store.commit([moved(run, RunStatus.ROLLING_BACK) for run in runs])
        assert caught.value.code == "already_active"
        assert caught.value.run_id in {"first", "second"}
        assert [store.load(run.id).run for run in runs] == runs

    def test_nothing_is_rolled_back_over_an_effect(self, store: Store) -> None:
        run = owned(store, a_run(status=RunStatus.ROLLING_BACK), steps=[a_step("database")])
        _assert_conflict(store, moved(run, RunStatus.ROLLED_BACK, events=1, steps=(a_step("bucket", effect=False),)), "has_effects")

    def test_nothing_is_rolled_back_over_an_effect_of_the_same_commit(self, store: Store) -> None:
        run = owned(store, a_run(status=RunStatus.ROLLING_BACK))
        _assert_conflict(store, moved(run, RunStatus.ROLLED_BACK, steps=(a_step("database"),)), "has_effects")

    def test_no_effect_can_be_added_to_what_is_rolled_back(self, store: Store) -> None:
        run = owned(store, a_run(status=RunStatus.ROLLED_BACK), steps=[a_step("database", effect=False)])
        _assert_conflict(store, a_change(run, steps=(a_step("database"),)), "has_effects")
        _assert_conflict(store, a_change(run, steps=(a_step("bucket"),)), "has_effects")

    def test_a_run_without_effects_is_rolled_back(self, store: Store) -> None:
        run = owned(store, a_run(status=RunStatus.ROLLING_BACK), steps=[a_step("database"), a_step("bucket"), a_step("mail")])
        undone = tuple(a_step(name, StepStatus.COMPENSATED, effect=False) for name in ("database", "bucket"))
        change = moved(run, RunStatus.ROLLED_BACK, steps=undone, removed_steps=("mail",))
        assert store.commit([change]) == frozenset()
        assert store.load(run.id).run.status is RunStatus.ROLLED_BACK

    def test_a_rolled_back_run_that_begins_anew_may_have_effects_again(self, store: Store) -> None:
        run = owned(store, a_run(status=RunStatus.ROLLED_BACK), steps=[a_step("database", effect=False)])
        change = moved(run, RunStatus.RUNNING, steps=(a_step("database"),))
        assert store.commit([change]) == frozenset()
        assert store.load(run.id).steps == {"database": a_step("database")}

    def test_effects_of_other_runs_do_not_matter(self, store: Store) -> None:
        owned(store, a_run("other", "globex"), steps=[a_step("database")])
        run = owned(store, a_run(status=RunStatus.ROLLING_BACK))
        assert store.commit([moved(run, RunStatus.ROLLED_BACK)]) == frozenset()

    def test_no_event_is_numbered_twice(self, store: Store) -> None:
        run = owned(store, a_run(seq=2), events=events_from("run-1", 1, 2))
        _assert_conflict(store, a_change(run, events=events_from(run.id, 2, 3)), "refused_data")

    def test_one_broken_rule_stops_the_whole_commit(self, store: Store) -> None:
        good, bad = owned(store, a_run("good", "acme")), owned(store, a_run("bad", "globex"), steps=[a_step("database")])
        more = owned(store, a_run("more", "initech"))
        before = [everything_of(store, run.id) for run in (good, bad, more)]
        changes = [a_change(good, events=2), moved(bad, RunStatus.ROLLED_BACK), a_change(more, steps=(a_step(),))]
        with pytest.raises(Conflict) as caught:
            store.commit(changes)
        assert caught.value.run_id == "bad"
        assert [everything_of(store, run.id) for run in (good, bad, more)] == before
        assert store.commit([changes[0], changes[2]]) == frozenset()


def _change_of_everything(run: Any) -> RunChange:
    return moved(
        run,
        RunStatus.SUCCEEDED,
        events=2,
        steps=(a_step("database"),),
        removed_steps=("bucket",),
        resources=(a_resource(1),),
        requests_done=("request-1",),
        graph=FULL_GRAPH,
        release=True,
    )


def _assert_is_refused_whole(store: Store, stale: Any) -> None:
    told: list[Any] = []
    before = everything_of(store, stale.id)
    assert store.commit([_change_of_everything(stale)], hook=lambda *seen: told.append(seen)) == {stale.id}
    assert everything_of(store, stale.id) == before
    assert told == []


def _assert_conflict(store: Store, change: RunChange, code: str) -> None:
    before = everything_of(store, change.run.id)
    with pytest.raises(Conflict) as caught:
        store.commit([change])
    assert (caught.value.code, caught.value.run_id) == (code, change.run.id)
    assert everything_of(store, change.run.id) == before
