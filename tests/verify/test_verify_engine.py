"""What an engine does with what can't be: an operator who asks is told, and a run that it takes up is set aside."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from verify_shop import Shop

from provisioning_core import Conflict, NotFound, RunStatus, StepStatus, StoreUnavailable
from provisioning_core.model import RequestRecord, RunFilter, RunRecord, RunSnapshot, UnreadableRun
from provisioning_core.ports import RunHead, RunPageRecord
from provisioning_core.stores import MemoryStore, SqlStore
from provisioning_core.testing import VirtualWorld, verify_history

R, S = RunStatus, StepStatus
STRUCK = {"epoch": 1, "owner": None, "runnable_at": 1.0}
"""What lets an engine take up a run."""


def break_it(shop: Shop, run_id: str) -> None:
    """A step that SUCCEEDED has no effect: a rollback would leave behind what it made."""
    shop.edit_step(run_id, "a", effect=False)


# operators ask


def test_nothing_recorded_is_nothing_wrong(shop: Shop) -> None:
    front = shop.engine().engine
    assert front.verify() == ()
    assert verify_history(front) == []


def test_one_run_a_subject_s_runs_and_all_runs(shop: Shop) -> None:
    front = shop.engine().engine
    old, new, other = (shop.start(front, subject=subject, again=True) for subject in ("acme", "acme", "other"))
    for run_id in (old, other):
        break_it(shop, run_id)
    assert [found.run_id for found in front.verify()] == [other, old]
    assert [found.run_id for found in front.verify("acme")] == [old]
    assert front.verify(run_id=new) == ()
    assert [(found.code, found.step) for found in front.verify(run_id=old)] == [("effect_fits_status", "a")]
    assert len(front.verify(limit=1)) == 1
    looked = [(each.run_id, each.subject, len(each.violations)) for each in front.verify_each("acme")]
    assert looked == [(new, "acme", 0), (old, "acme", 1)]
    first = next(front.verify_each(run_id=old))
    assert first.to_dict()["violations"][0]["code"] == "effect_fits_status"
    assert first.events == len(shop.kept(old).events)


def test_what_is_not_there_is_told(shop: Shop) -> None:
    front = shop.engine().engine
    for asked in ({"subject": "nobody"}, {"run_id": "none"}):
        with pytest.raises(NotFound):
            front.verify(**asked)
    with pytest.raises(NotFound):
        verify_history(shop.world.store, ["none"])


def test_chosen_runs_alone_are_looked_at(shop: Shop) -> None:
    front = shop.engine().engine
    one, two = (shop.start(front, subject=subject) for subject in ("one", "two"))
    break_it(shop, one)
    assert [found.run_id for found in verify_history(shop.world.store)] == [one]
    assert verify_history(shop.world.store, [two]) == []
    assert verify_history(shop.world.store, [two], ledger=shop.ledger) == []


def test_hundreds_of_runs_and_thousands_of_lines_are_read_page_by_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning_core.engine import _verifying

    front = shop.engine().engine
    runs = [shop.start(front, subject=f"s{number}") for number in range(7)]
    monkeypatch.setattr(_verifying, "_PAGE", 3)
    monkeypatch.setattr(_verifying, "_EVENTS", 4)
    looked = list(front.verify_each())
    assert [each.run_id for each in looked] == runs[::-1]
    assert {each.events for each in looked} == {len(shop.kept(runs[0]).events)}
    break_it(shop, runs[0])
    assert [found.run_id for found in front.verify()] == runs[:1]


def test_two_active_runs_of_one_subject_are_told(shop: Shop) -> None:
    front = shop.engine().engine
    old, new = (shop.start(front, subject="acme", again=True) for _ in range(2))
    assert front.verify() == ()
    for run_id in (old, new):
        shop.edit_run(run_id, status=R.FAILED)
    assert [found.run_id for found in front.verify() if found.code == "one_active_run"] == [old]


class Moving(MemoryStore):
    """A store in which runs go on while they are read."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.torn = 0
        self.gone: set[str] = set()
        self.pruned: set[str] = set()

    def head(self, run_id: str) -> RunHead:
        if run_id in self.pruned:
            raise NotFound("pruned")
        return super().head(run_id)

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:
        if run_id in self.gone:
            raise NotFound("pruned")
        found = super().load(run_id)
        if self.torn:
            self.torn -= 1
            return replace(found, run=replace(found.run, seq=found.run.seq - 1, version=found.run.version - 1))
        return found

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        page = super().runs(where, limit=limit, cursor=cursor)
        return replace(page, items=tuple(replace(run, status=R.FAILED) for run in page.items))


