"""What docs/webhooks.md says is so."""

from __future__ import annotations

import re
from pathlib import Path

from standardwebhooks.webhooks import Webhook

from provisioning_core.model import RunStatus
from provisioning_core.observers.webhooks import EVENT_TYPES, Webhooks
from provisioning_core.observers.webhooks._schedule import DELAYS, LONGEST
from provisioning_core.observers.webhooks._sender import DISABLE_AFTER, Pace
from provisioning_core.observers.webhooks._timed import MOST_TAKEN
from provisioning_core.observers.webhooks._transport import KEPT, MOST_READ, Limits
from provisioning_core.outbox import STALE_AFTER

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_its_programs_run(tmp_path: Path) -> None:
    first, *others = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(first.replace("sqlite:///", f"sqlite:///{tmp_path}/"), names)
    engine = names["engine"]
    engine.webhooks._registry._transport._resolve = lambda host, port: ["8.8.8.8"]
    with engine:
        for program in others:
            exec(program, names)
        assert engine.webhooks.endpoints()[0].events == ("run.succeeded", "run.failed")


def test_its_table_of_tries_is_the_senders() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert [(int(number), float(seconds)) for number, seconds in rows] == [
        (1, 0.0),
        *enumerate(DELAYS, 2),
    ]


def test_its_events_can_be_subscribed_to() -> None:
    table = PAGE[PAGE.index("| events | when |") : PAGE.index("## What comes")]
    named = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", table))
    assert named <= EVENT_TYPES
    assert {f"run.{status.lower()}" for status in RunStatus} - {"run.pending"} <= named


def test_its_figures_are_the_usual_ones() -> None:
    pace, limits = Pace(), Limits()
    assert (STALE_AFTER, LONGEST, DISABLE_AFTER, KEPT, MOST_READ) == (2.0, 24 * 3600, 3, 1024, 16 * 1024)
    assert (pace.per_endpoint, pace.at_once, pace.lease, pace.keep_log) == (4, 16, 60.0, 30 * 86_400)
    assert (limits.total, limits.connect, MOST_TAKEN) == (15.0, 5.0, 128 * 1024)
    assert not Webhooks().allows_private_targets


def test_its_message_has_the_shape_of_ours() -> None:
    body = re.search(r"^(\{\"type\".*?\}\})$", PAGE, re.DOTALL | re.MULTILINE)
    assert body is not None
    text = body[1].replace("\n ", "").encode()
    secret = "whsec_" + "QUFB" * 8
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(now.timestamp()))}
    headers["webhook-signature"] = Webhook(secret).sign("m", now, text.decode())
    assert set(Webhook(secret).verify(text, headers)["data"]) == {
        "run_id",
        "tenant_id",
        "plan",
        "plan_version",
        "seq",
        "status",
        "step",
        "attempt",
        "link",
    }
