from __future__ import annotations

import threading
from typing import Any

import pytest
from engine_plans import Journal, MakeEngine, Order, blocking, chain
from pydantic import BaseModel, SecretStr

from provisioning_core import Conflict, Engine, InvalidInput, Plan, ProvisioningError, RunStatus, StatusChange, step
from provisioning_core.stores import MemoryStore


def test_the_same_plan_and_input_while_active_is_the_same_run(make_engine: MakeEngine) -> None:
    plan, begun, go = blocking()
    engine = make_engine(plan)
    first = engine.start("blocking", subject="acme")
    assert begun.wait(10)
    assert engine.start("blocking", subject="acme").id == first.id
    go.set()
    first.wait(10)


def test_another_input_while_active_is_a_conflict_that_says_what_is_there(make_engine: MakeEngine, journal: Journal) -> None:
    journal.failing["a"] = -1
    engine = make_engine(chain(journal, ["a"]))
    run = engine.start("chain", subject="acme", input=Order())
    run.wait(10)
    with pytest.raises(Conflict) as caught:
        engine.start("chain", subject="acme", input=Order(slug="other"))
    assert (caught.value.code, caught.value.run_id, caught.value.status) == ("already_active", run.id, "FAILED")
    assert caught.value.allowed_actions == ("retry", "continue", "skip", "rollback")


