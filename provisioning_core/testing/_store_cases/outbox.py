"""Webhooks: endpoints are kept, commits note queues, senders share them, and what was tried is listed."""

# ruff: noqa: S101  asserting is what these are for
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioning_core.errors import InvalidInput, NotFound
from provisioning_core.outbox import DeliveryFilter, Resend
from provisioning_core.ports import NewRun
from provisioning_core.testing._store_cases.outbox_records import (
    LATER,
    a_delivery,
    a_full_endpoint,
    a_telling_run,
    an_endpoint,
    claimed,
    settled,
    spans,
    told,
)
from provisioning_core.testing._store_cases.records import GRAPH, NOW, HookError, a_change, a_run, an_event, at_once, owned, taken

EVERYTHING = DeliveryFilter()


class EndpointCases:
    """``add``, ``change``, ``remove`` and what is read of them."""

    def test_an_endpoint_comes_back_as_it_was_kept(self, store: Any) -> None:
        added = store.outbox.add(a_full_endpoint())
        assert added == replace(a_full_endpoint(), created_at=added.created_at)
        assert added.created_at > NOW
        assert store.outbox.endpoint("full") == added
        assert store.outbox.endpoints() == [added]

    def test_endpoints_are_listed_oldest_first(self, store: Any) -> None:
        for name in ("z", "a", "m"):
            store.outbox.add(an_endpoint(name))
        assert [endpoint.id for endpoint in store.outbox.endpoints()] == ["z", "a", "m"]

    def test_only_the_named_fields_are_changed(self, store: Any) -> None:
        before = store.outbox.add(a_full_endpoint())
        after = store.outbox.change("full", {"events": ("*",), "enabled": True, "disabled_why": "", "old_secret": None})
        assert after == replace(before, events=("*",), enabled=True, disabled_why="", old_secret=None)
        assert store.outbox.change("full", {}) == after

    def test_an_unknown_endpoint_is_not_found(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        for ask in ("endpoint", "remove"):
            with pytest.raises(NotFound) as caught:
                getattr(store.outbox, ask)("none")
            assert caught.value.code == "webhook_not_found"
        for ask, more in (("change", {"enabled": False}), ("resend", Resend())):
            with pytest.raises(NotFound) as caught:
                getattr(store.outbox, ask)("none", more)
            assert caught.value.code == "webhook_not_found"
        assert store.outbox.endpoint("end-1").enabled

    def test_with_an_endpoint_go_its_queues_and_its_log(self, store: Any) -> None:
        for name in ("end-1", "end-2"):
            store.outbox.add(an_endpoint(name))
            store.outbox.record(a_delivery(endpoint_id=name))
        a_telling_run(store, "run-1", "run.succeeded")
        store.outbox.remove("end-1")
        assert store.outbox.backlog() == {"end-2": 1}
        assert [each.endpoint_id for each in store.outbox.deliveries(EVERYTHING, limit=9).items] == ["end-2"]
        assert [endpoint.id for endpoint in store.outbox.endpoints()] == ["end-2"]


class NotingCases:
    """What a commit notes, in its own transaction."""

    def test_without_endpoints_nothing_is_noted(self, store: Any) -> None:
        a_telling_run(store, "run-1", "run.created", "run.succeeded")
        assert store.outbox.backlog() == {}

    def test_a_commit_notes_what_is_wanted(self, store: Any) -> None:
        store.outbox.add(an_endpoint("runs"))
        store.outbox.add(an_endpoint("all", events=("*",)))
        store.outbox.add(an_endpoint("one", events=("step.failed", "run.failed")))
        store.outbox.add(an_endpoint("none", events=("plan.adopted", "run", "run.fail", "un.*")))
        a_telling_run(store, "run-1", "step.running", "run.running", "step.failed", "run.succeeded", "step.running")
        assert spans(claimed(store)) == [("all", "run-1", 0, 5), ("one", "run-1", 2, 3), ("runs", "run-1", 1, 4)]

    def test_only_runs_of_the_plans_that_it_wants(self, store: Any) -> None:
        store.outbox.add(an_endpoint("other", plans=("workspace",)))
        store.outbox.add(an_endpoint("this", plans=("workspace", "tenant")))
        a_telling_run(store, "run-1", "run.succeeded")
        assert spans(claimed(store)) == [("this", "run-1", 0, 1)]

    def test_what_a_run_is_created_with_is_noted(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = a_run(seq=1)
        assert store.create(NewRun(run=run, graph=GRAPH, events=(an_event(type="run.created"),)))
        assert spans(claimed(store)) == [("end-1", "run-1", 0, 1)]

    def test_a_run_that_could_not_be_created_is_not_noted(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        assert store.create(NewRun(run=a_run("first"), graph=GRAPH))
        assert not store.create(NewRun(run=a_run("second"), graph=GRAPH, events=(an_event("second", type="run.created"),)))
        assert store.outbox.backlog() == {}

    def test_what_is_not_committed_is_not_noted(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = owned(store)
        stale = replace(run, epoch=run.epoch - 1)
        assert store.commit([a_change(stale, events=[an_event(type="run.succeeded")])]) == {"run-1"}
        assert store.outbox.backlog() == {}

    def test_a_commit_that_fails_notes_nothing(self, store: Any) -> None:
        from provisioning_core.model import RunStatus
        from provisioning_core.testing._store_cases.records import moved

        def hook(*_: Any) -> None:
            raise HookError

        store.outbox.add(an_endpoint())
        run = owned(store)
        with pytest.raises(HookError):
            store.commit([moved(run, RunStatus.SUCCEEDED, events=[an_event(type="run.succeeded")])], hook=hook)
        assert store.outbox.backlog() == {}

    def test_a_repeated_commit_is_noted_once(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = owned(store)
        change = a_change(run, events=[an_event(type="run.succeeded")])
        store.commit([change])
        (first,) = claimed(store)
        store.outbox.settle([settled(first, 1)])
        store.commit([change])
        assert store.outbox.backlog() == {}

    def test_a_disabled_endpoint_is_noted_nothing_for(self, store: Any) -> None:
        store.outbox.add(an_endpoint("off", enabled=False))
        store.outbox.add(an_endpoint("on"))
        run = a_telling_run(store, "run-1", "run.running")
        store.outbox.change("on", {"enabled": False})
        told(store, run, "run.succeeded")
        assert store.outbox.backlog() == {"on": 1}
        store.outbox.change("on", {"enabled": True})
        assert spans(claimed(store)) == [("on", "run-1", 0, 1)]

    def test_more_to_tell_waits_in_the_same_queue(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = a_telling_run(store, "run-1", "step.running", "run.running")
        told(store, run, "step.succeeded", "run.succeeded")
        assert spans(claimed(store)) == [("end-1", "run-1", 1, 4)]

    def test_a_removed_endpoint_is_no_ones_trouble(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = a_telling_run(store, "run-1", "run.running")
        store.outbox.remove("end-1")
        told(store, run, "run.succeeded")
        assert store.outbox.backlog() == {}


class ClaimCases:
    """Queues are shared between senders, and none is worked on twice at a time."""

    def test_a_claimed_queue_is_complete(self, store: Any) -> None:
        endpoint = store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.succeeded", subject="Ärger & Söhne")
        (found,) = store.outbox.claim("word", ttl=60.0, room=1, per_endpoint=1, in_hand={})
        assert (found.endpoint, found.run_id, found.subject) == (endpoint, "run-1", "Ärger & Söhne")
        assert (found.plan, found.plan_version, found.claim) == ("tenant", "1", "word")
        assert (found.after, found.until, found.tries, found.is_resend, found.missing_only) == (0, 1, 0, False, False)

    def test_a_queue_is_claimed_once(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.succeeded")
        assert len(claimed(store)) == 1
        assert claimed(store) == []

    def test_a_claim_that_ran_out_is_anyones(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.succeeded")
        (lost,) = claimed(store, ttl=-1.0)
        (found,) = claimed(store)
        assert (found.number, found.after, found.until) == (lost.number, lost.after, lost.until)

    def test_an_endpoint_gets_no_more_than_its_share(self, store: Any) -> None:
        for name in ("slow", "quick"):
            store.outbox.add(an_endpoint(name))
        for number in range(5):
            a_telling_run(store, f"run-{number}", "run.succeeded")
        found = claimed(store, per_endpoint=3, slow=2)
        assert sorted(each.endpoint.id for each in found) == ["quick"] * 3 + ["slow"]
        assert claimed(store, per_endpoint=3, slow=3, quick=3) == []
        assert len(claimed(store, room=2)) == 2
        assert claimed(store, room=0) == []

    def test_those_due_longest_come_first(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        for name in ("run-1", "run-2", "run-3"):
            a_telling_run(store, name, "run.succeeded")
        assert [each.run_id for each in claimed(store, room=2)] == ["run-1", "run-2"]

    @pytest.mark.parametrize("fields", [{"enabled": False}, {"paused_until": 9e9}])
    def test_nothing_is_claimed_of_an_endpoint_that_takes_nothing(self, store: Any, fields: dict[str, Any]) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.succeeded")
        store.outbox.change("end-1", fields)
        assert claimed(store) == []
        store.outbox.change("end-1", {"enabled": True, "paused_until": 0.0})
        assert len(claimed(store)) == 1

    def test_senders_at_once_never_get_the_same_queue(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        for number in range(12):
            a_telling_run(store, f"run-{number}", "run.succeeded")
        shares = at_once(*([lambda: claimed(store, room=4)] * 4))
        found = [each.run_id for share in shares for each in share]
        found += [each.run_id for each in claimed(store)]
        assert sorted(found) == sorted(f"run-{number}" for number in range(12))


class SettlingCases:
    """What became of a claimed queue."""

    def test_a_queue_that_is_told_to_its_end_goes(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.running", "run.succeeded")
        (mine,) = claimed(store)
        store.outbox.settle([settled(mine, 2)])
        assert store.outbox.backlog() == {}

    def test_a_queue_goes_on_behind_what_was_told(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.running", "run.succeeded")
        (mine,) = claimed(store)
        store.outbox.settle([settled(mine, 1, tries=3)])
        (found,) = claimed(store)
        assert (found.after, found.until, found.tries) == (1, 2, 3)

    def test_what_was_noted_meanwhile_is_not_lost(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = a_telling_run(store, "run-1", "run.running")
        (mine,) = claimed(store)
        told(store, run, "run.succeeded")
        assert claimed(store) == []
        store.outbox.settle([settled(mine, 1)])
        assert spans(claimed(store)) == [("end-1", "run-1", 1, 2)]

    def test_a_queue_that_waits_is_not_due(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = a_telling_run(store, "run-1", "run.running")
        (mine,) = claimed(store)
        store.outbox.settle([settled(mine, 0, tries=1, wait=LATER)])
        told(store, run, "run.succeeded")
        assert claimed(store) == []
        assert store.outbox.backlog() == {"end-1": 1}

    def test_who_lost_the_claim_changes_nothing_but_the_log(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.running", "run.succeeded")
        (lost,) = claimed(store, ttl=-1.0)
        (mine,) = claimed(store)
        store.outbox.settle([settled(lost, 2, log=(a_delivery(),))])
        assert store.outbox.backlog() == {"end-1": 1}
        assert len(store.outbox.deliveries(EVERYTHING, limit=9).items) == 1
        store.outbox.settle([settled(mine, 2)])
        assert store.outbox.backlog() == {}

    def test_give_ups_are_counted_until_something_is_taken(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.running", "run.failed", "run.running", "run.succeeded")
        counted = []
        for given_up, answers in ((2, False), (1, False), (0, False), (1, True), (0, True)):
            (mine,) = claimed(store)
            store.outbox.settle([settled(mine, mine.after, given_up=given_up, answers=answers)])
            counted.append(store.outbox.endpoint("end-1").give_ups)
        assert counted == [2, 3, 3, 1, 0]

    def test_an_endpoint_is_paused_and_disabled(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        a_telling_run(store, "run-1", "run.running")
        (mine,) = claimed(store)
        now = store.outbox.now()
        store.outbox.settle([settled(mine, 0, pause=LATER)])
        paused = store.outbox.endpoint("end-1")
        assert now + LATER <= paused.paused_until < now + LATER + 60
        store.outbox.settle([settled(mine, 0, disable="Gone.")])
        found = store.outbox.endpoint("end-1")
        assert (found.enabled, found.disabled_why, found.paused_until) == (False, "Gone.", paused.paused_until)

    def test_many_are_settled_at_once(self, store: Any) -> None:
        for name in ("end-1", "end-2"):
            store.outbox.add(an_endpoint(name))
        for name in ("run-1", "run-2"):
            a_telling_run(store, name, "run.succeeded")
        mine = claimed(store)
        log = [a_delivery(endpoint_id=each.endpoint.id, run_id=each.run_id) for each in mine]
        store.outbox.settle([settled(each, 1, log=(entry,)) for each, entry in zip(mine, log, strict=True)])
        assert store.outbox.backlog() == {}
        listed = store.outbox.deliveries(EVERYTHING, limit=9).items
        assert sorted((each.endpoint_id, each.run_id) for each in listed) == sorted((each.endpoint.id, each.run_id) for each in mine)


class ResendCases:
    """A person asks for events again."""

    def test_one_event(self, store: Any) -> None:
        store.outbox.add(an_endpoint("end-1", events=("*",)))
        self._history(store)
        assert store.outbox.resend("end-1", Resend(run_id="run-1", first=2, last=2)) == 1
        (found,) = claimed(store)
        assert (found.run_id, found.after, found.until, found.is_resend, found.missing_only) == ("run-1", 1, 2, True, False)

    def test_a_range_of_time(self, store: Any) -> None:
        store.outbox.add(an_endpoint("end-1", events=("*",)))
        self._history(store)
        assert store.outbox.resend("end-1", Resend(since=NOW + 1, until=NOW + 3)) == 2
        assert spans(claimed(store)) == [("end-1", "run-1", 1, 3), ("end-1", "run-2", 1, 3)]

    def test_only_what_the_endpoint_wants(self, store: Any) -> None:
        store.outbox.add(an_endpoint("end-1", events=("run.succeeded",)))
        store.outbox.add(an_endpoint("end-2", events=("step.*",), plans=("other",)))
        store.outbox.add(an_endpoint("end-3", events=("step_.*",)))
        self._history(store)
        assert [store.outbox.resend(f"end-{number}", Resend()) for number in (1, 2, 3)] == [2, 0, 0]
        assert spans(claimed(store)) == [("end-1", "run-1", 3, 4), ("end-1", "run-2", 3, 4)]

    def test_only_what_is_missing(self, store: Any) -> None:
        store.outbox.add(an_endpoint("end-1", events=("*",)))
        self._history(store)
        for seq, outcome in ((1, "delivered"), (2, "given_up"), (3, "delivered"), (4, "failed")):
            store.outbox.record(a_delivery(seq=seq, outcome=outcome))
        assert store.outbox.resend("end-1", Resend(run_id="run-1", missing_only=True)) == 1
        (found,) = claimed(store)
        assert (found.after, found.until, found.missing_only) == (1, 4, True)
        assert store.outbox.delivered("end-1", "run-1", [1, 2, 4]) == {1}
        assert store.outbox.delivered("end-1", "run-2", [1]) == store.outbox.delivered("end-1", "run-1", []) == frozenset()

    def test_it_stands_in_nobodys_way(self, store: Any) -> None:
        store.outbox.add(an_endpoint("end-1", events=("*",)))
        runs = self._history(store)
        for _ in range(2):
            store.outbox.resend("end-1", Resend(run_id="run-1", first=1, last=1))
        told(store, runs[0], "run.running")
        assert spans(claimed(store)) == [("end-1", "run-1", 0, 1), ("end-1", "run-1", 0, 1), ("end-1", "run-1", 4, 5)]

    def _history(self, store: Any) -> list[Any]:
        """Two runs with four events each, a second between two of them; told to everybody already."""
        runs = []
        for name in ("run-1", "run-2"):
            run = owned(store, a_run(name, name))
            kinds = ("step.running", "step.failed", "step.succeeded", "run.succeeded")
            events = [an_event(name, seq, type=kind, at=NOW + seq - 1) for seq, kind in enumerate(kinds, 1)]
            change = a_change(run, events=events)
            store.commit([change])
            runs.append(change.run)
        store.outbox.settle([settled(each, 4) for each in claimed(store)])
        assert store.outbox.backlog() == {}
        return runs


class LogCases:
    """What was tried."""

    def test_a_delivery_comes_back_as_it_was(self, store: Any) -> None:
        wanted = a_delivery(
            run_id=None, seq=0, outcome="failed", status=503, error="It answered 503.", body="später — позже", next_at=NOW + 5
        )
        found = store.outbox.record(wanted)
        assert found == replace(wanted, number=found.number)
        assert store.outbox.delivery(found.number) == found

    def test_an_unknown_delivery_is_not_found(self, store: Any) -> None:
        with pytest.raises(NotFound) as caught:
            store.outbox.delivery(4711)
        assert caught.value.code == "delivery_not_found"

    def test_they_are_listed_page_by_page_newest_first(self, store: Any) -> None:
        for seq in range(1, 8):
            store.outbox.record(a_delivery(seq=seq))
        seen, cursor = [], None
        while True:
            page = store.outbox.deliveries(EVERYTHING, limit=3, cursor=cursor)
            seen.append([each.seq for each in page.items])
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [[7, 6, 5], [4, 3, 2], [1]]
        with pytest.raises(InvalidInput):
            store.outbox.deliveries(EVERYTHING, limit=3, cursor="none")

    def test_they_are_filtered(self, store: Any) -> None:
        for seq, fields in enumerate(
            ({}, {"endpoint_id": "end-2"}, {"run_id": "run-2"}, {"outcome": "failed"}, {"message_id": "other"}), 1
        ):
            store.outbox.record(a_delivery(seq=seq, **fields))
        for where, expected in (
            (DeliveryFilter(endpoint_id="end-2"), [2]),
            (DeliveryFilter(run_id="run-2"), [3]),
            (DeliveryFilter(outcomes=("failed", "gone")), [4]),
            (DeliveryFilter(message_id="other"), [5]),
            (DeliveryFilter(endpoint_id="end-1", run_id="run-1", outcomes=("delivered",)), [5, 1]),
        ):
            found = store.outbox.deliveries(where, limit=9)
            assert [each.seq for each in found.items] == expected

    def test_old_ones_are_forgotten(self, store: Any) -> None:
        for number in range(4):
            store.outbox.record(a_delivery(seq=number, at=NOW + number))
        assert store.outbox.trim(before=NOW + 2) == 2
        assert [each.seq for each in store.outbox.deliveries(EVERYTHING, limit=9).items] == [3, 2]

    def test_a_takeover_does_not_disturb_a_queue(self, store: Any) -> None:
        store.outbox.add(an_endpoint())
        run = a_telling_run(store, "run-1", "run.running")
        (mine,) = claimed(store)
        taken(store, run.id, "two", dead=["one"])
        store.outbox.settle([settled(mine, 1)])
        assert store.outbox.backlog() == {}
