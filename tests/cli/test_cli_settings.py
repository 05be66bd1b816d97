"""Settings of the commands that stay come from the environment; what does not fit is told by its variable, never by its value."""

from __future__ import annotations

import http.client
import json
import logging
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from provisioning_cli import create_group
from provisioning_cli._settings import ServeSettings, WorkerSettings, likely_typos, read, table
from provisioning_cli._telling import configure_logging, metrics_if_any, metrics_of, tell_as_set

from provisioning_core import Engine, MissingExtra, ProvisioningError
from provisioning_core.observers import JsonFormatter, LogObserver
from provisioning_core.observers.metrics import Metrics
from provisioning_core.observers.tracing import Tracing
from provisioning_core.observers.webhooks import Webhooks
from provisioning_core.stores import MemoryStore, SqlStore
from tests.cli.processes import in_a_pipe
from tests.cli.product import Product

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
TOKEN = "a-long-random-text-for-the-test"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, _, _ in table(ServeSettings):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_is_read_and_the_command_line_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_PORT", "9000")
    monkeypatch.setenv("PROVISIONING_HOST", "0.0.0.0")
    monkeypatch.setenv("PROVISIONING_WORK", "false")
    monkeypatch.setenv("PROVISIONING_GRACE", "")
    settings = read(ServeSettings, {"port": 9001, "host": None})
    assert (settings.port, settings.host, settings.work, settings.grace) == (9001, "0.0.0.0", False, 10.0)


def test_all_settings_that_do_not_fit_are_told_at_once_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_PORT", "eighty-secret")
    monkeypatch.setenv("PROVISIONING_LOG_LEVEL", "loud-secret")
    monkeypatch.setenv("PROVISIONING_GRACE", "-1")
    with pytest.raises(ProvisioningError) as caught:
        read(ServeSettings, {})
    told = str(caught.value)
    assert caught.value.code == "not_configured"
    for name in ("PROVISIONING_PORT: input should be a valid integer", "PROVISIONING_LOG_LEVEL: input", "PROVISIONING_GRACE: input"):
        assert name in told
    assert "PROVISIONING_LOG_LEVEL is: What is logged: debug, info, warning or error." in told
    assert "secret" not in told


