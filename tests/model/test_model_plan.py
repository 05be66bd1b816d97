from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy.orm import Session

from provisioning_core import From, InvalidInput, Plan, PlanError, Retry, Step, StepContext, gate, step
from provisioning_core.errors import Difference

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal


class Workspace(BaseModel):
    slug: str
    tier: str = "free"


class Database(BaseModel):
    name: str
    password: SecretStr


def test_the_readme_s_plan_is_understood_also_inside_a_function() -> None:
    class Local(BaseModel):
        name: str

    @step(retry=Retry(attempts=5), timeout=30)
    def database(workspace: Workspace, ctx: StepContext) -> Database:
        """Create the database.

        At length.
        """
        return Database(name=workspace.slug, password=SecretStr("x"))

    @database.compensate(retry=Retry(attempts=10))
    def drop_database(workspace: Workspace, ctx: StepContext, output: Database | None) -> None: ...

    @database.probe
    def find_database(workspace: Workspace, ctx: StepContext) -> Database | None: ...

    @step
    async def bucket(workspace: Workspace) -> Local: ...  # type: ignore[empty-body]  it is only read

    @step(transactional=True)
    def seed(workspace: Workspace, session: Session, db: Database = From(database)) -> int: ...  # type: ignore[empty-body]  as above

    approval = gate("approval", needs=[seed], timeout=3 * 86400)

    @step(needs=[bucket, approval], when=lambda w: w.tier == "pro", optional=True, irreversible=True)
    def welcome_mail(workspace: Workspace) -> None: ...

    plan = Plan(
        "workspace", version="3", input=Workspace, steps=[database, bucket, seed, approval, welcome_mail], on_failure="rollback"
    )
    nodes = {node.name: node for node in plan.graph.nodes}
    assert {name: node.needs for name, node in nodes.items()} == {
        "database": (),
        "bucket": (),
        "seed": ("database",),
        "approval": ("seed",),
        "welcome_mail": ("bucket", "approval"),
    }
    assert (nodes["database"].in_doubt, nodes["seed"].in_doubt) == ("probe", "rerun")
    assert (nodes["database"].compensation_retry.attempts, nodes["database"].description) == (10, "Create the database.")
    assert (plan.has_secrets, plan.has_transactional, plan.limits) == (True, True, frozenset())
    assert database(Workspace(slug="a"), StepContext.for_test()).name == "a", "a step stays callable as a plain function"
    assert drop_database(Workspace(slug="a"), StepContext.for_test(), None) is None


def test_all_faults_are_told_at_once_each_with_its_mend() -> None:
    @step(timeout=-1, retry=Retry(attempts=0))
    def first(nobody: int) -> str: ...  # type: ignore[empty-body]  it is only read

    @first.compensate
    def undo_first(who: int) -> None: ...

    @step(name="bad name", in_doubt="probe")
    def second(number: int = From(first)) -> None: ...

    @step(irreversible=True, needs=["missing"])
    def third() -> Callable[[], int]: ...  # type: ignore[empty-body]  as above

    @third.compensate
    def undo_third() -> None: ...

    @step
    def fourth(unreadable: Decimal) -> None: ...

    def build() -> Plan:
        return Plan("p", input=Workspace, steps=[first, second, third, third, fourth], on_failure="explode")

    found = _codes(build)
    assert {code for code, _ in found} == {
        "bad_value",
        "unbound_parameter",
        "bad_name",
        "contradiction",
        "type_mismatch",
        "missing_step",
        "unreadable_annotation",
        "duplicate_step",
        "unknown_on_failure",
    }
    assert {where for _, where in found} == {"first", "bad name", "third", "fourth", None}


def _codes(build: Callable[[], Plan]) -> list[tuple[str, str | None]]:
    with pytest.raises(PlanError) as caught:
        build()
    for fault in caught.value.faults:
        assert fault.problem, "each fault says what is wrong"
        assert fault.mend, "and how to mend it"
        assert str(fault) in str(caught.value)
    return [(fault.code, fault.step) for fault in caught.value.faults]


