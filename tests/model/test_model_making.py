"""Records that are made by the thousand are what their classes make, only sooner."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields, replace
from typing import Any

import pytest

from provisioning_core.model import EventRecord, RunRecord, RunStatus, StepRecord, StepStatus, StepView, maker

WHOLE: dict[type[Any], dict[str, Any]] = {
    StepRecord: {"name": "bucket", "status": StepStatus.SUCCEEDED, "token": 7, "output": "1"},
    RunRecord: {
        "id": "run-1",
        "plan": "tenant",
        "plan_version": "3",
        "fingerprint": "f",
        "subject": "acme",
        "status": RunStatus.FAILED,
        "labels": {"tier": "pro"},
    },
    EventRecord: {"run_id": "run-1", "seq": 3, "at": 1.5, "type": "run.created"},
    StepView: {"name": "bucket", "status": StepStatus.BLOCKED, "waits_for": ("database",)},
}


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_made_is_what_the_class_makes(kind: type[Any]) -> None:
    expected = kind(**WHOLE[kind])
    values = [getattr(expected, field.name) for field in fields(kind)]
    made = maker(kind)(*values)
    assert type(made) is kind
    assert made == expected
    assert repr(made) == repr(expected)
    assert replace(made) == copy.copy(made) == pickle.loads(pickle.dumps(made)) == expected


def test_it_is_frozen_all_the_same() -> None:
    made = maker(StepRecord)(*[None] * len(fields(StepRecord)))
    with pytest.raises(FrozenInstanceError):
        made.name = "another"
    with pytest.raises(AttributeError):
        object.__setattr__(made, "unknown", 1)


def test_values_in_another_order_than_the_fields_are_refused_at_once() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Point:
        x: int
        y: int = 0

    assert maker(Point, ("x", "y"))(1, 2) == Point(x=1, y=2)
    for names in (("y", "x"), ("x",), ("x", "y", "z")):
        with pytest.raises(TypeError, match=r"Point takes \('x', 'y'\)"):
            maker(Point, names)
    with pytest.raises(TypeError):
        maker(Point)(1)
