"""`worker` and `serve`."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from provisioning_cli import create_group, main

from tests.cli.processes import in_a_pipe
from tests.cli.product import Product


def test_a_worker_that_may_not_work_says_what_to_do(product: Product) -> None:
    result = CliRunner().invoke(create_group(lambda: product.engine(work=False)), ["worker"])

    assert result.exit_code == 2
    assert "The app's engine was made with work=False. Let its function take work=" in result.stderr


def test_a_worker_tells_programs_when_it_is_ready(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "worker", "--json") as worker:
        worker.read_until("}\n")
        worker.signal(signal.SIGINT)

        assert worker.end() == 0
    ready = json.loads(worker.text)
    assert (ready["ready"], ready["plans"]) == (True, ["slow"])


def test_serve_answers_and_ends_cleanly(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "serve", "--port", "0", PROVISIONING_TOKEN="a-long-random-text-for-the-test") as serve:
        told = serve.read_until("(Press CTRL+C to quit)")
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", told)[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        answer.read()
        connection.request("GET", "/provisioning/tenants/acme/status")
        without_token = connection.getresponse()
        without_token.read()
        connection.close()
        serve.signal(signal.SIGTERM)

        assert (answer.status, without_token.status) == (200, 401)
        assert serve.end() == 0


def test_serve_without_a_token_says_what_to_set(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROVISIONING_TOKEN", raising=False)

    result = CliRunner().invoke(create_group(product.engine), ["serve", "--json"])

    assert (result.exit_code, result.stdout) == (2, "")
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "not_configured"
    assert "PROVISIONING_TOKEN" in error["hint"]


def test_serve_without_its_extra_says_what_to_install(product: Product, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)

    result = CliRunner().invoke(create_group(product.engine), ["serve"])

    assert result.exit_code == 2
    assert 'Install it: pip install "provisioning-core[http]"' in result.stderr


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def test_serve_says_nothing_of_serving_where_it_can_not_listen(product: Product, taken: int) -> None:
    group, token = create_group(product.engine), {"PROVISIONING_TOKEN": "a-long-random-text-for-the-test"}

    result = CliRunner().invoke(group, ["serve", "--port", str(taken), "--json"], env=token)

    assert (result.exit_code, result.stdout) == (2, "")
    message = json.loads(result.stderr)["error"]["message"]
    assert message.startswith(f"Nothing can listen on 127.0.0.1:{taken}: Address already in use. Name another by --port")


def test_serve_tells_programs_the_port_that_it_has(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "serve", "--port", "0", "--json", PROVISIONING_TOKEN="a-long-random-text-for-the-test") as serve:
        told = serve.read_until("(Press CTRL+C to quit)")
        serve.signal(signal.SIGTERM)

        assert serve.end() == 0
    serving = json.loads(re.search(r"\{.*\}", serve.text)[0])["serving"]
    assert serving != "http://127.0.0.1:0"
    assert f"Uvicorn running on {serving} " in told


def test_a_port_for_metrics_that_is_taken_is_a_usage_error(product: Product, taken: int) -> None:
    result = CliRunner().invoke(create_group(product.engine), ["worker"], env={"PROVISIONING_METRICS_PORT": str(taken)})

    assert result.exit_code == 2
    assert (
        f"Nothing can listen on 127.0.0.1:{taken}: Address already in use. Name another by PROVISIONING_METRICS_PORT" in result.stderr
    )


def test_the_demo_page_on_a_taken_port_is_a_usage_error(taken: int) -> None:
    result = CliRunner().invoke(main, ["demo", "--web", "--no-browser", "--port", str(taken)])

    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Nothing can listen on 127.0.0.1:{taken}: Address already in use." in result.stderr
