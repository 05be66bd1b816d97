"""Runs are created: whole, or not at all."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from provisioning_core.errors import NotFound
from provisioning_core.model import OCCUPYING, RunSnapshot, RunStatus, StatusChange
from provisioning_core.ports import NewRun, Store
from provisioning_core.testing._store_cases.records import (
    EVERYTHING,
    FULL_GRAPH,
    GRAPH,
    NOW,
    HookError,
    a_full_event,
    a_full_run,
    a_full_step,
    a_graph,
    a_run,
    a_step,
    an_event,
    at_once,
    created,
    everything_of,
)

ENDED = sorted(set(RunStatus) - OCCUPYING)


class CreatingCases:
    """``create``."""

    def test_a_new_run_is_given_back_as_it_was(self, store: Store) -> None:
        run, step = a_full_run(), a_full_step()
        events = (an_event(run.id, 1), a_full_event(run.id, 2))
        assert store.create(NewRun(run=run, graph=FULL_GRAPH, steps=(step,), events=events))
        assert store.load(run.id) == RunSnapshot(run=run, graph=FULL_GRAPH, steps={step.name: step})
        assert store.events(run.id) == list(events)

    def test_what_a_run_has_not_got_is_given_back_as_nothing(self, store: Store) -> None:
        created(store, a_run())
        assert everything_of(store, "run-1") == (RunSnapshot(run=a_run(), graph=GRAPH), [])

    def test_runs_of_one_plan_each_have_their_own_steps(self, store: Store) -> None:
        created(store, a_run("first", "acme"), steps=[a_step(message="first")])
        created(store, a_run("second", "globex"), steps=[a_step(message="second")])
        assert {name: store.load(name).steps["database"].message for name in ("first", "second")} == {
            "first": "first",
            "second": "second",
        }

    @pytest.mark.parametrize("status", sorted(OCCUPYING))
    def test_a_subject_with_a_run_that_occupies_it_gets_no_second_one(self, store: Store, status: RunStatus) -> None:
        created(store, a_run("first", status=status))
        before = everything_of(store, "first"), store.runs(EVERYTHING, limit=9)
        second = a_run("second", idempotency_key="key")
        assert not store.create(NewRun(run=second, graph=GRAPH, steps=(a_step(),), events=(an_event("second"),)))
        _assert_is_unknown(store, "second")
        assert store.by_idempotency_key("acme", "key") is None
        assert (everything_of(store, "first"), store.runs(EVERYTHING, limit=9)) == before

    @pytest.mark.parametrize("status", ENDED)
    def test_a_subject_whose_run_has_ended_gets_another(self, store: Store, status: RunStatus) -> None:
        created(store, a_run("first", status=status), a_run("second"))
        assert store.load("second").run == a_run("second")

    def test_any_number_of_ended_runs_can_be_created(self, store: Store) -> None:
        created(store, a_run("first"), a_run("second", status=RunStatus.SUCCEEDED), a_run("third", status=RunStatus.SUCCEEDED))
        assert [run.id for run in store.runs(EVERYTHING, limit=9).items] == ["third", "second", "first"]

    def test_an_idempotency_key_counts_once_for_a_subject(self, store: Store) -> None:
        created(store, a_run("first", status=RunStatus.SUCCEEDED, idempotency_key="key"))
        assert not store.create(NewRun(run=a_run("second", idempotency_key="key"), graph=GRAPH, events=(an_event("second"),)))
        _assert_is_unknown(store, "second")
        created(store, a_run("other key", idempotency_key="Key"), a_run("other subject", "globex", idempotency_key="key"))

    def test_an_id_counts_once(self, store: Store) -> None:
        created(store, a_run("same", "acme"))
        assert not store.create(NewRun(run=a_run("same", "globex"), graph=GRAPH))
        assert store.latest("globex") is None

    def test_the_hook_is_told_of_a_new_run(self, store: Store) -> None:
        told: list[StatusChange] = []
        assert store.create(NewRun(run=a_run(), graph=GRAPH), hook=lambda change, _: told.append(change))
        assert told == [StatusChange(run_id="run-1", subject="acme", plan="tenant", old=None, new=RunStatus.RUNNING, at=NOW)]

    def test_the_hook_is_not_told_of_a_refused_run(self, store: Store) -> None:
        told: list[Any] = []
        created(store, a_run("first"))
        assert not store.create(NewRun(run=a_run("second"), graph=GRAPH), hook=lambda *seen: told.append(seen))
        assert told == []

    def test_what_the_hook_raises_is_raised_and_nothing_is_written(self, store: Store) -> None:
        def hook(*_: Any) -> None:
            raise HookError

        run = a_run(idempotency_key="key")
        with pytest.raises(HookError):
            store.create(NewRun(run=run, graph=GRAPH, steps=(a_step(),), events=(an_event(),)), hook=hook)
        _assert_is_unknown(store, "run-1")
        created(store, run)
        assert everything_of(store, "run-1") == (RunSnapshot(run=run, graph=GRAPH), [])

    def test_of_many_starts_at_once_one_wins(self, store: Store) -> None:
        def start(me: int) -> list[str]:
            """What this thread could start of one run for each subject."""
            wanted = [a_run(f"run-{subject}-{me}", f"{subject}") for subject in range(20)]
            return [run.id for run in wanted if store.create(NewRun(run=run, graph=GRAPH))]

        won = at_once(*(partial(start, me) for me in range(6)))
        assert sorted(run_id for share in won for run_id in share) == sorted(run.id for run in store.runs(EVERYTHING, limit=99).items)
        assert sorted(run.subject for run in store.runs(EVERYTHING, limit=99).items) == sorted(f"{subject}" for subject in range(20))

    def test_runs_of_new_plans_can_be_created_at_once(self, store: Store) -> None:
        def create(number: int) -> bool:
            graph = a_graph("database", version=f"{number // 2}")
            run = a_run(f"run-{number}", f"subject-{number}", plan_version=graph.version, fingerprint=graph.fingerprint)
            return store.create(NewRun(run=run, graph=graph))

        assert all(at_once(*(partial(create, number) for number in range(8))))
        assert [store.load(f"run-{number}").graph.version for number in range(8)] == list("00112233")

    def test_long_texts_are_kept_whole(self, store: Store) -> None:
        long = "\N{GRINNING FACE}" * 250_000
        created(store, a_run(input=f'"{long}"'), steps=[a_step(output=f'"{long}"')])
        loaded = store.load("run-1")
        assert (len(loaded.run.input), loaded.steps["database"].output) == (250_002, loaded.run.input)

    def test_times_keep_their_microseconds(self, store: Store) -> None:
        times = [NOW + number / 1_000_000 for number in range(5)]
        created(store, *(replace(a_run(f"run-{at}", f"{at}"), created_at=at) for at in times))
        assert sorted(run.created_at for run in store.runs(EVERYTHING, limit=9).items) == times


def _assert_is_unknown(store: Store, run_id: str) -> None:
    with pytest.raises(NotFound):
        store.load(run_id)
    assert store.events(run_id) == []
