"""The log observer writes what happened, in order, with fields that a formatter can use."""

import logging

import pytest

from provisioning_core import Engine, Plan, step
from provisioning_core.observers import LogObserver
from provisioning_core.stores import MemoryStore


def test_every_event_is_logged_in_order_and_failures_as_warnings(caplog: pytest.LogCaptureFixture) -> None:
    @step
    def broken() -> None:
        raise RuntimeError("no")

    caplog.set_level(logging.INFO, logger="provisioning_core.events")
    with Engine(store=MemoryStore(), plans=[Plan("log", steps=[broken])], observers=[LogObserver()]) as engine:
        run = engine.start("log", subject="acme", actor="ana")
        run.wait(10)
        recorded = [(event.seq, event.type, event.step) for event in engine.events("acme")]
    lines = [record for record in caplog.records if record.name == "provisioning_core.events"]
    told = [(line.__dict__["seq"], line.__dict__["event"], line.__dict__["step"]) for line in lines]
    assert told == recorded[-len(told) :]
    assert told[-1][1] == "run.failed"
    assert {line.levelname for line in lines if line.__dict__["event"].endswith("failed")} == {"WARNING"}
    assert {line.__dict__["run_id"] for line in lines} == {run.id}