def test_a_cycle_is_shown_as_a_path() -> None:
    steps = [step(name=name, needs=[need])(lambda: None) for name, need in (("a", "c"), ("b", "a"), ("c", "b"))]
    with pytest.raises(PlanError, match="a -> c -> b -> a"):
        Plan("p", steps=steps)


def test_a_step_that_needs_itself_is_a_cycle() -> None:
    with pytest.raises(PlanError, match="a -> a"):
        Plan("p", steps=[step(name="a", needs=["a"])(lambda: None)])


def test_two_cycles_are_both_shown() -> None:
    pairs = [("a", "b"), ("b", "a"), ("x", "y"), ("y", "x"), ("behind", "x")]
    with pytest.raises(PlanError) as caught:
        Plan("p", steps=[step(name=name, needs=[need])(lambda: None) for name, need in pairs])
    assert [fault.code for fault in caught.value.faults] == ["cycle", "cycle"]


@pytest.mark.parametrize("annotation", ["complex", "object()", "Session"])
def test_what_can_not_be_stored_is_refused_when_the_plan_is_built(annotation: str) -> None:
    def work() -> Any: ...

    work.__annotations__["return"] = {"complex": type("Odd", (), {}), "object()": Session, "Session": Session}[annotation]
    assert _codes(lambda: Plan("p", steps=[step(work)])) == [("not_serialisable", "work")]


def test_a_plan_without_steps_and_things_that_are_no_steps() -> None:
    assert _codes(lambda: Plan("p", steps=[])) == [("no_steps", None)]
    not_a_step: Any = len
    assert _codes(lambda: Plan("p", steps=[not_a_step])) == [("bad_value", None)]


def test_an_output_that_may_be_none_does_not_fit_a_parameter_that_may_not() -> None:
    @step
    def maybe() -> str | None:
        return None

    @step
    def use(value: str = From(maybe)) -> None: ...

    assert _codes(lambda: Plan("p", steps=[maybe, use])) == [("type_mismatch", "use")]


@pytest.mark.parametrize(
    ("gives", "wants"),
    [
        (int, float),
        (bool, int),
        (str, str | None),
        (list[int], list[int]),
        (dict[str, int], dict[str, Any]),
        (Workspace, BaseModel),
        (int, Any),
    ],
)
def test_types_that_fit(gives: Any, wants: Any) -> None:
    def make() -> Any: ...

    def use(value: Any = None) -> None: ...

    make.__annotations__["return"] = gives
    made = step(make)
    use.__annotations__["value"] = wants
    use.__defaults__ = (From(made),)
    assert len(Plan("p", steps=[made, step(use)]).steps) == 2


@pytest.mark.parametrize(
    ("gives", "wants"), [(str, int), (float, int), (list[int], list[str]), (int, str | None), (dict[str, int], list[int])]
)
def test_types_that_do_not_fit(gives: Any, wants: Any) -> None:
    def make() -> Any: ...

    def use(value: Any = None) -> None: ...

    make.__annotations__["return"] = gives
    made = step(make)
    use.__annotations__["value"] = wants
    use.__defaults__ = (From(made),)
    assert _codes(lambda: Plan("p", steps=[made, step(use)])) == [("type_mismatch", "use")]


def test_a_step_of_another_module_is_taken_by_its_name() -> None:
    @step
    def database() -> Database: ...  # type: ignore[empty-body]  it is only read

    @step
    def use(db: Annotated[Database, From("database")]) -> None: ...

    assert Plan("p", steps=[database, use]).graph.nodes[1].needs == ("database",)
    assert _codes(lambda: Plan("p", steps=[use])) == [("missing_step", "use")]


def test_another_step_of_the_same_name_is_not_mistaken_for_it() -> None:
    meant = step(name="a")(lambda: 1)
    other = step(name="a")(lambda: 2)
    assert _codes(lambda: Plan("p", steps=[other, step(name="b", needs=[meant])(lambda: None)])) == [("missing_step", "b")]