def test_a_run_that_changes_while_it_is_read_is_read_again() -> None:
    world = VirtualWorld()
    world.store = world.memory = store = Moving(world.clock)
    shop = Shop(world)
    front = shop.engine().engine
    shop.start(front, again=True)
    for torn in (1, 2):
        store.torn = torn
        assert [found.code for found in front.verify()] == []
    store.torn = 3
    assert {found.code for found in front.verify()} == {"chains_join"}


def test_runs_that_were_active_one_after_the_other_are_no_fault() -> None:
    """Seen as of different moments, both of a subject's runs may seem active; they are asked for again."""
    world = VirtualWorld()
    world.store = world.memory = Moving(world.clock)
    shop = Shop(world)
    front = shop.engine().engine
    old, new = (shop.start(front, again=True) for _ in range(2))
    assert [each.run_id for each in front.verify_each()] == [new, old]
    assert front.verify() == ()


def test_a_run_that_is_pruned_meanwhile_is_passed_over() -> None:
    world = VirtualWorld()
    world.store = world.memory = store = Moving(world.clock)
    shop = Shop(world)
    front = shop.engine().engine
    old, new = (shop.start(front, again=True) for _ in range(2))
    store.gone = {new}
    assert [each.run_id for each in front.verify_each()] == [old]
    looked = front.verify_each()
    store.gone = set()
    next(looked)
    store.pruned = {old, new}
    assert [found for each in looked for found in each.violations] == []


# what can't be read


class Damaged(MemoryStore):
    """A store in which one run's row can't be decoded."""

    damaged = ""

    def load(self, run_id: str, *, connection: Any = None) -> RunSnapshot:
        if run_id == self.damaged:
            raise ValueError("'BOGUS' is not a valid RunStatus")
        return super().load(run_id)

    def runs(self, where: RunFilter, *, limit: int, cursor: str | None = None) -> RunPageRecord:
        page = super().runs(where, limit=limit, cursor=cursor)
        whole = tuple(run for run in page.items if run.id != self.damaged)
        damaged = tuple(UnreadableRun(id=run.id, epoch=1, problem="BOGUS") for run in page.items if run.id == self.damaged)
        return replace(page, items=whole, unreadable=damaged)


def test_a_row_that_can_not_be_read_is_told_and_does_not_hide_the_others() -> None:
    world = VirtualWorld()
    world.store = world.memory = store = Damaged(world.clock)
    shop = Shop(world)
    front = shop.engine().engine
    runs = [shop.start(front, subject=f"s{number}") for number in range(3)]
    store.damaged = runs[0]
    assert [(each.run_id, [found.code for found in each.violations]) for each in front.verify_each()] == [
        (runs[2], []),
        (runs[1], []),
        (runs[0], ["readable"]),
    ]
    assert [found.code for found in front.verify(run_id=runs[0])] == ["readable"]
    assert "BOGUS" in front.verify(run_id=runs[0])[0].text


def test_a_store_that_is_away_is_no_violation(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("away")

    for name, asked in (("runs", {}), ("load", {"run_id": run_id})):
        with monkeypatch.context() as patch:
            patch.setattr(type(shop.world.memory), name, away)
            with pytest.raises(StoreUnavailable):
                front.verify(**asked)


@pytest.fixture
def sql(tmp_path: Path) -> Iterable[tuple[Shop, SqlStore]]:
    world = VirtualWorld()
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    world.store = store
    yield Shop(world), store
    store.close()


def rewrite(store: SqlStore, statement: str) -> None:
    with store._database.write() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "codes"),
    [
        ("UPDATE provisioning_steps SET effect = 0 WHERE name = 'a'", {"effect_fits_status"}),
        ("UPDATE provisioning_steps SET token = 1", {"tokens_grow"}),
        ("UPDATE provisioning_runs SET runnable_at = 5", {"resting_has_no_timer"}),
        ("UPDATE provisioning_runs SET status = 'FAILED'", {"chains_join"}),
        ("UPDATE provisioning_runs SET status = 'BOGUS'", {"readable"}),
        ("UPDATE provisioning_steps SET status = 'BOGUS' WHERE name = 'a'", {"readable"}),
        ("DELETE FROM provisioning_steps WHERE name = 'b'", {"chains_join"}),
        ("DELETE FROM provisioning_resources WHERE step = 'b'", {"resources_kept"}),
        ("DELETE FROM provisioning_events WHERE seq = 4", {"chains_join", "events_gapless"}),
    ],
)
def test_damaged_rows_of_a_database_are_told(sql: tuple[Shop, SqlStore], statement: str, codes: set[str]) -> None:
    shop, store = sql
    shop.start(shop.engine().engine)
    assert verify_history(store, ledger=shop.ledger) == []
    rewrite(store, statement)
    assert {found.code for found in verify_history(store)} == codes


# an engine meets it


