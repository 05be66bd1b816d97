"""What the driver is asked without SQLAlchemy around it is as SQLAlchemy's own question would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import ErrorInfo, RunStatus
from provisioning_core.ports import NewRun
from provisioning_core.stores import SqlStore
from provisioning_core.testing._store_cases.records import GRAPH, a_run, a_step, created, moved, owned

LOOKS: dict[str, Callable[[SqlStore, Any], Any]] = {
    "load": lambda store, connection: store.load("run-1", connection=connection).run,
    "latest": lambda store, connection: store.latest("acme", connection=connection),
    "by_idempotency_key": lambda store, connection: store.by_idempotency_key("acme", "key", connection=connection),
}


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> SqlStore:
    return request.getfixturevalue(f"{request.param}_store")


@pytest.mark.parametrize("look", LOOKS)
def test_each_look_sees_what_was_recorded_before_it(store: SqlStore, look: str) -> None:
    """A reader's transaction ends with the look; one that was left open would show the same moment for ever."""
    run = owned(store, a_run(idempotency_key="key"))
    for number in range(3):
        assert LOOKS[look](store, None) == run
        change = moved(run, RunStatus.RUNNING, events=1)
        store.commit([change])
        run = change.run
        assert run.version == number + 1


@pytest.mark.parametrize("look", LOOKS)
def test_a_callers_connection_is_in_a_transaction_of_its_own_after_a_look(store: SqlStore, look: str) -> None:
    """As after any SELECT of SQLAlchemy's: what the caller ends is what the look has begun."""
    run = a_run(idempotency_key="key")
    created(store, run)
    url = store._database.url
    product = create_engine(make_url(url))
    with product.connect() as connection:
        assert LOOKS[look](store, connection) == run
        assert connection.in_transaction()
        connection.rollback()
        with product.begin() as other:
            other.execute(text("UPDATE provisioning_runs SET version = 5"))
        assert LOOKS[look](store, connection).version == 5
    product.dispose()


FLAGS = ("zombie", "effect", "redo", "half_done", "signalled")


def test_a_step_is_read_as_it_was_written(store: SqlStore) -> None:
    """Each flag once alone, so that none is taken for another."""
    failure = ErrorInfo(code="boom", message="It broke.", detail="ValueError", at=3.5)
    steps = {flag: a_step(flag, **{each: each == flag for each in FLAGS}) for flag in FLAGS}
    steps |= {"failed": a_step("failed", error=failure), "not undone": a_step("not undone", undo_error=failure)}
    store.create(NewRun(run=a_run(), graph=GRAPH, steps=tuple(steps.values())))
    found = store.load("run-1").steps
    assert found == steps
    assert {type(getattr(step, flag)) for step in found.values() for flag in FLAGS} == {bool}


def test_what_the_driver_says_is_told_as_an_error_of_the_store(sqlite_store: SqlStore) -> None:
    with sqlite_store.begin() as connection:
        connection.execute(text("ALTER TABLE provisioning_steps RENAME COLUMN message TO said"))
    with pytest.raises(StoreUnavailable, match="message"):
        sqlite_store.load("run-1")
