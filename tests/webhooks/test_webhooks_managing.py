"""Endpoints are managed, tested, and sent to again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook
from webhook_receiver import Receiver, raw, says

from provisioning_core import Conflict, Engine, InvalidInput, NotFound
from provisioning_core.observers.webhooks import EndpointView, TargetRefused, Webhooks
from provisioning_core.stores import MemoryStore
from provisioning_core.testing import FakeClock
from provisioning_core.testing._store_cases.outbox_records import a_telling_run, told

START = 1_700_000_000.0
URL = "https://hooks.example.com/in"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def engine(clock: FakeClock) -> Iterator[Engine]:
    """It does not work, so nothing is sent but tests."""
    hooks = Webhooks(allow_private_targets=True)
    with Engine(store=MemoryStore(clock), plans=[], work=False, clock=clock, secrets_key=b"k" * 32, webhooks=hooks) as engine:
        yield engine


@pytest.fixture
def hooks(engine: Engine) -> Webhooks:
    assert isinstance(engine.webhooks, Webhooks)
    return engine.webhooks


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(hooks: Webhooks) -> None:
    view, secret = hooks.add(URL, events=["run.succeeded", "step.*"], plans=["tenant"], description="Die Buchhaltung")
    assert secret.startswith("whsec_")
    assert view == EndpointView(
        id=view.id,
        url=URL,
        events=("run.succeeded", "step.*"),
        plans=("tenant",),
        description="Die Buchhaltung",
        enabled=True,
        disabled_why="",
        paused_until=None,
        old_secret_until=None,
        created_at=datetime.fromtimestamp(START, UTC),
        waiting=0,
    )
    assert hooks.endpoints() == [hooks.endpoint(view.id)] == [view]
    assert view.to_dict()["created_at"] == "2023-11-14T22:13:20Z"
    assert hooks.add(URL)[0].events == ("run.*",)


@pytest.mark.parametrize(
    "given",
    [
        {"events": []},
        {"events": ["run.suceeded"]},
        {"events": ["run"]},
        {"events": ["nothing.*"]},
        {"events": ["run.s*"]},
        {"events": ["**"]},
        {"events": ["run.succeeded"] + [f"x{number}" for number in range(60)]},
        {"plans": [""]},
        {"plans": ["a\x00b"]},
        {"plans": [f"plan-{number}" for number in range(51)]},
        {"description": "x" * 501},
        {"description": "a\nb"},
    ],
)
def test_what_does_not_fit_is_refused(hooks: Webhooks, given: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        hooks.add(URL, **given)  # type: ignore[arg-type]
    assert caught.value.code == "invalid_webhook"
    assert hooks.endpoints() == []


def test_an_address_that_leads_inside_is_refused_when_it_is_given() -> None:
    strict = Webhooks(resolve=lambda host, port: ["10.0.0.1"] if "inside" in host else ["8.8.8.8"])
    Engine(store=MemoryStore(), plans=[], work=False, webhooks=strict)
    view, _ = strict.add(URL)
    with pytest.raises(TargetRefused):
        strict.add("https://inside.example.com/")
    with pytest.raises(TargetRefused):
        strict.update(view.id, url="http://hooks.example.com/")
    assert strict.endpoints() == [view]


def test_a_name_that_does_not_resolve_yet_is_taken() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    later = Webhooks(resolve=resolve)
    Engine(store=MemoryStore(), plans=[], work=False, webhooks=later)
    assert later.add(URL)[0].url == URL


def test_there_are_not_endlessly_many(hooks: Webhooks) -> None:
    for _ in range(100):
        hooks.add(URL)
    with pytest.raises(Conflict) as caught:
        hooks.add(URL)
    assert caught.value.code == "too_many_webhooks"


def test_only_what_is_given_is_changed(hooks: Webhooks) -> None:
    view, _ = hooks.add(URL, plans=["tenant"], description="a")
    changed = hooks.update(view.id, events=["*"], description="")
    assert (changed.url, changed.events, changed.plans, changed.description) == (URL, ("*",), ("tenant",), "")
    off = hooks.update(view.id, enabled=False)
    assert (off.enabled, off.disabled_why) == (False, "Disabled by an operator.")
    on = hooks.update(view.id, enabled=True, plans=[])
    assert (on.enabled, on.disabled_why, on.plans) == (True, "", ())


def test_what_is_not_there_is_not_found(hooks: Webhooks) -> None:
    for call in (
        lambda: hooks.endpoint("wh_0"),
        lambda: hooks.update("wh_0", enabled=False),
        lambda: hooks.remove("wh_0"),
        lambda: hooks.rotate_secret("wh_0"),
        lambda: hooks.test("wh_0"),
        lambda: hooks.deliveries("wh_0"),
        lambda: hooks.redeliver("wh_0", 1),
        lambda: hooks.redeliver_range("wh_0", since=0.0),
    ):
        with pytest.raises(NotFound):
            call()


def test_an_endpoint_is_removed(hooks: Webhooks) -> None:
    view, _ = hooks.add(URL)
    hooks.remove(view.id)
    assert hooks.endpoints() == []


def test_a_secret_is_replaced_with_a_days_overlap(hooks: Webhooks, clock: FakeClock) -> None:
    view, first = hooks.add(URL)
    rotated, second = hooks.rotate_secret(view.id)
    assert first != second
    assert rotated.old_secret_until == datetime.fromtimestamp(START + 86_400, UTC)
    clock.advance(86_400)
    assert hooks.endpoint(view.id).old_secret_until is None
    at_once, _ = hooks.rotate_secret(view.id, overlap=0.0)
    assert at_once.old_secret_until is None
    for overlap in (-1.0, 1e9, float("nan")):
        with pytest.raises(InvalidInput):
            hooks.rotate_secret(view.id, overlap=overlap)


# tests


def test_a_test_message_is_sent_at_once_and_logged(hooks: Webhooks, receiver: Receiver) -> None:
    view, secret = hooks.add(receiver.url())
    receiver.replies["/in"] = [says("200 OK", body=b"thanks")]
    clockless = time.time()
    delivery = hooks.test(view.id)
    assert (delivery.outcome, delivery.status, delivery.body, delivery.type) == ("delivered", 200, "thanks", "webhook.test")
    assert (delivery.run_id, delivery.seq, delivery.next_at) == (None, 0, None)
    (sent,) = receiver.received
    assert sent.told["data"] == {"endpoint_id": view.id}
    assert Webhook(secret).sign(sent.id, datetime.fromtimestamp(START, UTC), sent.body.decode()) == sent.headers["webhook-signature"]
    assert hooks.deliveries(view.id).items == (delivery,)
    assert clockless > START


def test_a_test_tells_what_is_wrong_and_is_not_tried_again(hooks: Webhooks, receiver: Receiver) -> None:
    view, _ = hooks.add(receiver.url())
    receiver.usual = says("500 Oops", body=b"secret stack")
    delivery = hooks.test(view.id)
    assert (delivery.outcome, delivery.error, delivery.next_at) == ("failed", "It answered 500.", None)
    assert hooks.backlog() == 0


def test_tests_are_not_sent_one_after_the_other(hooks: Webhooks, receiver: Receiver, clock: FakeClock) -> None:
    view, _ = hooks.add(receiver.url())
    other, _ = hooks.add(receiver.url())
    hooks.test(view.id)
    with pytest.raises(Conflict) as caught:
        hooks.test(view.id)
    assert caught.value.code == "test_too_soon"
    hooks.test(other.id)
    clock.advance(5.1)
    hooks.test(view.id)
    assert len(receiver.received) == 3


def test_a_disabled_endpoint_can_be_tested(hooks: Webhooks, receiver: Receiver) -> None:
    view, _ = hooks.add(receiver.url())
    hooks.update(view.id, enabled=False)
    receiver.usual = raw(b"HTTP/1.1 410 Gone\r\n\r\n")
    assert hooks.test(view.id).outcome == "gone"


# sending again


def test_one_delivery_is_sent_again(engine: Engine, hooks: Webhooks) -> None:
    view, _ = hooks.add(URL, events=["*"])
    a_telling_run(engine.store, "run-1", "run.running", "run.succeeded")
    _settle_all(engine)
    delivery = hooks.deliveries(view.id).items[0]
    assert hooks.redeliver(view.id, delivery.number) == 1
    (found,) = _claim(engine)
    assert (found.run_id, found.after, found.until) == (delivery.run_id, delivery.seq - 1, delivery.seq)
    other, _ = hooks.add(URL)
    with pytest.raises(NotFound):
        hooks.redeliver(other.id, delivery.number)


def test_a_test_message_is_not_sent_again(hooks: Webhooks, receiver: Receiver) -> None:
    view, _ = hooks.add(receiver.url())
    with pytest.raises(InvalidInput) as caught:
        hooks.redeliver(view.id, hooks.test(view.id).number)
    assert caught.value.code == "not_redeliverable"


def test_a_range_is_sent_again(engine: Engine, hooks: Webhooks) -> None:
    view, _ = hooks.add(URL, events=["*"])
    for name in ("run-1", "run-2", "run-3"):
        a_telling_run(engine.store, name, "run.running", "run.succeeded")
    _settle_all(engine)
    assert hooks.redeliver_range(view.id, since=0.0) == 0, "all of it was delivered"
    assert hooks.redeliver_range(view.id, since=0.0, missing_only=False) == 3
    assert hooks.redeliver_range(view.id, run_id="run-2", missing_only=False) == 1
    assert hooks.redeliver_range(view.id, since=0.0, until=1.0, missing_only=False) == 0
    with pytest.raises(InvalidInput) as caught:
        hooks.redeliver_range(view.id, until=1.0)
    assert caught.value.code == "no_range"


def test_what_waits_is_counted_for_those_that_are_enabled(engine: Engine, hooks: Webhooks) -> None:
    view, _ = hooks.add(URL)
    other, _ = hooks.add(URL)
    run = a_telling_run(engine.store, "run-1", "run.running")
    told(engine.store, run, "run.succeeded")
    assert (hooks.backlog(), hooks.endpoint(view.id).waiting) == (2, 1)
    hooks.update(other.id, enabled=False)
    assert (hooks.backlog(), hooks.endpoint(other.id).waiting) == (1, 1)


def _claim(engine: Engine):
    return engine.store.outbox.claim("word", ttl=60.0, room=99, per_endpoint=99, in_hand={})


def _settle_all(engine: Engine) -> None:
    from provisioning_core.outbox import Settled
    from provisioning_core.testing._store_cases.outbox_records import a_delivery

    done = [
        Settled(
            claimed=each,
            after=each.until,
            tries=0,
            log=tuple(
                a_delivery(endpoint_id=each.endpoint.id, run_id=each.run_id, seq=seq) for seq in range(each.after + 1, each.until + 1)
            ),
        )
        for each in _claim(engine)
    ]
    engine.store.outbox.settle(done)
