"""Commands that only read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from provisioning_cli import create_group
from provisioning_cli._marks import fitting

from provisioning_core import Engine
from provisioning_core.stores import MemoryStore
from tests.cli.product import Product

Cli = Callable[..., Result]


@pytest.fixture
def failed(cli: Cli, product: Product) -> None:
    product.failing = {"bucket"}
    cli("start", "acme", "tenant", "--input", "slug=acme", "--actor", "ana")
    product.worked.clear()


@pytest.mark.usefixtures("failed")
def test_status_shows_steps_errors_and_what_is_allowed(cli: Cli, product: Product) -> None:
    result = cli("status", "acme")

    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr, product.worked) == (0, "", [False])
    assert lines[0] == "acme could not be provisioned (FAILED): 1 of 2 steps done (plan tenant, version 1)."
    assert lines[3].split() == ["STATUS", "STEP", "TRY", "TIME", "MESSAGE"]
    assert [line.split()[:3] for line in lines[4:6]] == [["✓", "SUCCEEDED", "database"], ["✗", "FAILED", "bucket"]]
    assert "    bucket was told to fail" in lines
    assert [line.split("  ")[1] for line in lines[lines.index("Allowed now:") + 1 :]] == [
        "provision retry acme",
        "provision continue acme",
        "provision skip acme bucket",
        "provision rollback acme",
    ]


@pytest.mark.usefixtures("failed")
def test_status_as_json_is_the_view(cli: Cli) -> None:
    view = json.loads(cli("status", "acme", "--json").stdout)

    assert (view["status"], list(view["steps"])) == ("FAILED", ["database", "bucket"])
    assert "retry" in view["allowed_actions"]


@pytest.mark.usefixtures("failed")
def test_status_exits_as_the_run_stands_when_asked(cli: Cli) -> None:
    assert cli("status", "acme").exit_code == 0
    assert cli("status", "acme", "--exit-status").exit_code == 3
    cli("rollback", "acme")
    assert cli("status", "acme", "--exit-status").exit_code == 0


@pytest.mark.usefixtures("failed")
def test_json_can_be_asked_for_before_the_command(cli: Cli) -> None:
    before, after = cli("--json", "status", "acme"), cli("status", "acme", "--json")
    errors = [json.loads(cli("--json", *words).stderr)["error"]["code"] for words in (["status", "no"], ["status"], ["unheard"])]

    assert (before.exit_code, before.stdout) == (0, after.stdout)
    assert errors == ["run_not_found", "usage", "usage"]


@pytest.mark.usefixtures("failed")
def test_explain_tells_it_in_words(cli: Cli) -> None:
    result = cli("explain", "acme")

    assert result.exit_code == 0
    assert "ana started it." in result.stdout
    assert "Step bucket failed (attempt 1): It could not be made." in result.stdout
    assert "  1. bucket\n    2. database\n" in result.stdout
    assert json.loads(cli("explain", "acme", "--json").stdout)["lines"] == result.stdout.splitlines()


@pytest.mark.usefixtures("failed")
def test_events_are_numbered_lines_or_json(cli: Cli) -> None:
    lines = cli("events", "acme").stdout.splitlines()
    document = json.loads(cli("events", "acme", "--json").stdout)
    stream = [json.loads(line) for line in cli("events", "acme", "--json", "--follow", "--after", "2").stdout.splitlines()]

    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    assert [event["seq"] for event in document["items"]] == list(range(1, len(lines) + 1))
    assert stream == document["items"][2:]
    assert lines[-1].endswith("run  ✗ FAILED")


def test_runs_are_listed_by_pages(cli: Cli, product: Product) -> None:
    for subject in ("a", "b", "c"):
        cli("start", subject, "tenant", "--input", f"slug={subject}")
    product.failing = {"bucket"}
    cli("start", "d", "tenant", "--input", "slug=d")

    first = json.loads(cli("runs", "--limit", "3", "--json").stdout)
    rest = json.loads(cli("runs", "--limit", "3", "--json", "--cursor", first["next_cursor"]).stdout)
    failed = json.loads(cli("runs", "--status", "failed", "--plan", "tenant", "--json").stdout)

    assert [run["subject"] for run in first["items"]] == ["d", "c", "b"]
    assert ([run["subject"] for run in rest["items"]], rest["next_cursor"]) == (["a"], None)
    assert [run["subject"] for run in failed["items"]] == ["d"]
    table = cli("runs", "--limit", "3")
    assert [line.split()[:3] for line in table.stdout.splitlines()[1:]] == [
        ["✗", "FAILED", "d"],
        ["✓", "SUCCEEDED", "c"],
        ["✓", "SUCCEEDED", "b"],
    ]
    assert "add --cursor" in table.stderr


def test_no_runs_are_said_to_be_none(cli: Cli) -> None:
    result = cli("runs")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There are no such runs.\n")


def test_plans_are_listed(cli: Cli) -> None:
    lines = cli("plans").stdout.splitlines()
    items = json.loads(cli("plans", "--json").stdout)["items"]

    assert lines[1].split() == ["tenant", "1", "2", "finish", "A", "small", "tenant"]
    assert [item["name"] for item in items] == ["tenant", "careful", "slow", "approved"]
    assert items[0]["input_schema"]["properties"]["slug"]["type"] == "string"


def test_check_reaches_the_store(cli: Cli) -> None:
    result = cli("check")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "✓ plan tenant: 2 steps",
        "✓ plan careful: 2 steps",
        "✓ plan slow: 2 steps",
        "✓ plan approved: 2 steps",
        "✓ the store is reachable and its schema is right",
    ]


def test_check_as_json_counts_each_plans_steps(cli: Cli) -> None:
    told = json.loads(cli("check", "--json").stdout)

    assert told == {"ok": True, "plans": {"tenant": 2, "careful": 2, "slow": 2, "approved": 2}, "store": "reachable"}


def test_a_store_out_of_reach_is_75(cli: Cli, product: Product, tmp_path: Path) -> None:
    product.url = f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'runs.db'}"

    result = cli("check", "--json")

    assert (result.exit_code, result.stdout) == (75, "")
    assert json.loads(result.stderr)["error"]["code"] == "store_unavailable"


def test_plan_previews_without_running(cli: Cli, product: Product) -> None:
    result = cli("plan", "tenant", "--input", "slug=acme")

    assert result.exit_code == 0
    assert result.stdout.startswith("Plan tenant, version 1: 2 steps would run, 0 steps would be skipped.\n")
    assert product.done == []
    assert json.loads(cli("plan", "tenant", "--json").stdout)["critical_path"] == ["database", "bucket"]


@pytest.mark.usefixtures("failed")
@pytest.mark.parametrize(
    ("kind", "sign"), [("mermaid", "database --> bucket"), ("dot", "digraph"), ("svg", "<svg"), ("text", "bucket")]
)
@pytest.mark.parametrize("name", ["tenant", "acme"])
def test_graph_draws_a_plan_or_a_run(cli: Cli, tmp_path: Path, kind: str, sign: str, name: str) -> None:
    target = tmp_path / "drawing"

    shown = cli("graph", name, "--format", kind)
    written = cli("graph", name, "--format", kind, "--output", str(target))

    assert shown.exit_code == 0, shown.output
    assert sign in shown.stdout
    assert (written.stdout, target.read_text(encoding="utf-8").strip()) == ("", shown.stdout.strip())


@pytest.mark.usefixtures("failed")
def test_a_drawing_can_be_a_json_document(cli: Cli) -> None:
    document = json.loads(cli("graph", "acme", "--json").stdout)

    assert (document["format"], document["file"]) == ("text", None)
    assert "✗ bucket" in document["drawing"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "Name a plan or a subject, or a run by --run-id."),
        (["tenant", "--output", "no/such/folder/drawing"], "'no/such/folder/drawing' can't be written"),
    ],
)
def test_what_cannot_be_drawn_is_a_usage_error(cli: Cli, words: list[str], told: str) -> None:
    result = cli("graph", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


@pytest.mark.usefixtures("failed")
def test_timeline_draws_a_run_in_time(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "time.svg"

    shown = cli("timeline", "acme")
    picture = cli("timeline", "acme", "--format", "svg")
    written = cli("timeline", "acme", "--format", "svg", "--output", str(target))
    document = json.loads(cli("timeline", "acme", "--json").stdout)

    assert [line.split()[:2] for line in shown.stdout.splitlines()[2:4]] == [["✓", "database"], ["✗", "bucket"]]
    assert (shown.exit_code, shown.stderr, picture.stdout[:4]) == (0, "", "<svg")
    assert (written.stdout, written.stderr) == ("", f"Wrote {target}.\n")
    assert target.read_text(encoding="utf-8").strip() == picture.stdout.strip()
    assert (document["subject"], [bar["outcome"] for bar in document["bars"]]) == ("acme", ["SUCCEEDED", "FAILED"])


@pytest.mark.usefixtures("failed")
def test_a_terminal_without_the_signs_gets_plain_ones(cli: Cli) -> None:
    drawn = cli("timeline", "acme").stdout

    assert fitting(drawn, "ascii") == fitting(drawn, "ascii").encode("ascii", "replace").decode()
    assert [line.split()[:2] for line in fitting(drawn, "ascii").splitlines()[2:4]] == [["+", "database"], ["x", "bucket"]]
    assert fitting("█ \u4e2d", "ascii") == "# ?"


def test_an_app_without_plans_says_where_to_put_them() -> None:
    result = CliRunner().invoke(create_group(lambda: Engine(store=MemoryStore(), plans=[])), ["plans"])

    assert (result.exit_code, result.stdout) == (0, "")
    assert "Engine(plans=[...])" in result.stderr


def test_a_run_that_has_not_begun_is_not_said_to_be_started(cli: Cli) -> None:
    cli("start", "acme", "approved", "--detach")

    told = cli("status", "acme").stdout

    assert re.search(r"^Run \w+, recorded .+Z, not begun, 0%\.$", told, re.MULTILINE)


@pytest.mark.parametrize("word", ["status", "explain"])
def test_a_gate_that_is_known_is_named_before_it_waits(cli: Cli, word: str) -> None:
    cli("start", "acme", "approved", "--detach")

    assert "signal acme approval  gives a gate its signal before it waits for it" in cli(word, "acme").stdout
