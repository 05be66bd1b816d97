"""A run whose rows were damaged, or written by another version, does not stop the others."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from provisioning_core import Engine, Plan, RunStatus, step
from provisioning_core.errors import ProvisioningError
from provisioning_core.model import RunFilter, RunSnapshot, UnreadableRun
from provisioning_core.stores import SqlStore

DAMAGES = {
    "no json": "UPDATE provisioning_runs SET labels = '{broken' WHERE subject = 'broken'",
    "an unknown status of a step": "UPDATE provisioning_steps SET status = 'ASCENDED'",
    "a graph of another version": "UPDATE provisioning_graphs SET graph = '[]'",
}


@step
def work() -> int:
    return 1


@step(when=lambda _: False)
def never() -> int:
    return 2


PLAN = Plan("plain", steps=[work, never])
OTHER = Plan("other", steps=[work])


def damaged(path: Path, damage: str) -> SqlStore:
    """A store with a damaged run beside a whole one, both waiting for an engine."""
    store = SqlStore(f"sqlite:///{path}/store.db")
    with Engine(store=store, plans=[PLAN, OTHER], work=False) as web:
        web.start("plain", subject="broken")
        web.start("other", subject="fine")
    with store.begin() as connection:
        assert connection.execute(text(DAMAGES[damage])).rowcount >= 1
        if "graphs" in DAMAGES[damage]:
            keep = text("UPDATE provisioning_graphs SET graph = :graph WHERE fingerprint = :fingerprint")
            connection.execute(keep, {"graph": OTHER.graph.to_json(), "fingerprint": OTHER.graph.fingerprint})
    store.close()
    return SqlStore(f"sqlite:///{path}/store.db")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_claim_takes_the_readable_and_tells_of_the_unreadable(tmp_path: Path, damage: str) -> None:
    with closing(damaged(tmp_path, damage)) as store:
        found = store.claim("engine", plans=["plain", "other"], now=9e9, limit=10)
    assert len(found) == 2
    assert [each.run.subject for each in found if isinstance(each, RunSnapshot)] == ["fine"]
    (unreadable,) = [each for each in found if isinstance(each, UnreadableRun)]
    assert unreadable.epoch == 1
    assert unreadable.problem


def test_a_list_shows_the_others_and_names_it(tmp_path: Path) -> None:
    with closing(damaged(tmp_path, "no json")) as store:
        page = store.runs(RunFilter(), limit=10)
    assert [run.subject for run in page.items] == ["fine"]
    assert [type(run) for run in page.unreadable] == [UnreadableRun]


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_engine_sets_it_aside_loudly_and_goes_on_with_the_others(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Engine(store=damaged(tmp_path, damage), plans=[PLAN, OTHER], poll=0.02) as engine:
        assert engine.wait("fine", timeout=10).status is RunStatus.SUCCEEDED
        with pytest.raises(ProvisioningError) as refused:
            engine.cancel("broken")
        assert refused.value.code == "unreadable_run"
    assert "can't be read; it is set aside" in caplog.text
