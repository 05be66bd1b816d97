"""An engine with webhooks: what happens to its runs is told, what is secret is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr
from standardwebhooks.webhooks import Webhook
from webhook_receiver import Receiver, drips, says

from provisioning_core import Engine, From, Plan, ProvisioningError, Retry, StepContext, StepError, step
from provisioning_core.observers.webhooks import EVENT_TYPES, Webhooks
from provisioning_core.stores import MemoryStore, SqlStore

CANARY = "canary-{}-7f3a9c"
KEY = b"k" * 32


class Tenant(BaseModel):
    slug: str
    password: SecretStr = SecretStr(CANARY.format("input"))
    note: str = CANARY.format("plain")


class Made(BaseModel):
    url: str
    token: SecretStr


@step(user_message=CANARY.format("sentence"))
def database(tenant: Tenant, ctx: StepContext) -> Made:
    ctx.record("database", CANARY.format("resource"), detail=CANARY.format("detail"))
    ctx.progress(0.5, CANARY.format("progress"))
    return Made(url=CANARY.format("output"), token=SecretStr(CANARY.format("token")))


@step(retry=Retry(attempts=2, initial=0.01))
def bucket(tenant: Tenant, made: Made = From(database)) -> int:
    if tenant.slug == "bad":
        raise StepError(CANARY.format("error"), user_message=CANARY.format("user"), code="boom")
    return 1


plan = Plan("tenant", version="1", input=Tenant, steps=[database, bucket])


def webhooks(**settings: object) -> Webhooks:
    return Webhooks(allow_private_targets=True, **{"poll": 0.2, **settings})  # type: ignore[arg-type]


def told(receiver: Receiver, last: str) -> list[str]:
    """Types of what came, once this one has come."""
    assert receiver.wait_until(lambda: any(each.told["type"] == last for each in receiver.received), 10.0)
    return [each.told["type"] for each in receiver.received]


def settled(engine: Engine) -> None:
    """Wait until what was sent is recorded."""
    deadline, pause = time.monotonic() + 10, threading.Event()
    while engine.webhooks.backlog() and time.monotonic() < deadline:
        pause.wait(0.01)
    assert engine.webhooks.backlog() == 0


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    return MemoryStore() if request.param == "memory" else SqlStore(f"sqlite:///{tmp_path / 'store.db'}")


def test_what_happens_to_a_run_is_told_in_order(store: object, receiver: Receiver) -> None:
    with Engine(store=store, plans=[plan], secrets_key=KEY, webhooks=webhooks()) as engine:
        view, secret = engine.webhooks.add(receiver.url())
        run = engine.start("tenant", subject="acme", input=Tenant(slug="a"), actor="ana", reason="because")
        run.wait(10)
        assert told(receiver, "run.succeeded") == ["run.created", "run.running", "run.succeeded"]
        for each in receiver.received:
            assert Webhook(secret).verify(each.body, each.headers)["data"]["run_id"] == run.id
        settled(engine)
        listed = engine.webhooks.deliveries(view.id, run_id=run.id).items
        assert [(each.type, each.outcome) for each in listed] == [
            ("run.succeeded", "delivered"),
            ("run.running", "delivered"),
            ("run.created", "delivered"),
        ]


def test_it_is_told_soon_after_the_commit(store: object, receiver: Receiver) -> None:
    with Engine(store=store, plans=[plan], secrets_key=KEY, webhooks=webhooks(poll=30.0)) as engine:
        engine.webhooks.add(receiver.url(), events=["run.succeeded"])
        engine.start("tenant", subject="first", input=Tenant(slug="a"))
        told(receiver, "run.succeeded")
        began = time.monotonic()
        engine.start("tenant", subject="second", input=Tenant(slug="a"))
        assert receiver.wait_until(lambda: len(receiver.received) == 2, 10.0)
        assert time.monotonic() - began < 5.0, "not at the next poll"


def test_an_engine_that_does_not_work_leaves_it_to_those_that_do(tmp_path: Path, receiver: Receiver) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with Engine(store=SqlStore(url), plans=[plan], secrets_key=KEY, work=False, webhooks=webhooks()) as front:
        front.webhooks.add(receiver.url(), events=["run.created"])
        front.start("tenant", subject="acme", input=Tenant(slug="a"))
        assert receiver.received == []
        with Engine(store=SqlStore(url), plans=[plan], secrets_key=KEY, webhooks=webhooks()):
            assert told(receiver, "run.created") == ["run.created"]


def test_nothing_secret_gets_out_or_is_kept_in_plain(tmp_path: Path, receiver: Receiver) -> None:
    path = tmp_path / "store.db"
    receiver.usual = says("500 Oops", body=b"no")
    with Engine(store=SqlStore(f"sqlite:///{path}"), plans=[plan], secrets_key=KEY, webhooks=webhooks()) as engine:
        view, secret = engine.webhooks.add(receiver.url(), events=["*"])
        receiver.usual = says("200 OK")
        for slug in ("good", "bad"):
            engine.start("tenant", subject=slug, input=Tenant(slug=slug), actor="ana@example.com", reason="secret reason").wait(10)
        told(receiver, "run.failed")
        settled(engine)
        _, newer = engine.webhooks.rotate_secret(view.id)
        engine.webhooks.test(view.id)
        log = repr(engine.webhooks.deliveries().items)
        shown = repr(engine.webhooks.endpoints()) + json.dumps([each.to_dict() for each in engine.webhooks.endpoints()])
    sent = "".join(each.body.decode() + repr(each.headers) for each in receiver.received)
    assert "run.failed" in sent
    assert "resource.recorded" in sent
    for word in ("7f3a9c", "ana@example.com", "reason", "boom"):
        assert word not in sent + log + shown
    database_bytes = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    for key in (secret, newer):
        plain = key.removeprefix("whsec_")
        assert plain not in sent + log + shown
        assert plain.encode() not in database_bytes
        assert "whsec_" not in shown
    for secret_value in ("token", "input"):
        assert CANARY.format(secret_value).encode() not in database_bytes


def test_it_closes_soon_whatever_is_under_way(store: object, receiver: Receiver) -> None:
    receiver.usual = drips(b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n")
    engine = Engine(store=store, plans=[plan], secrets_key=KEY, webhooks=webhooks(timeout=15.0))
    engine.open()
    engine.webhooks.add(receiver.url(), events=["run.succeeded"])
    engine.start("tenant", subject="acme", input=Tenant(slug="a")).wait(10)
    receiver.wait_for(1)
    began = time.monotonic()
    engine.close(timeout=0.3)
    assert time.monotonic() - began < 5.0
    assert [each.name for each in threading.enumerate() if each.name == "provisioning-webhooks"] == []


def test_an_engine_that_is_opened_again_sends_again(store: object, receiver: Receiver) -> None:
    if isinstance(store, SqlStore):
        store.prepare()
    engine = Engine(store=store, plans=[plan], secrets_key=KEY, webhooks=webhooks())
    for subject in ("first", "second"):
        with engine:
            if subject == "first":
                engine.webhooks.add(receiver.url(), events=["run.succeeded"])
            engine.start("tenant", subject=subject, input=Tenant(slug="a")).wait(10)
            told(receiver, "run.succeeded")
            settled(engine)
    assert [each.told["data"]["tenant_id"] for each in receiver.received] == ["first", "second"]


def test_every_event_can_be_subscribed_to_by_its_name(store: object) -> None:
    with Engine(store=store, plans=[plan], secrets_key=KEY) as engine:
        for slug in ("good", "bad"):
            engine.start("tenant", subject=slug, input=Tenant(slug=slug)).wait(10)
        for verb in (engine.retry, engine.rollback):
            verb("bad").wait(10)
        engine.deprovision("good").wait(10)
        seen = {event.type for slug in ("good", "bad") for event in engine.events(slug)}
    assert len(seen) > 10
    assert seen - EVENT_TYPES == set()


def test_a_store_without_an_outbox_is_refused() -> None:
    class Other:
        has_sessions = False

    with pytest.raises(ProvisioningError) as caught:
        Engine(store=Other(), plans=[], webhooks=webhooks())  # type: ignore[arg-type]
    assert caught.value.code == "bad_engine"


def test_one_object_serves_one_engine() -> None:
    shared = webhooks()
    Engine(store=MemoryStore(), plans=[], webhooks=shared)
    with pytest.raises(ProvisioningError, match="serve another engine"):
        Engine(store=MemoryStore(), plans=[], webhooks=shared)
    with pytest.raises(ProvisioningError, match="serve no engine"):
        webhooks().endpoints()


@pytest.mark.parametrize("settings", [{"lease": 10.0, "timeout": 5.0}, {"poll": 0.0}, {"per_endpoint": 0}, {"timeout": -1.0}])
def test_settings_that_cannot_work_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ProvisioningError) as caught:
        Webhooks(**settings)  # type: ignore[arg-type]
    assert caught.value.code == "bad_webhooks"


def test_without_urllib3_it_says_which_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'urllib3' else real(name, *more)\n"
        "from provisioning_core import MissingExtra\n"
        "try:\n    import provisioning_core.observers.webhooks\n"
        "except MissingExtra as error:\n    print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.stdout, done.stderr) == ('Install it: pip install "provisioning-core[webhooks]"\n', "")


def test_it_is_loaded_only_when_asked_for() -> None:
    program = "import sys, provisioning_core, provisioning_core.stores, provisioning_core.observers\nprint('urllib3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")