def test_a_command_ends_with_usage_when_its_settings_do_not_fit(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISIONING_LOG_FORMAT", "xml")
    for command in ("serve", "worker"):
        result = CliRunner().invoke(create_group(product.engine), [command, "--json"])
        assert (result.exit_code, result.stdout) == (2, "")
        assert "PROVISIONING_LOG_FORMAT: input should be 'text' or 'json'" in json.loads(result.stderr)["error"]["message"]
    assert product.worked == []


@pytest.mark.parametrize(("command", "kind"), [("serve", ServeSettings), ("worker", WorkerSettings)])
def test_help_names_every_setting(product: Product, command: str, kind: type[WorkerSettings]) -> None:
    text = CliRunner().invoke(create_group(product.engine), [command, "--help"]).stdout
    assert [name for name, _, told in table(kind) if name not in text or told not in text] == []
    assert "PROVISIONING_GRACE [10.0]" in text


def test_the_page_names_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(PROVISIONING_\w+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", PAGE.read_text("utf-8"), re.M)
    workers = {name for name, _, _ in table(WorkerSettings)}
    expected = [
        (name, f"`{default}`" if default else "", "both" if name in workers else "serve", told)
        for name, default, told in table(ServeSettings)
    ]
    assert [tuple(cell.strip() for cell in row) for row in rows] == expected


def test_a_name_that_is_nearly_a_setting_is_told() -> None:
    environment = {"PROVISIONING_PROT": "1", "PROVISIONING_SECRETS_KEY": "x", "PROVISIONING_APP": "a:b", "PORT": "1"}
    assert list(likely_typos(ServeSettings, environment)) == [("PROVISIONING_PROT", "PROVISIONING_PORT")]


def test_logging_that_the_app_has_set_up_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    level, own = root.level, logging.NullHandler()
    monkeypatch.setattr(root, "handlers", [own])
    configure_logging(WorkerSettings(log_format="json", log_level="debug"))
    assert (root.handlers, root.level) == ([own], level)


def test_logging_is_set_up_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", logging.WARNING)
    configure_logging(WorkerSettings(log_format="json", log_level="error"))
    (handler,) = root.handlers
    assert (type(handler.formatter), root.level) == (JsonFormatter, logging.ERROR)


def test_events_and_traces_are_told_when_asked_for_and_once() -> None:
    engine = Engine(store=MemoryStore(), plans=[], work=False)
    settings = WorkerSettings(log_events=True, tracing=True)
    tell_as_set(engine, settings)
    tell_as_set(engine, settings)
    assert [type(each) for each in engine.observers] == [LogObserver, Tracing]
    quiet = Engine(store=MemoryStore(), plans=[], work=False)
    tell_as_set(quiet, WorkerSettings())
    assert quiet.observers == ()


def test_the_apps_own_metrics_are_served() -> None:
    own = Metrics()
    engine = Engine(store=MemoryStore(), plans=[], work=False, observers=[own])
    assert metrics_of(engine) is own
    assert metrics_if_any(engine, wanted=None) is own
    assert metrics_if_any(engine, wanted=False) is None


def test_the_webhooks_backlog_is_served() -> None:
    for webhooks, told in ((Webhooks(send=False), True), (None, False)):
        engine = Engine(store=MemoryStore(), plans=[], work=False, secrets_key=b"k" * 32, webhooks=webhooks)
        assert (b"provisioning_webhook_backlog 0.0" in metrics_of(engine).render()[0]) is told


def test_without_the_extra_metrics_are_left_out_unless_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "provisioning_core.observers.metrics", raising=False)
    engine = Engine(store=MemoryStore(), plans=[], work=False)
    assert metrics_if_any(engine, wanted=None) is None
    with pytest.raises(MissingExtra, match="needs the extra 'metrics'"):
        metrics_if_any(engine, wanted=True)
    with pytest.raises(MissingExtra, match="needs the extra 'metrics'"):
        tell_as_set(engine, WorkerSettings(metrics_port=9))


def _get(port: int, path: str, token: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_serve_logs_json_serves_metrics_to_their_own_token_and_tells_of_typos(tmp_path: Path) -> None:
    settings = {
        "PROVISIONING_TOKEN": TOKEN,
        "PROVISIONING_METRICS_TOKEN": "the-scrapers-own-token",
        "PROVISIONING_LOG_FORMAT": "json",
        "PROVISIONING_PORT": "0",
        "PROVISIONING_WROK": "false",
    }
    with in_a_pipe(tmp_path, "serve", **settings) as serve:
        told = serve.read_until("(Press CTRL+C to quit)")
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", told)[1])
        answers = [_get(port, "/metrics"), _get(port, "/metrics", TOKEN), _get(port, "/metrics", "the-scrapers-own-token")]
        serve.signal(signal.SIGTERM)
        assert serve.end() == 0
    assert [status for status, _ in answers] == [401, 401, 200]
    assert "provisioning_engines_working 1.0" in answers[2][1]
    typo, *lines = serve.text.splitlines()
    assert typo == "PROVISIONING_WROK is no setting and is not read. Did you mean PROVISIONING_WORK?"
    assert {json.loads(line)["logger"] for line in lines} >= {"uvicorn.error", "uvicorn.access"}
    assert TOKEN not in serve.text


def test_a_step_under_way_gets_to_end_when_serve_is_stopped(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "serve", "--port", "0", PROVISIONING_TOKEN=TOKEN, PROVISIONING_GRACE="30") as serve:
        told = serve.read_until("(Press CTRL+C to quit)")
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", told)[1])
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/provisioning/tenants/acme/start", json.dumps({"plan": "slow"}), headers)
        assert connection.getresponse().status == 202
        connection.close()
        view: dict[str, Any] = {"version": 0, "current_steps": []}
        while "slow" not in view["current_steps"]:
            view = json.loads(_get(port, f"/provisioning/tenants/acme/status?wait=20&after={view['version']}", TOKEN)[1])
        serve.signal(signal.SIGTERM)
        serve.read_until("Finished server process")
        (tmp_path / "go").touch()
        assert serve.end() == 0
    store = SqlStore(f"sqlite:///{tmp_path / 'runs.db'}")
    run = store.latest("acme")
    store.close()
    assert run is not None
    assert (run.status, run.owner) == ("SUCCEEDED", None)


def test_a_worker_serves_metrics_on_a_port_of_their_own(tmp_path: Path) -> None:
    port = _free_port()
    with in_a_pipe(tmp_path, "worker", "--json", PROVISIONING_METRICS_PORT=str(port)) as worker:
        worker.read_until("}\n")
        status, text = _get(port, "/metrics")
        worker.signal(signal.SIGTERM)
        assert worker.end() == 0
    assert (status, "provisioning_engines_working 1.0" in text) == (200, True)


def _free_port() -> int:
    import socket

    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        return int(there.getsockname()[1])
