"""Transactional steps: what a step writes, what it allocates and its completion commit together."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from provisioning_core.errors import LeaseLost, ProvisioningError
from provisioning_core.model import RunRecord
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import (
    a_change,
    a_completion,
    a_resource,
    engines_alive,
    owned,
    taken,
)
from provisioning_core.testing._store_cases.sql import Notes, Undo, undone


class AttemptCases:
    """``transaction``."""

    def test_the_steps_writes_and_its_completion_commit_together(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        _seed(store, run, notes)
        snapshot = store.load(run.id)
        assert notes.read() == ["seeded"]
        assert (snapshot.completions, snapshot.resources) == ((a_completion(),), (a_resource(1), a_resource(2)))
        assert snapshot.run == run

    def test_all_of_it_goes_when_the_step_raises(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        with undone(), store.transaction(run.id, run.epoch) as attempt:
            notes.write(attempt.session, "seeded")
            attempt.record([a_resource()])
            attempt.complete(a_completion())
            raise Undo
        snapshot = store.load(run.id)
        assert (notes.read(), snapshot.completions, snapshot.resources) == ([], (), ())

    def test_a_run_that_moved_on_refuses_the_completion(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        engines_alive(store, "two")
        taken(store, run.id, "two", dead=["one"])
        with pytest.raises(LeaseLost):
            _seed(store, run, notes)
        snapshot = store.load(run.id)
        assert (notes.read(), snapshot.completions, snapshot.resources) == ([], (), ())

    def test_a_run_that_moved_on_refuses_a_step_that_did_not_complete(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        with pytest.raises(LeaseLost), store.transaction(run.id, run.epoch - 1) as attempt:
            notes.write(attempt.session, "seeded")
        assert notes.read() == []

    def test_a_run_that_is_not_there_refuses_too(self, store: SqlStore) -> None:
        with pytest.raises(LeaseLost), store.transaction("unknown", 1):
            pass

    def test_a_step_may_commit_and_roll_back_by_itself(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        with store.transaction(run.id, run.epoch) as attempt:
            attempt.record([a_resource()])
            notes.write(attempt.session, "kept")
            attempt.session.commit()
            notes.write(attempt.session, "given up")
            attempt.session.rollback()
            notes.write(attempt.session, "kept too")
            attempt.complete(a_completion())
        assert (notes.read(), store.load(run.id).resources) == (["kept", "kept too"], (a_resource(),))

    def test_what_a_step_committed_by_itself_goes_when_it_raises(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        with undone(), store.transaction(run.id, run.epoch) as attempt:
            notes.write(attempt.session, "seeded")
            attempt.session.commit()
            raise Undo
        assert notes.read() == []

    def test_a_step_can_go_on_after_an_error_of_the_database(self, store: SqlStore, notes: Notes) -> None:
        run = owned(store)
        with store.transaction(run.id, run.epoch) as attempt:
            notes.write(attempt.session, "there")
            with pytest.raises(IntegrityError), attempt.session.begin_nested():
                notes.write(attempt.session, "there")
            attempt.complete(a_completion())
        assert (notes.read(), store.load(run.id).completions) == (["there"], (a_completion(),))

    def test_a_step_that_ends_the_transaction_itself_is_told_so(self, store: SqlStore) -> None:
        run = owned(store)
        with pytest.raises(ProvisioningError) as caught:
            _end_it_and_complete(store, run)
        assert caught.value.code == "transaction_ended"
        assert store.load(run.id).completions == ()

    def test_a_later_attempts_completion_replaces_the_earlier_ones(self, store: SqlStore) -> None:
        run = owned(store)
        for token in (1, 2):
            with store.transaction(run.id, run.epoch) as attempt:
                attempt.complete(a_completion(token=token, output=None))
        with store.transaction(run.id, run.epoch) as attempt:
            attempt.complete(a_completion("bucket"))
        found = {completion.step: completion for completion in store.load(run.id).completions}
        assert found == {"database": a_completion(token=2, output=None), "bucket": a_completion("bucket")}

    def test_a_settled_completion_is_gone(self, store: SqlStore) -> None:
        run = owned(store)
        for step in ("database", "bucket"):
            with store.transaction(run.id, run.epoch) as attempt:
                attempt.complete(a_completion(step))
        store.commit([a_change(run, settled=("database", "never there"))])
        assert store.load(run.id).completions == (a_completion("bucket"),)

    def test_a_stale_owner_settles_nothing(self, store: SqlStore) -> None:
        run = owned(store)
        with store.transaction(run.id, run.epoch) as attempt:
            attempt.complete(a_completion())
        current = taken(store, run.id, "one")
        assert current.completions == (a_completion(),)
        assert store.commit([a_change(run, settled=("database",))]) == {run.id}
        assert store.load(run.id).completions == (a_completion(),)


def _seed(store: SqlStore, run: RunRecord, notes: Notes) -> None:
    with store.transaction(run.id, run.epoch) as attempt:
        notes.write(attempt.session, "seeded")
        attempt.record([a_resource(1), a_resource(2)])
        attempt.complete(a_completion())


def _end_it_and_complete(store: SqlStore, run: RunRecord) -> None:
    with store.transaction(run.id, run.epoch) as attempt:
        attempt.session.connection().get_transaction().rollback()  # type: ignore[union-attr]
        attempt.complete(a_completion())
