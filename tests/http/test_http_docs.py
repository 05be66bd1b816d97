"""What docs/http.md says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from provisioning_http import Limits, _polls, _reading, _streams, _tickets, _wire
from provisioning_http._headers import SAFE
from starlette.testclient import TestClient

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def test_its_code_makes_an_app(world) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    told: dict[str, Any] = {"engine": world.engine, "authorize": lambda *_: "olaf"}
    exec(code, told)

    assert isinstance(told["app"], FastAPI)
    with TestClient(told["app"]) as client:
        assert client.get("/provisioning/plans").status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        f"{_reading.MAX_BODY // 1024} KiB",
        f"{_reading.MAX_DEPTH} levels",
        f"Limits(streams={Limits().streams})",
        f"stream_seconds={Limits().stream_seconds:g}",
        f"(`stream_seconds`: {Limits().stream_seconds / 60:g} minutes)",
        f"polls={Limits().polls}",
        f"calls_per_second={Limits().calls_per_second:g}",
        f"burst={Limits().burst}",
        f"({_polls.LONGEST:g} at the most)",
        f"{_streams.MAX_REPLAY:,} events behind",
        f"{_streams.PING_SECONDS:g} seconds of silence",
        f"for {_tickets.SECONDS:g} seconds",
        f"wait {_wire.RETRY // 1000} seconds",
        *SAFE,
    ],
)
def test_its_figures_are_those_of_the_code(said: str) -> None:
    assert said in PAGE


def test_its_table_of_actions_is_the_codes() -> None:
    from typing import get_args

    from provisioning_http import Action

    assert tuple(re.findall(r"^\| `(\w+)` \| (?:see|start|all|what)", PAGE, re.MULTILINE)) == get_args(Action)
