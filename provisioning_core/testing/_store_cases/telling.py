"""The status hook is called inside the commit."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from typing import Any

import pytest

from provisioning_core.model import RunStatus, StatusChange
from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    HookError,
    a_change,
    a_request,
    a_resource,
    a_run,
    a_step,
    everything_of,
    moved,
    owned,
)


class TellingCases:
    """``commit(hook=)``."""

    def test_the_hook_is_told_of_each_change_of_status(self, store: Store) -> None:
        told: list[StatusChange] = []
        runs = [owned(store, a_run(f"run-{number}", f"subject-{number}")) for number in range(3)]
        changes = [moved(runs[0], RunStatus.SUCCEEDED), a_change(runs[1]), moved(runs[2], RunStatus.FAILED)]
        store.commit(changes, hook=lambda change, _: told.append(change))
        assert told == [changes[0].status_change, changes[2].status_change]
        assert (told[0].old, told[0].new, told[0].status) == (RunStatus.RUNNING, RunStatus.SUCCEEDED, RunStatus.SUCCEEDED)

    def test_what_the_hook_raises_undoes_the_whole_commit(self, store: Store) -> None:
        runs = [owned(store, a_run(f"run-{number}", f"subject-{number}"), steps=[a_step("bucket")]) for number in range(3)]
        store.request(a_request("request-1", "run-0"))
        before = [everything_of(store, run.id) for run in runs]
        parts = {"events": 1, "steps": (a_step(),), "removed_steps": ("bucket",), "resources": (a_resource(1),)}
        changes = [moved(run, RunStatus.SUCCEEDED, requests_done=("request-1",), **parts) for run in runs]

        def fails_at_the_second(change: StatusChange, _: Any) -> None:
            if change.run_id == "run-1":
                raise HookError

        with pytest.raises(HookError):
            store.commit(changes, hook=fails_at_the_second)
        assert [everything_of(store, run.id) for run in runs] == before
        assert store.commit(changes) == frozenset()

    def test_a_hook_is_not_needed(self, store: Store) -> None:
        run = owned(store)
        assert store.commit([moved(run, RunStatus.SUCCEEDED)]) == frozenset()
        assert store.load(run.id).run.status is RunStatus.SUCCEEDED
