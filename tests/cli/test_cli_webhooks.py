"""Webhooks from the command line."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group

from provisioning_core import Engine
from provisioning_core.observers.webhooks import Webhooks
from tests.cli.product import Product

Cli = Callable[..., Result]
URL = "https://hooks.example.com/in"
ANSWERS = {"good": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks", "bad": b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"}


class Receiver:
    """Gives the same answer to all."""

    def __init__(self) -> None:
        self.answer = "good"
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/in"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"}" not in data.partition(b"\r\n\r\n")[2][-3:]:
                    data += connection.recv(65536)
                connection.sendall(ANSWERS[self.answer])

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def engine(product: Product) -> Callable[..., Engine]:
    def make(*, work: bool = True) -> Engine:
        made = product.engine(work=work)
        hooks = Webhooks(allow_private_targets=True, poll=0.02)
        plans = list(made.plans.values())
        return Engine(store=made.store, plans=plans, work=work, poll=0.02, secrets_key=b"k" * 32, webhooks=hooks)

    return make


@pytest.fixture
def cli(engine: Callable[..., Engine]) -> Cli:
    def run(*words: str) -> Result:
        return CliRunner().invoke(create_group(engine), list(words))

    return run


def add(cli: Cli, *words: str) -> dict[str, object]:
    result = cli("webhooks", "add", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_one_is_added_and_its_secret_is_shown_once(cli: Cli) -> None:
    result = cli("webhooks", "add", URL, "--event", "run.succeeded", "--plan", "tenant", "--description", "Billing")
    lines = result.stdout.splitlines()
    webhook = lines[0].split()[1]
    secret = lines[-2].split()[1]
    assert (result.exit_code, result.stderr) == (0, "")
    assert secret.startswith("whsec_")
    assert lines[-1] == "Give the secret to the receiver now: it is not shown again."
    shown = cli("webhooks", "show", webhook).stdout
    assert shown.splitlines()[:5] == [
        f"Webhook {webhook} (✓ on)",
        "  Billing",
        f"  url      {URL}",
        "  events   run.succeeded",
        "  plans    tenant",
    ]
    assert "whsec_" not in shown + cli("webhooks", "list").stdout + cli("webhooks", "show", webhook, "--json").stdout


def test_they_are_listed(cli: Cli) -> None:
    assert cli("webhooks", "list").stderr == "There are no webhooks. `webhooks add URL` makes one.\n"
    made = add(cli, URL)
    lines = cli("webhooks", "list").stdout.splitlines()
    assert lines[0].split() == ["STATE", "WEBHOOK", "URL", "EVENTS", "PLANS", "WAITING"]
    assert lines[1].split() == ["✓", "on", made["id"], URL, "run.*", "all", "0"]
    assert json.loads(cli("webhooks", "list", "--json").stdout)["items"][0]["id"] == made["id"]


def test_what_is_given_is_changed(cli: Cli) -> None:
    made = add(cli, URL, "--plan", "tenant")
    changed = json.loads(cli("webhooks", "update", str(made["id"]), "--event", "*", "--disable", "--json").stdout)
    assert (changed["events"], changed["enabled"], changed["plans"]) == (["*"], False, ["tenant"])
    assert "disabled: Disabled by an operator." in cli("webhooks", "show", str(made["id"])).stdout
    changed = json.loads(cli("webhooks", "update", str(made["id"]), "--all-plans", "--enable", "--description", "", "--json").stdout)
    assert (changed["enabled"], changed["plans"], changed["description"]) == (True, [], "")
    assert cli("webhooks", "update", str(made["id"])).exit_code == 2
    assert cli("webhooks", "update", str(made["id"]), "--plan", "a", "--all-plans").exit_code == 2


def test_one_is_removed(cli: Cli) -> None:
    made = add(cli, URL)
    result = cli("webhooks", "remove", str(made["id"]))
    assert (result.exit_code, result.stdout) == (0, f"Removed {made['id']}.\n")
    again = cli("webhooks", "remove", str(made["id"]), "--json")
    assert again.exit_code == 8
    assert json.loads(again.stderr)["error"]["code"] == "webhook_not_found"


def test_a_secret_is_replaced(cli: Cli) -> None:
    made = add(cli, URL)
    result = cli("webhooks", "rotate", str(made["id"]), "--overlap", "1")
    assert result.exit_code == 0
    assert "whsec_" in result.stdout
    assert str(made["secret"]) not in result.stdout
    assert "the secret before signs along until" in result.stdout
    assert 'old_secret_until": null' in cli("webhooks", "rotate", str(made["id"]), "--overlap", "0", "--json").stdout


def test_a_test_says_what_came_of_it(cli: Cli, receiver: Receiver) -> None:
    made, other = add(cli, receiver.url), add(cli, receiver.url)
    good = cli("webhooks", "test", str(made["id"]))
    assert good.exit_code == 0
    assert good.stdout.startswith("✓ delivered after 0.")
    assert good.stdout.splitlines()[1] == "  it said: thanks"
    receiver.answer = "bad"
    bad = cli("webhooks", "test", str(other["id"]))
    assert bad.exit_code == 1
    assert "It answered 500." in bad.stdout
    too_soon = cli("webhooks", "test", str(made["id"]))
    assert too_soon.exit_code == 9


def test_deliveries_are_listed_and_sent_again(cli: Cli, receiver: Receiver, engine: Callable[..., Engine]) -> None:
    made = str(add(cli, receiver.url, "--event", "run.succeeded")["id"])
    assert cli("webhooks", "deliveries", made).stderr == "There are no such deliveries.\n"
    assert cli("start", "acme", "tenant", "--input", "slug=acme").exit_code == 0
    _work(engine, 1)
    items = _items(cli, made)
    assert [(item["type"], item["outcome"], item["attempt"]) for item in items] == [("run.succeeded", "delivered", 1)]
    lines = cli("webhooks", "deliveries", made, "--outcome", "delivered", "--run-id", items[0]["run_id"]).stdout.splitlines()
    assert lines[0].split() == ["OUTCOME", "NUMBER", "AT", "EVENT", "RUN", "TRY", "TOOK", "ANSWER"]
    assert lines[1].split()[:3] == ["✓", "delivered", str(items[0]["number"])]
    result = cli("webhooks", "redeliver", made, str(items[0]["number"]))
    assert (result.exit_code, result.stdout) == (0, "Events of 1 run are sent again.\n")
    _work(engine, 2)
    assert {item["message_id"] for item in _items(cli, made)} == {items[0]["message_id"]}
    assert cli("webhooks", "redeliver", made, "--since", "1d").stdout == "There is nothing to send again.\n"
    again = cli("webhooks", "redeliver", made, "--since", "1d", "--until", "2100-01-01", "--all", "--json")
    assert json.loads(again.stdout) == {"runs": 1}
    _work(engine, 3)
    assert len(_items(cli, made)) == 3
    page = json.loads(cli("webhooks", "deliveries", made, "--limit", "2", "--json").stdout)
    assert len(page["items"]) == 2
    assert page["next_cursor"]
    assert "add --cursor" in cli("webhooks", "deliveries", made, "--limit", "2").stderr


def _work(engine: Callable[..., Engine], count: int) -> None:
    """A worker works until so many deliveries are listed."""
    pause = threading.Event()
    with engine() as worker:
        for _ in range(1000):
            if len(worker.webhooks.deliveries().items) >= count:
                return
            pause.wait(0.01)
    raise AssertionError("nothing was delivered")


def _items(cli: Cli, webhook: str) -> list[dict[str, object]]:
    return json.loads(cli("webhooks", "deliveries", webhook, "--json").stdout)["items"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("add", "ftp://hooks.example.com"), 2),
        (("add", URL, "--event", "run.suceeded"), 2),
        (("show", "wh_0"), 8),
        (("test", "wh_0"), 8),
        (("deliveries", "wh_0"), 8),
        (("redeliver", "wh_0"), 2),
        (("redeliver", "wh_0", "--since", "soon"), 2),
        (("redeliver", "wh_0", "1"), 8),
    ],
)
def test_what_does_not_fit_is_refused(cli: Cli, words: tuple[str, ...], code: int) -> None:
    assert cli("webhooks", *words).exit_code == code


def test_an_app_without_webhooks_says_so(product: Product) -> None:
    result = CliRunner().invoke(create_group(product.engine), ["webhooks", "list"])
    assert result.exit_code == 2
    assert "Engine(webhooks=Webhooks())" in result.stderr


def test_they_can_be_managed_before_anything_ran(cli: Cli, product: Product, tmp_path: Path) -> None:
    assert not (tmp_path / "runs.db").exists()
    assert cli("webhooks", "list").exit_code == 0
    assert (tmp_path / "runs.db").exists()
