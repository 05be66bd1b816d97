"""`doctor` says what is right and wrong with a set-up, what to do, and by its exit code whether anything failed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from provisioning_cli import create_group

from provisioning_core import Engine, Plan, step
from provisioning_core.stores import MemoryStore, SqlStore
from tests.cli.conftest import Cli
from tests.cli.product import Product


def _checks(text: str) -> dict[str, str]:
    return {each["check"]: each["level"] for each in json.loads(text)["checks"]}


def test_a_sound_set_up_has_a_tick_and_a_word_for_each_check(product: Product, cli: Cli) -> None:
    with product.engine():
        pass
    result = cli("doctor")
    *lines, blank, summary = result.stdout.splitlines()
    assert (result.exit_code, blank, summary) == (0, "", f"✓ {len(lines)} checks: all is well.")
    assert all(line.startswith("✓ ok    ") for line in lines)
    assert [line.split()[2] for line in lines][:3] == ["store", "schema", "file"]
    assert product.worked[-1] is False


def test_programs_get_one_document(product: Product, cli: Cli) -> None:
    with product.engine():
        pass
    result = cli("doctor", "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, result.stderr, told["ok"]) == (0, "", True)
    assert [set(each) for each in told["checks"]] == [{"check", "level", "said", "hint"}] * len(told["checks"])


def test_a_warning_is_no_failure_unless_it_is_asked_to_be(product: Product, cli: Cli, tmp_path: Path) -> None:
    with product.engine():
        pass
    (tmp_path / "runs.db").chmod(0o644)
    result = cli("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith(" checks: 0 failed, 1 warning.")
    assert f"chmod 600 {tmp_path / 'runs.db'}*" in result.stdout
    assert cli("doctor", "--strict").exit_code == 1
    strict = json.loads(cli("doctor", "--strict", "--json").stdout)
    assert strict["ok"] is False


def test_nothing_is_made_that_is_not_there(cli: Cli, tmp_path: Path) -> None:
    result = cli("doctor", "--json")
    assert (result.exit_code, list(tmp_path.iterdir())) == (0, [])
    assert "the first engine that opens it makes it" in json.loads(result.stdout)["checks"][0]["said"]


def test_a_store_that_can_not_be_reached_ends_with_75_and_shows_no_password() -> None:
    result = CliRunner().invoke(
        create_group(lambda: Engine(store=MemoryStore(), plans=[])),
        ["doctor", "--json"],
        env={"PROVISIONING_DB": "postgresql://app:s3cret-word@127.0.0.1:1/product"},
    )
    assert (result.exit_code, _checks(result.stdout)["store"]) == (75, "fail")
    assert "s3cret-word" not in result.output


def test_a_schema_of_another_release_ends_with_75(product: Product, cli: Cli) -> None:
    from sqlalchemy import text

    with product.engine():
        pass
    store = SqlStore(product.url)
    with store.begin() as connection:
        connection.execute(text("UPDATE provisioning_schema SET version = 99"))
    store.close()
    result = cli("doctor", "--json")
    assert (result.exit_code, _checks(result.stdout)["schema"]) == (75, "fail")


def test_a_folder_that_is_not_there_ends_with_75(tmp_path: Path) -> None:
    missing = SqlStore(f"sqlite:///{tmp_path / 'none' / 'runs.db'}")
    result = CliRunner().invoke(create_group(lambda: Engine(store=missing, plans=[])), ["doctor"])
    assert result.exit_code == 75
    assert "✗ fail  file " in result.stdout
    assert result.stdout.splitlines()[-1].startswith("✗ 3 checks: 1 failed")


def test_what_fails_besides_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from provisioning_core.model import Finding

    def factory() -> Engine:
        engine = Engine(store=MemoryStore(), plans=[])
        monkeypatch.setattr(engine, "diagnose", lambda: (Finding(check="secrets key", level="fail", said="None."),))
        return engine

    assert CliRunner().invoke(create_group(factory), ["doctor"]).exit_code == 1


def test_an_app_that_can_not_make_its_engine_ends_with_2_and_says_why() -> None:
    def factory() -> Engine:
        @step
        def hello() -> None:
            return None

        return Engine(store=MemoryStore(), plans=[Plan("t", steps=[hello])], secrets_key=b"short")

    result = CliRunner().invoke(create_group(factory), ["doctor", "--json"])
    (only,) = json.loads(result.stdout)["checks"]
    assert (result.exit_code, only["check"], only["level"]) == (2, "app", "fail")
    assert "16, 24 or 32 bytes" in only["said"]


def test_control_characters_reach_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "evil\x1b[31m"

    def factory() -> Engine:
        engine = Engine(store=MemoryStore(), plans=[])
        monkeypatch.setattr(engine, "diagnose", lambda: (_finding(name),))
        return engine

    result = CliRunner().invoke(create_group(factory), ["doctor"])
    assert "\x1b" not in result.stdout
    assert "evil" in result.stdout


def _finding(name: str) -> object:
    from provisioning_core.model import Finding

    return Finding(check="plans", level="warn", said=name, hint=name)
