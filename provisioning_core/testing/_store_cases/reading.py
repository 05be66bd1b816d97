"""What can be read of runs."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

import base64

import pytest

from provisioning_core.errors import InvalidInput, NotFound
from provisioning_core.model import RunFilter, RunStatus, Standing
from provisioning_core.ports import Store
from provisioning_core.testing._store_cases.records import (
    EVERYTHING,
    FAILURE,
    NOW,
    a_change,
    a_request,
    a_run,
    an_engine,
    created,
    events_from,
    owned,
)


def _ids(store: Store, where: RunFilter = EVERYTHING, *, limit: int = 99) -> list[str]:
    return [run.id for run in store.runs(where, limit=limit).items]


class ReadingCases:
    """``load``, ``head``, ``latest``, ``by_idempotency_key``, ``events``, ``counts``, ``durations``."""

    def test_a_run_that_is_not_there_is_not_found(self, store: Store) -> None:
        for read in (store.load, store.head):
            with pytest.raises(NotFound) as caught:
                read("unknown")
            assert caught.value.code == "run_not_found"

    def test_the_head_tells_what_a_waiting_caller_asks_for(self, store: Store) -> None:
        run = owned(store, a_run(status=RunStatus.FAILED, version=7))
        head = store.head(run.id)
        assert (head.status, head.version, head.has_requests, head.is_resting) == ("FAILED", 7, False, True)
        store.request(a_request())
        assert (store.head(run.id).has_requests, store.head(run.id).is_resting) == (True, False)
        store.commit([a_change(run, requests_done=("request-1",))])
        assert (store.head(run.id).has_requests, store.head(run.id).version) == (False, 8)

    def test_the_heads_of_many_runs_are_read_at_once(self, store: Store) -> None:
        created(
            store, a_run("first", seq=3), a_run("second", "globex", status=RunStatus.FAILED, version=7), a_run("third", "initech")
        )
        store.request(a_request(run_id="second"))
        heads = store.heads(["second", "unknown", "first"])
        assert heads == {run_id: store.head(run_id) for run_id in ("first", "second")}
        assert (heads["first"].seq, heads["second"].has_requests) == (3, True)
        assert store.heads([]) == {}

    def test_the_head_tells_whether_a_run_was_set_aside(self, store: Store) -> None:
        run = owned(store)
        assert (store.head(run.id).is_set_aside, store.head(run.id).is_resting) == (False, False)
        store.commit([a_change(run, run_fields={"attention": FAILURE})])
        assert (store.head(run.id).is_set_aside, store.head(run.id).is_resting) == (True, True)

    def test_the_latest_run_is_the_one_that_came_last_whatever_its_clock_says(self, store: Store) -> None:
        assert store.latest("acme") is None
        created(store, a_run("first", status=RunStatus.SUCCEEDED, created_at=NOW + 99), a_run("other", "globex"), a_run("second"))
        assert store.latest("acme") == a_run("second")
        assert store.latest("ACME") is None

    def test_a_run_is_found_by_its_subject_and_key(self, store: Store) -> None:
        created(store, a_run("first", status=RunStatus.SUCCEEDED, idempotency_key="key"), a_run("second", idempotency_key="other"))
        created(store, a_run("theirs", "globex", idempotency_key="key"))
        assert store.by_idempotency_key("acme", "key") == a_run("first", status=RunStatus.SUCCEEDED, idempotency_key="key")
        assert store.by_idempotency_key("globex", "key") == a_run("theirs", "globex", idempotency_key="key")
        assert store.by_idempotency_key("acme", "unknown") is None

    def test_events_come_in_order_and_in_pages(self, store: Store) -> None:
        created(store, a_run("other", "globex"), events=events_from("other", 1, 3))
        run = owned(store, a_run(seq=5), events=events_from("run-1", 1, 5))
        store.commit([a_change(run, events=7)])
        assert store.events("run-1") == list(events_from("run-1", 1, 12))
        assert store.events("run-1", after=9) == list(events_from("run-1", 10, 12))
        assert store.events("run-1", after=3, limit=4) == list(events_from("run-1", 4, 7))
        assert store.events("run-1", after=12) == []
        assert store.events("unknown") == []

    def test_a_page_of_events_has_a_thousand_at_the_most(self, store: Store) -> None:
        created(store, a_run(seq=1005), events=events_from("run-1", 1, 1005))
        assert [event.seq for event in store.events("run-1")] == list(range(1, 1001))

    def test_runs_are_counted_by_status(self, store: Store) -> None:
        assert dict(store.counts()) == {}
        statuses = [RunStatus.RUNNING, RunStatus.SUCCEEDED, RunStatus.RUNNING, RunStatus.WAITING]
        created(store, *(a_run(f"{number}", f"{number}", status=status) for number, status in enumerate(statuses)))
        assert dict(store.counts()) == {"RUNNING": 2, "SUCCEEDED": 1, "WAITING": 1}

    def test_the_standing_counts_what_was_set_aside_and_what_nobody_works_on(self, store: Store) -> None:
        assert store.standing(NOW) == Standing()
        store.register(an_engine("one"), 60.0)
        created(
            store,
            a_run("idle", "a", runnable_at=NOW - 30),
            a_run("idler", "b", runnable_at=NOW - 50),
            a_run("orphan", "c", runnable_at=NOW - 40, owner="nobody-knows"),
            a_run("owned", "d", runnable_at=NOW - 90, owner="one"),
            a_run("later", "e", runnable_at=NOW + 1, status=RunStatus.WAITING),
            a_run("aside", "f", runnable_at=None, attention=FAILURE),
            a_run("done", "g", runnable_at=None, status=RunStatus.SUCCEEDED),
        )
        counts = {"RUNNING": 5, "WAITING": 1, "SUCCEEDED": 1}
        assert store.standing(NOW) == Standing(counts=counts, set_aside=1, unclaimed=3, unclaimed_for=50.0)

    def test_durations_are_weighted_means(self, store: Store) -> None:
        assert dict(store.durations("tenant")) == {}
        store.add_durations("tenant", {"database": 10.0, "bucket": 1.0})
        store.add_durations("tenant", {"database": 20.0, "mail": 3.0})
        store.add_durations("billing", {"database": 7.0})
        store.add_durations("tenant", {})
        assert dict(store.durations("tenant")) == pytest.approx({"database": 12.0, "bucket": 1.0, "mail": 3.0})
        assert dict(store.durations("billing")) == {"database": 7.0}


class ListingCases:
    """``runs``."""

    def test_runs_are_listed_newest_first(self, store: Store) -> None:
        created(store, *(a_run(f"run-{n}", f"subject-{n}", created_at=NOW - n) for n in range(4)))
        page = store.runs(EVERYTHING, limit=4)
        assert page.items == tuple(a_run(f"run-{n}", f"subject-{n}", created_at=NOW - n) for n in (3, 2, 1, 0))
        assert page.next_cursor is None
        assert store.runs(EVERYTHING, limit=3).next_cursor is not None

    def test_pages_follow_each_other_without_gaps_or_repeats(self, store: Store) -> None:
        created(store, *(a_run(f"run-{n}", f"subject-{n}") for n in range(7)))
        seen, cursor = [], None
        while True:
            page = store.runs(EVERYTHING, limit=3, cursor=cursor)
            seen.append([run.id for run in page.items])
            created(store, a_run(f"late-{len(seen)}", f"late-{len(seen)}"))
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [["run-6", "run-5", "run-4"], ["run-3", "run-2", "run-1"], ["run-0"]]

    def test_filters_narrow_the_list_together(self, store: Store) -> None:
        created(store, a_run("a", "acme", status=RunStatus.SUCCEEDED), a_run("b", "acme", status=RunStatus.FAILED))
        created(store, a_run("c", "globex", plan="billing"), a_run("d", "initech", plan="billing", status=RunStatus.FAILED))
        wanted = {
            "dcba": EVERYTHING,
            "db": RunFilter(status=("FAILED",)),
            "dcb": RunFilter(status=("RUNNING", "FAILED")),
            "dc": RunFilter(plan="billing"),
            "ba": RunFilter(subject="acme"),
            "d": RunFilter(plan="billing", status=("FAILED",)),
            "b": RunFilter(subject="acme", plan="tenant", status=("FAILED",)),
            "": RunFilter(subject="acme", plan="billing"),
        }
        assert {"".join(_ids(store, where)): where for where in wanted.values()} == wanted

    def test_pages_are_filtered_too(self, store: Store) -> None:
        created(store, *(a_run(f"{n}", f"{n}", plan="billing" if n % 2 else "tenant") for n in range(8)))
        first = store.runs(RunFilter(plan="billing"), limit=3)
        rest = store.runs(RunFilter(plan="billing"), limit=3, cursor=first.next_cursor)
        assert [[run.id for run in page.items] for page in (first, rest)] == [["7", "5", "3"], ["1"]]
        assert rest.next_cursor is None

    @pytest.mark.parametrize("text", ["", "r", "r-1", "r1 ", "1", "rr1", "r" + "9" * 30, "r\N{ARABIC-INDIC DIGIT ONE}"])
    def test_a_cursor_that_was_made_up_is_refused(self, store: Store, text: str) -> None:
        created(store, a_run())
        made_up = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        for cursor in {text, made_up, made_up + "=", f"{made_up}é"}:
            with pytest.raises(InvalidInput) as caught:
                store.runs(EVERYTHING, limit=3, cursor=cursor)
            assert caught.value.code == "bad_cursor"