def test_a_provisioned_subject_is_not_provisioned_again_unless_asked(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    first = engine.start("chain", subject="acme", input=Order())
    first.wait(10)
    with pytest.raises(Conflict) as caught:
        engine.start("chain", subject="acme", input=Order())
    assert caught.value.code == "already_provisioned"
    again = engine.start("chain", subject="acme", input=Order(), again=True)
    assert again.id != first.id
    assert again.wait(10).status is RunStatus.SUCCEEDED


def test_the_same_idempotency_key_is_the_same_run_for_ever(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    first = engine.start("chain", subject="acme", input=Order(), idempotency_key="k1")
    first.wait(10)
    assert engine.start("chain", subject="acme", input=Order(), idempotency_key="k1").id == first.id
    with pytest.raises(Conflict) as caught:
        engine.start("chain", subject="acme", input=Order(slug="x"), idempotency_key="k1")
    assert (caught.value.code, caught.value.allowed_actions) == ("idempotency_key_reused", ("rollback", "deprovision"))
    assert journal.lines == ["a"]


def test_many_starts_at_once_make_one_run(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    gathered = threading.Barrier(8)
    ids: list[str] = []

    def start() -> None:
        gathered.wait()
        ids.append(engine.start("chain", subject="acme", input=Order(), idempotency_key="once").id)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (len(ids), len(set(ids))) == (8, 1)
    engine.wait("acme", timeout=10)
    assert journal.lines == ["a"]


def test_wrong_input_is_told_field_by_field_and_never_echoed(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    with pytest.raises(InvalidInput) as caught:
        engine.start("chain", subject="acme", input={"slug": ["hush-hush"], "tier": 5})
    assert [(error["loc"], error["type"]) for error in caught.value.errors] == [(["slug"], "string_type"), (["tier"], "string_type")]
    assert "hush" not in f"{caught.value!r} {caught.value.errors} {caught.value}"
    assert engine.runs().items == ()


@pytest.mark.parametrize("subject", ["", "a\nb", " acme", "x" * 201, "nul\x00", 7])
def test_unusable_subjects_are_refused(make_engine: MakeEngine, journal: Journal, subject: Any) -> None:
    engine = make_engine(chain(journal, ["a"]))
    with pytest.raises(InvalidInput) as caught:
        engine.start("chain", subject=subject, input=Order())
    assert caught.value.code == "invalid_subject"


def test_a_condition_that_raises_refuses_the_start(make_engine: MakeEngine) -> None:
    @step(when=lambda order: order.nothing_like_that)
    def extra() -> None: ...

    engine = make_engine(Plan("p", input=Order, steps=[extra]))
    with pytest.raises(InvalidInput) as caught:
        engine.start("p", subject="acme", input=Order())
    assert (caught.value.code, engine.runs().items) == ("condition_failed", ())


def test_a_plan_with_secrets_needs_a_key() -> None:
    class Login(BaseModel):
        password: SecretStr

    @step
    def use(login: Login) -> None: ...

    with pytest.raises(ProvisioningError, match="no key"):
        Engine(store=MemoryStore(), plans=[Plan("p", input=Login, steps=[use])])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_workers": 0}, "max_workers=0"),
        ({"lease": 0}, "lease=0"),
        ({"limits": {"dns": 0}}, "limit 'dns' is 0"),
        ({"on_lease_lost": "cry"}, "on_lease_lost"),
        ({"secrets_key": b"short"}, "16, 24 or 32 bytes"),
    ],
)
def test_an_engine_that_can_not_work_is_not_made(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ProvisioningError, match=problem):
        Engine(store=MemoryStore(), plans=[], **options)


def test_the_status_hook_is_called_for_every_change_of_status(make_engine: MakeEngine, journal: Journal) -> None:
    changes: list[tuple[str | None, str, str]] = []

    def hook(change: StatusChange, connection: Any) -> None:
        changes.append((change.old and change.old.value, change.new.value, change.subject))

    journal.failing["b"] = 1
    engine = make_engine(chain(journal, ["a", "b"]), on_status=hook)
    engine.start("chain", subject="acme", input=Order()).wait(10)
    engine.retry("acme").wait(10)
    assert changes == [
        (None, "PENDING", "acme"),
        ("PENDING", "RUNNING", "acme"),
        ("RUNNING", "FAILED", "acme"),
        ("FAILED", "RUNNING", "acme"),
        ("RUNNING", "SUCCEEDED", "acme"),
    ]


def test_a_hook_that_fails_at_the_start_refuses_the_start(make_engine: MakeEngine, journal: Journal) -> None:
    def hook(change: StatusChange, connection: Any) -> None:
        raise LookupError("no such tenant")

    engine = make_engine(chain(journal, ["a"]), on_status=hook)
    with pytest.raises(LookupError, match="no such tenant"):
        engine.start("chain", subject="acme", input=Order())
    assert engine.runs().items == ()


def test_a_hook_that_fails_later_is_asked_again_and_other_runs_go_on(make_engine: MakeEngine, journal: Journal) -> None:
    fails = threading.Event()
    fails.set()

    def hook(change: StatusChange, connection: Any) -> None:
        if change.subject == "bad" and change.new is RunStatus.SUCCEEDED and fails.is_set():
            raise LookupError("not now")

    engine = make_engine(chain(journal, ["a"]), on_status=hook)
    bad = engine.start("chain", subject="bad", input=Order())
    assert engine.start("chain", subject="good", input=Order()).wait(10).status is RunStatus.SUCCEEDED
    assert bad.view().status is RunStatus.RUNNING
    fails.clear()
    assert bad.wait(10).status is RunStatus.SUCCEEDED
    assert journal.lines == ["a", "a"]


def test_runs_are_listed_newest_first_in_pages(make_engine: MakeEngine, journal: Journal) -> None:
    engine = make_engine(chain(journal, ["a"]))
    for number in range(5):
        engine.start("chain", subject=f"t{number}", input=Order()).wait(10)
    first = engine.runs(limit=3, status="succeeded")
    rest = engine.runs(limit=3, status=["SUCCEEDED"], cursor=first.next_cursor)
    assert [run.subject for run in (*first, *rest)] == ["t4", "t3", "t2", "t1", "t0"]
    assert rest.next_cursor is None
    assert engine.counts() == {"SUCCEEDED": 5}
    with pytest.raises(InvalidInput):
        engine.runs(cursor="?")
