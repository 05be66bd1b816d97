"""The demo needs no app, no database and no time."""

from __future__ import annotations

import json

from click.testing import CliRunner
from provisioning_cli import main


def test_the_demo_tells_two_stories_and_ends_with_0() -> None:
    result = CliRunner().invoke(main, ["demo", "--fast"])

    assert result.exit_code == 0, result.output
    assert [line for line in result.stdout.splitlines() if line.startswith(("acme", "globex"))] == [
        "acme is provisioned (SUCCEEDED): 8 of 8 steps done (plan tenant, version 1).",
        "globex was rolled back and nothing is left of it (ROLLED_BACK): 7 steps undone (plan tenant, version 1).",
    ]
    assert "certificate  ↻ RETRYING" in result.stderr
    assert "certificate  ✓ SUCCEEDED, attempt 2" in result.stderr
    assert "billing  ✗ FAILED: The card was declined. (card_declined)" in result.stderr


def test_the_demo_as_json_is_one_document() -> None:
    result = CliRunner().invoke(main, ["demo", "--fast", "--json"])

    runs = json.loads(result.stdout)["runs"]
    assert result.stderr == ""
    assert [(run["subject"], run["status"], len(run["steps"])) for run in runs] == [
        ("acme", "SUCCEEDED", 8),
        ("globex", "ROLLED_BACK", 8),
    ]
    assert {step["status"] for step in runs[1]["steps"].values()} == {"COMPENSATED", "BLOCKED"}
