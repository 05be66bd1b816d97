"""``demo --web`` serves the status page on this machine until Ctrl-C."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from provisioning_cli.commands import _demo_page

from tests.cli.processes import in_a_pipe


def get(address: str, host: str | None = None) -> tuple[int, str]:
    """The status and the page; ``host``: what the browser thinks the server's name is."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request("GET", parts.path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_the_page_shows_runs_in_progress_until_ctrl_c(tmp_path: Path) -> None:
    with in_a_pipe(tmp_path, "demo", "--web", "--port", "0", "--no-browser") as demo:
        found = re.search(r"http://127\.0\.0\.1:\d+/provisioning/ui", demo.read_until("Ctrl-C ends it."))
        assert found
        status, page = get(found.group())
        tenants = re.findall(r'<th scope="row"><a href="[^"]+"><bdi>(\w+)', page)
        foreign, _ = get(found.group(), host="evil.example")
        demo.signal(signal.SIGINT)
        code = demo.end()

    assert (status, tenants) == (200, ["acme", "globex", "initech", "hooli"])
    assert "running" in page
    assert foreign == 403
    assert code == 0, demo.text


def test_a_port_that_is_taken_gives_way_to_a_free_one_unless_it_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(click.UsageError, match="in use"):
            _demo_page._listener(port)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_demo_page, "_PORT", port)
            free = _demo_page._listener(None)
    with free:
        assert free.getsockname()[0] == "127.0.0.1"
        assert free.getsockname()[1] != port


@pytest.mark.parametrize(("display", "opened"), [("", []), (":0", ["http://127.0.0.1:1/provisioning/ui"])])
def test_a_browser_is_opened_only_where_there_are_windows(monkeypatch: pytest.MonkeyPatch, display: str, opened: list[str]) -> None:
    seen: list[str] = []
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(webbrowser, "open", seen.append)
    monkeypatch.setattr(_demo_page.threading.Thread, "start", lambda thread: thread.run())
    _demo_page._tell("http://127.0.0.1:1/provisioning/ui", opens_browser=True, as_json=True)

    assert seen == opened
