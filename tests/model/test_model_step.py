"""Declaring steps: which options there are, and what may be a step."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from provisioning_core import Retry, Step, gate, step
from provisioning_core.model._step import StepOptions


def work() -> None: ...


def test_an_option_that_there_is_not_is_refused_and_the_nearest_one_named() -> None:
    options: dict[str, Any] = {"retries": Retry(attempts=3)}
    with pytest.raises(TypeError, match="@step has no option 'retries'; did you mean 'retry'"):
        step(**options)
    with pytest.raises(TypeError, match="@step has no option 'retries'"):
        step(work, **options)
    with pytest.raises(TypeError, match="@step has no option 'zzz'; it has name, needs"):
        step(zzz=1)  # type: ignore[call-overload]  that is what is looked at
    made: Any = step(work)
    for declare in (made.compensate, made.probe, gate):
        with pytest.raises(TypeError, match="retries"):
            declare(**options)


def test_every_option_is_known_to_the_step() -> None:
    given: dict[str, Any] = {name: object() for name in StepOptions.__annotations__} | {"name": "n", "needs": ("a",)}
    made = step(work, **given)
    assert {name: getattr(made, name) for name in given} == given


def test_a_function_and_options_may_be_given_together() -> None:
    made = step(work, name="other", timeout=3)
    assert (made.name, made.timeout, made.fn) == ("other", 3, work)
    undo = made.compensate(work, retry=Retry(attempts=7), timeout=2)
    assert made.compensation is not None
    assert (undo, made.compensation.retry.attempts, made.compensation.timeout) == (work, 7, 2)


def test_what_is_no_function_can_not_be_a_step_nor_undo_or_probe_one() -> None:
    made: Any = step(work)
    for declare in (step, made.compensate, made.probe, step(name="x")):
        with pytest.raises(TypeError, match="is put on a function"):
            declare("name")
    assert isinstance(made, Step)
    assert inspect.unwrap(made) is work
