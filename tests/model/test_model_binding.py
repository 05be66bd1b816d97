"""What a parameter gets, by its type alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import pytest
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from typing_extensions import TypedDict

from provisioning_core import Plan, PlanError, StepContext, step


class Workspace(BaseModel):
    slug: str = "a"


class Small(BaseModel):
    kind: Literal["small"] = "small"


class Large(BaseModel):
    kind: Literal["large"] = "large"


class Shape(TypedDict):
    slug: str


class HasSlug(Protocol):
    slug: str


@runtime_checkable
class Runs(Protocol):
    def run(self) -> None: ...


Size = Annotated[Small | Large, Field(discriminator="kind")]


def bound(plan_input: Any, annotation: Any, *, has_default: bool = False, transactional: bool = False) -> str:
    """What a parameter of this type is bound to."""

    def work(value: Any) -> None: ...

    work.__annotations__["value"] = annotation
    work.__defaults__ = (None,) if has_default else None
    try:
        binding = Plan("p", input=plan_input, steps=[step(work, transactional=transactional)]).forward("work")
    except PlanError as error:
        return error.faults[0].code
    found = {"input": binding.inputs, "context": binding.contexts, "session": binding.sessions}
    return next((kind for kind, names in found.items() if names), "default")


@pytest.mark.parametrize(
    ("plan_input", "annotation", "expected"),
    [
        (Workspace, Workspace, "input"),
        (Workspace, BaseModel, "input"),
        (Workspace, Workspace | None, "input"),
        (Workspace, Annotated[Workspace, "note"], "input"),
        (Workspace, Annotated[Workspace | None, "note"], "input"),
        (Annotated[Workspace, "note"], Workspace, "input"),
        (Size, Size, "input"),
        (Size, Small | Large, "input"),
        (Size, BaseModel, "input"),
        (Size, Small | Large | None, "input"),
        (Size, Small, "unbound_parameter"),
        (Workspace | None, Workspace | None, "input"),
        (Workspace | None, Workspace, "unbound_parameter"),
        (Shape, Shape, "input"),
        (Shape, dict, "input"),
        (Workspace, Shape, "unbound_parameter"),
        (Workspace, HasSlug, "unbound_parameter"),
        (Workspace, Runs, "unbound_parameter"),
        (Workspace, list[Workspace], "unbound_parameter"),
        (Workspace, Any, "unbound_parameter"),
        (list[Workspace], list[Workspace], "input"),
        (Workspace, StepContext, "context"),
        (Workspace, StepContext | None, "context"),
        (Workspace, HasSlug | StepContext, "context"),
        (None, Workspace, "unbound_parameter"),
    ],
    ids=str,
)
def test_a_parameter_is_bound_by_its_type(plan_input: Any, annotation: Any, expected: str) -> None:
    assert bound(plan_input, annotation) == expected


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Workspace | None, "input"),
        (StepContext | None, "context"),
        (Shape | None, "default"),
        (int | None, "default"),
        (Any, "default"),
        (object | None, "default"),
    ],
    ids=str,
)
def test_a_parameter_with_a_default_gets_what_it_can_get(annotation: Any, expected: str) -> None:
    assert bound(Workspace, annotation, has_default=True) == expected


def test_a_session_that_may_be_none_is_given_to_a_transactional_step() -> None:
    assert bound(Workspace, Session | None, has_default=True, transactional=True) == "session"
    assert bound(Workspace, Session | None, has_default=True) == "contradiction"
