"""Declaring steps: which options there are, and what may be a step."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel

from provisioning_core import Engine, From, Plan, PlanError, Retry, RunStatus, RunView, Step, gate, step
from provisioning_core.model._step import StepOptions
from provisioning_core.stores import MemoryStore


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


class Workspace(BaseModel):
    slug: str


class Bucket:
    """Makes a bucket."""

    def __init__(self, region: str) -> None:
        self.region = region

    def __call__(self, workspace: Workspace) -> str:
        return f"{workspace.slug}.{self.region}"


class AsyncBucket(Bucket):
    async def __call__(self, workspace: Workspace) -> str:  # type: ignore[override]  an object of another kind
        return f"{workspace.slug}.{self.region}"


def bucket(region: str, workspace: Workspace, *, size: int) -> str:
    """Makes a bucket."""
    return f"{workspace.slug}.{region}.{size}"


async def async_bucket(workspace: Workspace, region: str) -> str:
    return f"{workspace.slug}.{region}"


def forgetful(fn: Any) -> Any:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return call


def run(*steps: Step[Any]) -> RunView:
    with Engine(store=MemoryStore(), plans=[Plan("p", input=Workspace, steps=steps)], poll=0.02) as engine:
        return engine.start("p", subject="acme", input=Workspace(slug="acme")).wait(timeout=20)


def test_partials_and_objects_that_can_be_called_are_steps() -> None:
    made = [
        step(functools.partial(bucket, "eu", size=3)),
        step(functools.partial(async_bucket, region="us")),
        step(Bucket("eu")),
        step(AsyncBucket("us")),
        step(functools.partial(Bucket("asia")), name="third"),
    ]
    assert {name: view.output for name, view in run(*made).steps.items()} == {
        "bucket": "acme.eu.3",
        "async_bucket": "acme.us",
        "Bucket": "acme.eu",
        "AsyncBucket": "acme.us",
        "third": "acme.asia",
    }
    assert [each.description for each in made[:1]] == ["Makes a bucket."]


def test_what_a_partial_was_given_stays() -> None:
    other = Workspace(slug="other")
    assert run(step(functools.partial(async_bucket, workspace=other, region="x"))).steps["async_bucket"].output == "other.x"


def test_a_plain_wrapper_around_an_async_function_fails_clearly() -> None:
    view = run(step(forgetful(functools.partial(async_bucket, region="us")), name="wrapped", retry=Retry(attempts=3, initial=0.0)))
    assert (view.status, view.errors[0].code, view.steps["wrapped"].attempt) == (RunStatus.FAILED, "not_awaited", 1)
    assert "async def" in view.errors[0].hint


def faults_of(*steps: Any) -> list[tuple[str, str | None, str]]:
    with pytest.raises(PlanError) as caught:
        Plan("p", input=Workspace, steps=steps)
    return [(fault.code, fault.step, fault.problem) for fault in caught.value.faults]


def test_a_function_with_a_yield_is_refused_wherever_it_stands() -> None:
    def plain() -> Any:
        yield 1

    async def asynchronous() -> Any:
        yield 1

    made = step(plain)
    made.compensate(asynchronous)
    made.probe(functools.partial(plain))
    assert [problem.partition(" has a yield")[0] for _, _, problem in faults_of(made)] == [
        "its function",
        "its compensation",
        "its probe",
    ]
    assert run(step(forgetful(lambda: 1), name="a")).status is RunStatus.SUCCEEDED


def test_needs_and_from_that_name_no_step_are_faults_of_the_plan() -> None:
    first = step(lambda: 1, name="first")
    wrong: Any = 5

    def takes(value: Any = From(wrong)) -> None: ...

    made = [step(work, name="a", needs=wrong), step(takes), step(work, name="b", needs=[wrong, From(wrong)])]
    assert faults_of(first, *made) == [
        ("bad_value", "a", "needs= holds 5, which is no step"),
        ("bad_value", "b", "needs= holds 5, which is no step"),
        ("bad_value", "b", "needs= holds 5, which is no step"),
        ("bad_value", "takes", "From() in 'value' names no step"),
    ]
    for needs in (first, "first", From(first), [From(first)], (each for each in [first])):
        assert Plan("p", steps=[first, step(work, needs=needs)]).graph.nodes[1].needs == ("first",)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("returns", "found", "fits"),
    [
        (int, str | None, False),
        (int, int | None, True),
        (int, int, True),
        (int | None, int | None, True),
        (Workspace, BaseModel | None, False),
        (None, bool, True),
        (None, str | None, True),
        (int, None, True),
        (int, Any, True),
        (Any, str | None, True),
        (list[int], list[str] | None, False),
    ],
    ids=str,
)
def test_a_probe_gives_what_its_step_gives_or_none(returns: Any, found: Any, fits: bool) -> None:
    def make() -> Any: ...

    def look() -> Any: ...

    make.__annotations__["return"], look.__annotations__["return"] = returns, found
    made = step(make)
    made.probe(look)
    if fits:
        assert Plan("p", steps=[made]).probe("make") is not None
    else:
        assert [(code, where) for code, where, _ in faults_of(made)] == [("type_mismatch", "make")]


@pytest.mark.parametrize(
    ("returns", "wants", "fits"),
    [
        (int, str, False),
        (int, str | None, False),
        (int, int, True),
        (int, int | None, True),
        (int | None, int | None, True),
        (Workspace, BaseModel | None, True),
        (None, str, True),
        (Any, str, True),
        (int, Any, True),
    ],
    ids=str,
)
def test_a_compensation_takes_what_its_step_gives(returns: Any, wants: Any, fits: bool) -> None:
    def make() -> Any: ...

    def undo(output: Any) -> None: ...

    make.__annotations__["return"], undo.__annotations__["output"] = returns, wants
    made = step(make)
    made.compensate(undo)
    if fits:
        assert Plan("p", steps=[made]).compensation("make") is not None
    else:
        assert [(code, where) for code, where, _ in faults_of(made)] == [("type_mismatch", "make")]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="pydantic takes it there")
def test_pydantic_s_own_reason_is_told() -> None:
    class Shape(TypedDict):
        slug: str

    def make() -> Any: ...

    make.__annotations__["return"] = Shape
    assert "typing_extensions.TypedDict" in faults_of(step(make))[0][2]
