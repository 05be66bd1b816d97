"""What is sent, in which order, when again, and when no more; in virtual time."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook
from webhook_world import BAD, OK, World

from provisioning_core.errors import StoreUnavailable
from provisioning_core.model import Vault
from provisioning_core.observers.webhooks._schedule import DELAYS
from provisioning_core.observers.webhooks._signing import new_secret, sealed
from provisioning_core.observers.webhooks._transport import Answer
from provisioning_core.outbox import Resend
from provisioning_core.testing._store_cases.outbox_records import a_telling_run, told

HOUR = 3600.0


@pytest.fixture
def world() -> World:
    return World()


# what a message says


def test_a_message_says_what_happened_and_nothing_else() -> None:
    world = World(link="https://app.example.com/t/{tenant_id}/runs/{run_id}")
    world.add(events=("*",))
    a_telling_run(world.store, "run-1", "run.created", "step.failed", subject="Ärger & Söhne/1")
    world.pump()
    assert [json.loads(sent.body) for sent in world.sent] == [
        {
            "type": kind,
            "timestamp": "2023-11-14T22:13:20.250000Z",
            "data": {
                "run_id": "run-1",
                "tenant_id": "Ärger & Söhne/1",
                "plan": "tenant",
                "plan_version": "1",
                "seq": seq,
                "status": status,
                "step": None,
                "attempt": None,
                "link": "https://app.example.com/t/%C3%84rger%20%26%20S%C3%B6hne%2F1/runs/run-1",
            },
        }
        for seq, (kind, status) in enumerate((("run.created", "PENDING"), ("step.failed", "FAILED")), 1)
    ]
    headers = world.sent[0].headers
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "provisioning-core-webhooks/1"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_run-1_1", str(int(world.sent[0].at)))


def test_a_link_can_be_a_function() -> None:
    world = World(link=lambda run_id, tenant_id: f"x:{tenant_id}:{run_id}")
    world.add()
    a_telling_run(world.store, "run-1", "run.succeeded", subject="acme")
    world.pump()
    assert world.sent[0].data["link"] == "x:acme:run-1"


@pytest.mark.parametrize(
    ("kind", "status"),
    [("run.succeeded", "SUCCEEDED"), ("run.set_aside", None), ("step.in_doubt", "IN_DOUBT"), ("retry.requested", None)],
)
def test_the_status_is_the_events(world: World, kind: str, status: str | None) -> None:
    world.add(events=("*",))
    a_telling_run(world.store, "run-1", kind)
    world.pump()
    assert world.sent[0].data["status"] == status


def test_a_message_is_small(world: World) -> None:
    world.add(events=("*",))
    a_telling_run(world.store, "run-1", "run.succeeded", subject="я" * 200)
    world.pump()
    assert len(world.sent[0].body) < 20_000


# signatures


def test_messages_are_signed_and_a_replaced_secret_signs_along_for_its_time() -> None:
    vault, old, new = Vault(os.urandom(32)), new_secret(), new_secret()
    world = World(vault=vault)
    world.add(secret=sealed(old, "end-1", vault))
    run = a_telling_run(world.store, "run-1", "run.running")
    world.pump()
    fields = {"secret": sealed(new, "end-1", vault), "old_secret": sealed(old, "end-1", vault)}
    world.outbox.change("end-1", fields | {"old_secret_until": world.clock.now() + HOUR})
    run = told(world.store, run, "run.waiting")
    world.pump()
    world.clock.advance(HOUR)
    told(world.store, run, "run.succeeded")
    world.pump()
    taken_by = [[_takes(secret, sent.headers, sent.body) for secret in (old, new)] for sent in world.sent]
    assert taken_by == [[True, False], [True, True], [False, True]]


def test_a_replaced_secret_is_forgotten_in_time() -> None:
    world = World()
    world.add(old_secret="plain:whsec_b2xk", old_secret_until=1_700_000_000.0 + HOUR)
    world.pump()
    assert world.outbox.endpoint("end-1").old_secret is not None
    world.clock.advance(HOUR)
    world.sender._trimmed_at = None
    world.pump()
    assert world.outbox.endpoint("end-1").old_secret is None


def test_a_secret_that_cannot_be_read_holds_the_queue_and_costs_no_try() -> None:
    vault = Vault(os.urandom(32))
    world = World(vault=None)
    world.add(secret=sealed(new_secret(), "end-1", vault))
    a_telling_run(world.store, "run-1", "run.succeeded")
    world.run_for(20 * HOUR, every=HOUR)
    assert world.sent == []
    assert set(world.outcomes) == {"refused"}
    assert {each.attempt for each in world.log} == {1}
    assert world.outbox.backlog() == {"end-1": 1}
    assert world.outbox.endpoint("end-1").enabled


# order, and trying again


def test_events_of_a_run_come_in_order_each_after_the_one_before_was_taken(world: World) -> None:
    world.add()
    run = a_telling_run(world.store, "run-1", "run.created", "step.running", "run.running")
    refusals = iter([OK, BAD, BAD, OK, OK, OK])
    world.answers = lambda sent: next(refusals)
    world.pump()
    told(world.store, run, "run.waiting", "run.succeeded")
    world.run_for(HOUR)
    assert [sent.data["seq"] for sent in world.sent] == [1, 3, 3, 3, 4, 5]
    assert world.ids[1] == world.ids[2] == world.ids[3] == "msg_run-1_3"
    assert [each.attempt for each in world.log] == [1, 1, 2, 3, 1, 1]
    assert world.outbox.backlog() == {}


def test_a_run_that_is_not_taken_holds_no_other_up(world: World) -> None:
    world.add()
    world.add("end-2")
    for name in ("run-1", "run-2"):
        a_telling_run(world.store, name, "run.succeeded")
    world.answers = lambda sent: BAD if (sent.data["run_id"], "end-1" in sent.url) == ("run-1", True) else OK
    world.pump()
    assert world.outbox.backlog() == {"end-1": 1}
    assert len(world.sent) == 4


def test_it_is_tried_ten_times_by_the_standards_table_and_then_given_up(world: World) -> None:
    world.add()
    run = a_telling_run(world.store, "run-1", "run.running")
    world.answers = lambda sent: BAD if sent.data["seq"] == 1 else OK
    world.takes = 0.0
    world.run_for(100 * HOUR, every=30.0)
    assert len(world.sent) == 10
    gaps = [after.at - before.at for before, after in zip(world.sent, world.sent[1:], strict=False)]
    assert all(0.8 * usual <= gap <= 1.2 * usual + 30 for gap, usual in zip(gaps, DELAYS, strict=True))
    assert world.outcomes == ["failed"] * 9 + ["given_up"]
    assert [each.attempt for each in world.log] == list(range(1, 11))
    assert world.log[-1].next_at is None
    assert world.log[0].next_at == pytest.approx(world.sent[1].at, abs=31)
    told(world.store, run, "run.succeeded")
    world.pump()
    assert world.sent[-1].data["seq"] == 2
    assert world.outbox.endpoint("end-1").give_ups == 0


def test_three_events_given_up_in_a_row_disable_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add()
    for number in range(4):
        a_telling_run(world.store, f"run-{number}", "run.failed")
    world.answers = lambda sent: BAD
    with caplog.at_level(logging.WARNING, "provisioning_core.webhooks"):
        world.run_for(110 * HOUR, every=600.0)
    endpoint = world.outbox.endpoint("end-1")
    assert not endpoint.enabled
    assert endpoint.give_ups >= 3
    assert "events in a row were given up" in endpoint.disabled_why
    assert any("webhook end-1 is disabled" in record.getMessage() for record in caplog.records)
    count = len(world.sent)
    told(world.store, a_telling_run(world.store, "run-9", "run.running"), "run.succeeded")
    world.run_for(HOUR)
    assert len(world.sent) == count


def test_a_success_in_between_starts_the_count_anew(world: World) -> None:
    world.add()
    run = a_telling_run(world.store, "run-0", "run.running")
    for number in range(1, 3):
        a_telling_run(world.store, f"run-{number}", "run.failed")
    world.answers = lambda sent: OK if sent.data["run_id"] == "run-0" else BAD
    world.run_for(110 * HOUR, every=600.0)
    assert world.outbox.endpoint("end-1").give_ups == 2
    told(world.store, run, "run.succeeded")
    world.pump()
    assert world.outbox.endpoint("end-1").give_ups == 0
    a_telling_run(world.store, "run-7", "run.failed")
    world.run_for(110 * HOUR, every=600.0)
    assert world.outbox.endpoint("end-1").enabled


def test_what_is_taken_right_after_a_give_up_starts_the_count_anew(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.running", "run.succeeded")
    world.answers = lambda sent: BAD if sent.data["seq"] == 1 else OK
    world.run_for(100 * HOUR, every=600.0)
    assert world.outcomes == ["failed"] * 9 + ["given_up", "delivered"]
    assert world.outbox.endpoint("end-1").give_ups == 0


def test_gone_disables_it_at_once_and_nothing_is_lost(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.running", "run.succeeded")
    world.answers = lambda sent: Answer(status=410)
    with caplog.at_level(logging.WARNING, "provisioning_core.webhooks"):
        world.run_for(HOUR)
    assert len(world.sent) == 1
    assert world.outcomes == ["gone"]
    assert world.outbox.endpoint("end-1").disabled_why == "It answered 410 Gone."
    assert "webhook end-1 is disabled: It answered 410 Gone." in caplog.messages
    world.answers = lambda sent: OK
    world.outbox.change("end-1", {"enabled": True})
    world.pump()
    assert [sent.data["seq"] for sent in world.sent] == [1, 1, 2]


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it_for_all_its_queues(world: World, status: int) -> None:
    world.add()
    for name in ("run-1", "run-2"):
        a_telling_run(world.store, name, "run.running", "run.succeeded")
    answers = iter([Answer(status=status, retry_after="7200")])
    world.answers = lambda sent: next(answers, OK)
    world.sender._pace = replace(world.sender._pace, at_once=1)
    began = world.clock.now()
    world.run_for(3 * HOUR)
    assert len(world.sent) == 5
    assert world.sent[1].at - began >= 7200
    assert world.outbox.backlog() == {}


def test_other_statuses_delay_their_own_queue_only(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.succeeded")
    answers = iter([Answer(status=500, retry_after="7200")])
    world.answers = lambda sent: next(answers, OK)
    world.pump()
    began = world.clock.now()
    a_telling_run(world.store, "run-2", "run.succeeded")
    world.run_for(3 * HOUR)
    assert [sent.data["run_id"] for sent in world.sent] == ["run-1", "run-2", "run-1"]
    assert world.sent[1].at - began < 60
    assert world.sent[2].at - began >= 7200 - 60


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_takes_it(world: World, status: int) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.succeeded")
    world.answers = lambda sent: Answer(status=status)
    world.pump()
    assert (world.outcomes, world.log[0].error) == (["delivered"], "")


@pytest.mark.parametrize(
    ("answer", "told_error"),
    [
        (Answer(status=301), "It answered 301; redirects are not followed."),
        (Answer(status=404, body="?"), "It answered 404."),
        (Answer(status=199), "It answered 199."),
        (Answer(error="It refused the connection."), "It refused the connection."),
    ],
)
def test_anything_else_is_tried_again(world: World, answer: Answer, told_error: str) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.succeeded")
    answers = iter([answer])
    world.answers = lambda sent: next(answers, OK)
    world.run_for(60)
    assert world.outcomes == ["failed", "delivered"]
    assert (world.log[0].error, world.log[0].status, world.log[0].body) == (told_error, answer.status, answer.body)
    assert world.log[0].took == pytest.approx(0.1)


def test_a_refused_target_is_logged_as_refused_and_tried_again(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.succeeded")
    answers = iter([Answer(error="Inside.", is_refused=True)])
    world.answers = lambda sent: next(answers, OK)
    world.run_for(60)
    assert world.outcomes == ["refused", "delivered"]


# several senders


def test_a_sender_that_dies_loses_nothing_and_ids_stay(world: World) -> None:
    class DiedError(BaseException):
        pass

    def dies(sent: object) -> Answer:
        raise DiedError

    world.add()
    a_telling_run(world.store, "run-1", "run.running", "run.succeeded")
    world.answers = dies
    with pytest.raises(DiedError):
        world.sender.turn()
    world.answers = lambda sent: OK
    world.sender = world.another_sender()
    world.pump()
    assert len(world.sent) == 1, "its claim has not run out"
    world.clock.advance(61)
    world.pump()
    assert world.ids == ["msg_run-1_1", "msg_run-1_1", "msg_run-1_2"]
    assert world.outbox.backlog() == {}


def test_a_sender_does_not_work_longer_than_its_share_of_the_claim(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", *["run.running"] * 9)
    world.takes = 8.0
    world.sender.turn()
    assert len(world.sent) == 3
    world.pump()
    assert [sent.data["seq"] for sent in world.sent] == list(range(1, 10))


def test_what_became_of_many_events_is_recorded_before_more_are_sent(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", *["run.running"] * 45)
    world.sender.turn()
    assert len(world.sent) == 20
    world.pump()
    assert [sent.data["seq"] for sent in world.sent] == list(range(1, 46))


def test_what_was_sent_is_not_sent_again_when_the_store_was_away() -> None:
    world = World()
    world.add()
    a_telling_run(world.store, "run-1", "run.succeeded")
    world.sender.turn()
    settle, world.outbox.settle = world.outbox.settle, _away
    with pytest.raises(StoreUnavailable):
        world.sender.turn()
    world.outbox.settle = settle
    world.pump()
    assert len(world.sent) == 1
    assert (world.outcomes, world.outbox.backlog()) == (["delivered"], {})


def test_a_queue_that_breaks_the_sender_is_taken_up_later(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add()
    for name in ("run-1", "run-2"):
        a_telling_run(world.store, name, "run.succeeded")
    broken = iter([True])

    def breaks(sent: object) -> Answer:
        if next(broken, False):
            raise ValueError("a bug")
        return OK

    world.answers = breaks
    world.run_for(60, every=5.0)
    assert len(world.sent) == 3
    assert world.outbox.backlog() == {}
    assert "was not worked on" in caplog.text


# subscriptions that change, and sending again


def test_what_is_not_wanted_any_more_is_not_sent(world: World) -> None:
    world.add(events=("*",))
    a_telling_run(world.store, "run-1", "step.running", "run.running", "step.succeeded", "run.succeeded")
    world.outbox.change("end-1", {"events": ("run.succeeded",)})
    world.pump()
    assert [sent.data["seq"] for sent in world.sent] == [4]
    assert world.outbox.backlog() == {}


def test_events_are_sent_again_under_the_same_id(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.running", "run.waiting", "run.succeeded")
    world.pump()
    world.outbox.resend("end-1", Resend(run_id="run-1", first=2, last=2))
    world.pump()
    world.outbox.resend("end-1", Resend(since=0.0))
    world.pump()
    assert [sent.data["seq"] for sent in world.sent] == [1, 2, 3, 2, 1, 2, 3]
    assert world.sent[1].body == world.sent[3].body == world.sent[5].body
    assert world.ids[1] == world.ids[3] == world.ids[5]


def test_only_what_is_missing_is_sent_again(world: World) -> None:
    world.add()
    a_telling_run(world.store, "run-1", "run.running", "run.waiting", "run.running", "run.succeeded")
    world.answers = lambda sent: BAD if sent.data["seq"] in (1, 3) else OK
    world.run_for(200 * HOUR, every=600.0)
    assert world.outbox.backlog() == {}
    world.answers, count = lambda sent: OK, len(world.sent)
    world.outbox.change("end-1", {"enabled": True})
    world.outbox.resend("end-1", Resend(since=0.0, missing_only=True))
    world.pump()
    assert [sent.data["seq"] for sent in world.sent[count:]] == [1, 3]


def test_old_deliveries_are_forgotten() -> None:
    world = World(keep_log=HOUR)
    world.add()
    run = a_telling_run(world.store, "run-1", "run.running")
    world.pump()
    world.clock.advance(2 * HOUR)
    told(world.store, run, "run.succeeded")
    world.sender._trimmed_at = None
    world.pump()
    assert [each.seq for each in world.log] == [2]


def test_long_histories_are_read_page_by_page(world: World) -> None:
    world.add(events=("run.succeeded",))
    a_telling_run(world.store, "run-1", "run.succeeded", *["step.running"] * 350, "run.succeeded")
    world.pump()
    assert [sent.data["seq"] for sent in world.sent] == [1, 352]


def _takes(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the standard's own library signs it like this."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(headers["webhook-id"], at, body.decode()) in headers["webhook-signature"].split(" ")


def _away(_: object) -> None:
    raise StoreUnavailable