def test_a_compensation_takes_only_what_its_step_stands_behind() -> None:
    one = step(name="one")(lambda: 1)
    two = step(name="two")(lambda: 2)

    @two.compensate
    def undo(value: Any = From(one)) -> None: ...

    assert _codes(lambda: Plan("p", steps=[one, two])) == [("missing_step", "two")]


def test_a_session_outside_a_transactional_step_is_a_fault() -> None:
    @step
    def seed(session: Session) -> None: ...

    assert _codes(lambda: Plan("p", steps=[seed])) == [("contradiction", "seed")]


def test_one_step_is_used_in_many_plans() -> None:
    shared = step(name="shared")(lambda: 1)
    assert Plan("one", steps=[shared]).steps["shared"] is Plan("other", steps=[shared]).steps["shared"]


def test_the_preview_says_what_would_be_skipped_what_can_be_undone_and_what_takes_longest() -> None:
    first = step(name="first", weight=5)(lambda: 1)

    @first.compensate
    def undo() -> None: ...

    extra = step(name="extra", when=lambda w: w.tier == "pro")(lambda: "x")

    @step
    def needs_extra(value: str = From(extra)) -> None: ...

    last = step(name="last", needs=[first], irreversible=True)(lambda: None)
    plan = Plan("p", input=Workspace, steps=[first, extra, needs_extra, last])
    preview = plan.preview(Workspace(slug="a"))
    assert preview.layers == (("first", "extra"), ("last", "needs_extra")) or preview.layers == (
        ("first", "extra"),
        ("needs_extra", "last"),
    )
    assert (preview.skipped, preview.undoable, preview.critical_path) == (("extra", "needs_extra"), ("first",), ("first", "last"))
    assert preview.steps["last"].undo == "irreversible"
    assert plan.preview({"slug": "a", "tier": "pro"}).skipped == ()
    assert plan.preview().skipped == ()
    with pytest.raises(InvalidInput):
        plan.preview({"slug": 1})


def test_what_changed_is_told_and_whether_it_blocks() -> None:
    def build(**changed: Any) -> Plan:
        options: dict[str, Any] = {"a": lambda: 1, "needs": ["a"], "steps": ("a", "b", "c")} | changed
        a = step(name="a")(options["a"])
        b = step(name="b", needs=options["needs"])(lambda: None)
        c = step(name="c")(lambda: None)
        made: dict[str, Step[Any]] = {"a": a, "b": b, "c": c}
        return Plan("p", steps=[made[name] for name in options["steps"]])

    def number() -> int: ...  # type: ignore[empty-body]  it is only read

    old = build().graph
    assert build().differences(old, {"a"}) == []
    assert build(steps=("a", "b")).differences(old, {"a"}) == [Difference(kind="removed", step="c", blocking=False)]
    assert build(steps=("a", "b")).differences(old, {"c"})[0].blocking
    assert build(a=number).differences(old, {"a"}) == [Difference(kind="changed", step="a", detail="another output", blocking=True)]
    assert [each.kind for each in build(needs=["a", "c"]).differences(old, {"a"})] == ["re-wired"]


def test_ten_thousand_steps_are_built_in_seconds_and_without_recursion() -> None:
    begun = time.monotonic()
    chain: list[Step[Any]] = []
    for number in range(10_000):
        chain.append(step(name=f"s{number}", needs=chain[-1:])(lambda: 1))
    plan = Plan("long", steps=chain)
    assert len(plan.graph.layers()) == 10_000
    assert plan.graph.critical_path()[-1] == "s9999"
    assert time.monotonic() - begun < 20


def test_a_step_crosses_into_another_process_by_its_name_only() -> None:
    import pickle

    with pytest.raises(pickle.PicklingError, match="top level of a module"):
        pickle.dumps(step(name="local")(lambda: 1))
