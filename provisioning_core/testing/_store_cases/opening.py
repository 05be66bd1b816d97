"""A store is opened, closed and opened again."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import EVERYTHING, a_run, at_once, created, everything_of, owned


class OpeningCases:
    """``prepare`` and ``close``."""

    def test_preparing_again_does_no_harm(self, store: Store) -> None:
        run = owned(store)
        before = everything_of(store, run.id)
        store.prepare()
        assert everything_of(store, run.id) == before

    def test_it_can_be_prepared_by_many_at_once(self, store: Store) -> None:
        at_once(*[store.prepare] * 6)
        created(store, a_run())

    def test_a_closed_store_that_is_used_again_connects_again(self, store: Store) -> None:
        created(store, a_run())
        for _ in range(2):
            store.close()
        store.prepare()
        kept = [run.id for run in store.runs(EVERYTHING, limit=9).items]
        assert kept == ["run-1"] or not store.is_durable
        created(store, a_run("another", "globex"))
        store.close()

    def test_it_says_what_it_can_do(self, store: Store) -> None:
        assert {type(store.has_sessions), type(store.is_durable)} == {bool}