@pytest.fixture
def waiting(shop: Shop) -> str:
    """A run that no engine has, in the midst of its work, and that can't be: a step SUCCEEDED without effect."""
    first = shop.engine()
    run_id = shop.begin(first.engine)
    shop.world.turn()
    shop.world.calls[0].run()
    shop.world.turn()
    first.crash()
    break_it(shop, run_id)
    return run_id


def test_a_run_that_can_not_be_is_set_aside_loudly(shop: Shop, waiting: str, caplog: pytest.LogCaptureFixture) -> None:
    second = shop.engine()
    with caplog.at_level(logging.ERROR, "provisioning_core.engine"):
        shop.world.settle(until=lambda: shop.kept(waiting).run.attention is not None)
    attention = shop.kept(waiting).run.attention
    assert attention is not None
    assert (attention.code, "effect_fits_status" in attention.detail) == ("impossible_record", True)
    assert "effect_fits_status" in caplog.text
    assert shop.kept(waiting).run.runnable_at is None
    assert second.calls == []
    assert [event.type for event in second.engine.events("acme")][-1] == "run.set_aside"
    view = second.engine.status("acme")
    assert (view.is_resting, view.errors[0].code) == (True, "impossible_record")
    assert "continue" in view.allowed_actions


def test_the_others_go_on(shop: Shop, waiting: str) -> None:
    second = shop.engine()
    other = shop.begin(second.engine, subject="other")
    shop.world.settle(until=lambda: shop.status(other) is R.SUCCEEDED and shop.kept(waiting).run.attention is not None)
    assert shop.status(waiting) is R.RUNNING


def test_it_goes_on_when_a_person_has_mended_it(shop: Shop, waiting: str) -> None:
    second = shop.engine()
    shop.world.settle(until=lambda: shop.kept(waiting).run.attention is not None)
    shop.edit_step(waiting, "a", effect=True)
    second.engine.continue_("acme")
    shop.world.settle()
    assert shop.status(waiting) is R.SUCCEEDED
    assert second.engine.verify() == ()


def test_a_verb_that_meets_it_first_is_refused(shop: Shop) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)
    break_it(shop, run_id)
    with pytest.raises(Conflict, match="effect_fits_status") as refused:
        front.deprovision("acme")
    assert (refused.value.code, refused.value.run_id, refused.value.status) == ("impossible_record", run_id, R.SUCCEEDED)
    shop.world.turn()
    attention = shop.kept(run_id).run.attention
    assert attention is not None
    assert attention.code == "impossible_record"
    assert shop.status(run_id) is R.SUCCEEDED


@pytest.mark.parametrize("verb", ["continue_", "deprovision"])
def test_a_run_that_rests_is_taken_up_again_by_a_person(shop: Shop, verb: str) -> None:
    front = shop.engine().engine
    run_id = shop.start(front)
    break_it(shop, run_id)
    with pytest.raises(Conflict):
        front.deprovision("acme")
    shop.world.settle()
    assert set(front.status("acme").allowed_actions) == {"rollback", "deprovision", "continue"}
    shop.edit_step(run_id, "a", effect=True)
    getattr(front, verb)("acme")
    shop.world.settle()
    assert shop.status(run_id) is (R.SUCCEEDED if verb == "continue_" else R.ROLLED_BACK)
    assert shop.kept(run_id).run.attention is None
    assert front.verify() == ()


def test_a_recorded_verb_that_meets_it_first_is_refused(shop: Shop) -> None:
    worker = shop.engine()
    run_id = shop.start(worker.engine)
    break_it(shop, run_id)
    shop.world.store.request(RequestRecord(id="q", run_id=run_id, verb="deprovision", at=shop.world.clock.now()))
    shop.world.settle(until=lambda: not shop.kept(run_id).requests)
    told = [event for event in worker.engine.events("acme") if event.type in ("run.set_aside", "request.refused")]
    assert [(event.type, event.data["code"]) for event in told] == [
        ("run.set_aside", "impossible_record"),
        ("request.refused", "impossible_record"),
    ]
    assert shop.status(run_id) is R.SUCCEEDED
    assert shop.kept(run_id).run.runnable_at is None


def test_many_violations_are_told_in_short(shop: Shop, waiting: str) -> None:
    for name in ("b", "extra"):
        shop.edit_step(waiting, name, status=S.SUCCEEDED, half_done=True, live=None, zombie=True, round=0, attempt=-1)
    shop.engine()
    shop.world.settle(until=lambda: shop.kept(waiting).run.attention is not None)
    attention = shop.kept(waiting).run.attention
    assert attention is not None
    assert attention.detail.endswith("more.")


def test_records_of_a_run_that_is_only_looked_at_are_not_touched(shop: Shop, waiting: str) -> None:
    before: RunRecord = shop.kept(waiting).run
    front = shop.world.engine(shop.plan()).engine
    assert [found.code for found in front.verify(run_id=waiting)] == ["effect_fits_status"]
    assert shop.kept(waiting).run == before
